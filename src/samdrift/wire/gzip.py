"""Deterministic gzip for payloads, and bounded decompression of what peers send (as4-profile 3.1).

Deterministic, because a resend must have the digest of the first attempt; bounded,
because a few kilobytes of gzip can hold gigabytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from zlib_ng import zlib_ng as zlib

from samdrift.wire.errors import WireError, WireFault

_STRATEGY = zlib.Z_HUFFMAN_ONLY
"""Payloads are base64 of ciphertext: nothing in them repeats, so looking for repetitions takes more than
twice as long and gains nothing; a shorter code for 64 characters gains all there is, a quarter."""

_GZIP_WINDOW = zlib.MAX_WBITS | 16
_PIECE = 1 << 18
"""Limit of bytes per step of decompression."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """The gzip form of a payload as it is signed: SHA-256 and size in bytes."""

    digest: bytes
    size: int


class Gzip:
    """Streams a payload into gzip; equal payloads give equal bytes (no time, no name, one level)."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW, zlib.DEF_MEM_LEVEL, _STRATEGY)

    def feed(self, chunk: bytes) -> bytes:
        """The gzip bytes that ``chunk`` brings out, often none."""
        return self._deflate.compress(chunk)

    def finish(self) -> bytes:
        """The last gzip bytes."""
        return self._deflate.flush()


class Compressor(Gzip):
    """The same, and digests what comes out; for callers that do not do so themselves."""

    def __init__(self) -> None:
        super().__init__()
        self._hash = hashlib.sha256()
        self.size = 0

    def feed(self, chunk: bytes) -> bytes:
        """The gzip bytes that ``chunk`` brings out, often none."""
        return self._account(super().feed(chunk))

    def finish(self) -> bytes:
        """The last gzip bytes; :attr:`compressed` is valid after it."""
        return self._account(super().finish())

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


@dataclass(frozen=True, slots=True)
class ExpansionLimits:
    """Limits of gzip's expansion: in all, and in relation to its own size once ``free_bytes`` came out."""

    max_bytes: int
    max_ratio: int
    free_bytes: int


class Decompressor:
    """Expands one gzip member piece by piece and refuses to go beyond its limits.

    Refused with :class:`WireError` (``COMPRESSION``): broken or unfinished gzip, a second
    member or anything else after the end, expansion over the limits.
    """

    def __init__(self, limits: ExpansionLimits) -> None:
        self._limits = limits
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self._taken = 0
        self.size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that ``data`` brings out, each at most a quarter of a megabyte."""
        self._taken += len(data)
        view = memoryview(data)
        for at in range(0, len(data), _PIECE):  # What is left of a piece is copied, time and again.
            yield from self._feed(view[at : at + _PIECE])

    def _feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        if self._inflate.eof:
            raise _refused("something follows the end")
        more = True
        while more:
            piece = self._expand(data)
            if piece:
                yield piece
            data = self._inflate.unconsumed_tail
            more = bool(data) or len(piece) == _PIECE

    def finish(self) -> None:
        """End the input; an error if the stream is incomplete."""
        if not self._inflate.eof:
            raise _refused("ends too early")

    def _expand(self, data: bytes | memoryview) -> bytes:
        try:
            piece = self._inflate.decompress(data, _PIECE)
        except zlib.error:  # type: ignore[misc]  # declared as an exception, not as a kind of it
            raise _refused("not gzip") from None
        self.size += len(piece)
        if self.size > self._limits.max_bytes:
            raise _refused(f"expands to more than {self._limits.max_bytes} bytes")
        if self.size > self._limits.free_bytes and self.size > self._limits.max_ratio * self._taken:
            raise _refused(f"expands to more than {self._limits.max_ratio} times its size")
        if self._inflate.unused_data:
            raise _refused("something follows the end")
        return piece


def _refused(text: str) -> WireError:
    return WireError(WireFault.COMPRESSION, text, "gzip")
