"""Deterministic gzip for payloads, and bounded decompression of what peers send (as4-profile 3.1).

Deterministic, because a resend must have the digest of the first attempt; bounded,
because a few kilobytes of gzip can hold gigabytes.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

_LEVEL = 1
"""Payloads are mostly base64 of ciphertext, where a higher level costs time and gains nothing."""

_GZIP_WINDOW = zlib.MAX_WBITS | 16
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Compressed:
    """The gzip form of a payload as it is signed: SHA-256 and size in bytes."""

    digest: bytes
    size: int


class Compressor:
    """Streams a payload into gzip; equal payloads give equal bytes (no time, no name, fixed level)."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        self._hash = hashlib.sha256()
        self.size = 0

    def feed(self, chunk: bytes) -> bytes:
        """The gzip bytes that ``chunk`` brings out, often none."""
        return self._account(self._deflate.compress(chunk))

    def finish(self) -> bytes:
        """The last gzip bytes; :attr:`compressed` is valid after it."""
        return self._account(self._deflate.flush())

    @property
    def digest(self) -> bytes:
        """SHA-256 of the gzip bytes so far."""
        return self._hash.digest()

    @property
    def compressed(self) -> Compressed:
        """Digest and size of the gzip bytes."""
        return Compressed(self.digest, self.size)

    def _account(self, data: bytes) -> bytes:
        self._hash.update(data)
        self.size += len(data)
        return data
