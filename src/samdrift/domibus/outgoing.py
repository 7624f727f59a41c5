"""An envelope on its way to Domibus: its header is read from its beginning, then all of it is passed on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner

_PIECE = 64 << 10


class OutgoingEnvelope:
    """The bytes of one envelope, in memory or as they come; to be read once."""

    def __init__(self, body: bytes | AsyncIterable[bytes]) -> None:
        self.size = len(body) if isinstance(body, bytes) else None
        self._source = _in_pieces(body)
        self._begun: list[bytes] = []

    async def header(self) -> EnvelopeHeader:
        """What the envelope says on its outside; :class:`WireError` when it is none."""
        scanner = HeaderScanner()
        async for piece in self._source:
            self._begun.append(piece)
            scanner.feed(piece)
            if scanner.header is not None:
                return scanner.header
        return scanner.close()

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of the envelope."""
        for piece in self._begun:
            yield piece
        async for piece in self._source:
            yield piece


async def _in_pieces(body: bytes | AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    if isinstance(body, bytes):
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]
    else:
        async for piece in body:
            yield piece
