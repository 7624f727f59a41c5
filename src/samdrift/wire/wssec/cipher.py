"""The content of an encrypted attachment: AES-GCM in a stream, initialization vector first, tag last.

XML Encryption 1.1, 5.2.4: 12 bytes of vector, the ciphertext, 16 bytes of tag.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, Cipher, algorithms, modes

from samdrift.wire.errors import WireError, WireFault

KEY_SIZE: Final = 16
VECTOR_SIZE: Final = 12
TAG_SIZE: Final = 16


class Encryptor:
    """Encrypts one attachment. A pair of key and vector must never see two different contents."""

    def __init__(self, key: bytes, vector: bytes) -> None:
        self._cipher = Cipher(algorithms.AES(key), modes.GCM(vector)).encryptor()

    def feed(self, content: bytes) -> bytes:
        """The ciphertext of the next piece; the vector goes before the first one."""
        return self._cipher.update(content)

    def finish(self) -> bytes:
        """The authentication tag."""
        return self._cipher.finalize() + self._cipher.tag


class Decryptor:
    """Decrypts one attachment. What it gives is not authentic before :meth:`finish` returned.

    One and the same :class:`WireError` (``DECRYPTION``) for every failure.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise _failed()
        self._key = key
        self._held = b""
        self._cipher: AEADDecryptionContext | None = None

    def feed(self, data: bytes) -> bytes:
        """The content of the next piece, without what may be the tag."""
        held = self._held + data
        if self._cipher is None:
            if len(held) < VECTOR_SIZE + TAG_SIZE:
                self._held = held
                return b""
            self._cipher = Cipher(algorithms.AES(self._key), modes.GCM(held[:VECTOR_SIZE])).decryptor()
            held = held[VECTOR_SIZE:]
        self._held = held[-TAG_SIZE:]
        return self._cipher.update(memoryview(held)[:-TAG_SIZE])

    def finish(self) -> None:
        """Say that the input ended: the tag must be that of all the content."""
        if self._cipher is None:
            raise _failed()
        try:
            self._cipher.finalize_with_tag(self._held)
        except InvalidTag:
            raise _failed() from None


def _failed() -> WireError:
    return WireError(WireFault.DECRYPTION, "cannot be decrypted")
