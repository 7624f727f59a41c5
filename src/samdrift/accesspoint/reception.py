"""Pulls the events of one incoming AS4 message out of an HTTP body, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence

from cryptography import x509

from samdrift.wire.as4 import As4Reader, Complete, NeedData, Payload, SignedHeader, SignerWanted, UserMessage
from samdrift.wire.crypto.keys import DecryptionKey

FindSigners = Callable[[UserMessage], Awaitable[Sequence[x509.Certificate]]]
"""Certificates that the signature of a message, which is not verified yet, may mean without carrying them."""


class Reception:
    """One message on its way in. Memory does not grow with its size."""

    def __init__(self, reader: As4Reader, body: AsyncIterable[bytes]) -> None:
        self._reader = reader
        self._body = aiter(body)
        self._ended = False

    async def header(self, find_signers: FindSigners) -> SignedHeader:
        """The SOAP part with its signature verified; :class:`As4Fault` otherwise."""
        while not isinstance(event := self._reader.next_event(), SignedHeader):
            if isinstance(event, SignerWanted):
                return self._reader.signed_by(await find_signers(event.user_message))
            await self._read()
        return event

    def open_with(self, keys: Sequence[DecryptionKey]) -> x509.Certificate:
        """Begin to decrypt; the certificate of the key that the message is for, or :class:`As4Fault`."""
        return self._reader.decrypt_with(*keys).certificate

    async def payload(self) -> AsyncIterator[Payload | Complete]:
        """Decrypted pieces, not to be trusted before the :class:`Complete` that ends them."""
        while True:
            event = self._reader.next_event()
            if isinstance(event, NeedData):
                await self._read()
            elif isinstance(event, Payload | Complete):
                yield event
                if isinstance(event, Complete):
                    return

    async def drain(self, most: int) -> None:
        """Read what the peer still sends, so that it gets to read the answer; ``most`` bytes of it."""
        while not self._ended and most > 0:
            piece = await anext(self._body, None)
            self._ended = piece is None
            most -= len(piece or b"")

    async def _read(self) -> None:
        piece = await anext(self._body, None)
        self._ended = piece is None
        if piece != b"":
            self._reader.receive(piece or b"")
