"""Deterministic gzip for payloads, and limited decompression of what peers send (as4-profile 3.1).

It is deterministic because a resend must have the digest of the first attempt, and limited because a few
kilobytes of gzip can expand to gigabytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from zlib_ng import zlib_ng as zlib

from samdrift.wire.errors import WireError, WireFault

_STRATEGY = zlib.Z_HUFFMAN_ONLY
"""Compression strategy for payloads, which are base64 of ciphertext.

They contain no repetitions, so searching for any would more than double the time and gain nothing;
shorter codes for the 64 characters save the quarter that can be saved.
"""

_GZIP_WINDOW = zlib.MAX_WBITS | 16
_PIECE = 1 << 18
"""Maximum number of bytes per step of decompression."""

_BLOCK = 1 << 12
"""Number of gzip bytes after each of which the ratio is checked, however they arrive."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """The gzip form of a payload as it is signed: its SHA-256, and its size in bytes."""

    digest: bytes
    size: int


class Gzip:
    """A gzip compressor for a stream; equal payloads result in equal bytes (no time, no name, one level)."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW, zlib.DEF_MEM_LEVEL, _STRATEGY)

    def feed(self, chunk: bytes) -> bytes:
        """Return the gzip bytes that ``chunk`` produces, often none."""
        return self._deflate.compress(chunk)

    def finish(self) -> bytes:
        """Return the last gzip bytes."""
        return self._deflate.flush()


class Compressor(Gzip):
    """A :class:`Gzip` that also computes digest and size of its output."""

    def __init__(self) -> None:
        super().__init__()
        self._hash = hashlib.sha256()
        self.size = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return the gzip bytes that ``chunk`` produces, often none."""
        return self._account(super().feed(chunk))

    def finish(self) -> bytes:
        """Return the last gzip bytes; :attr:`compressed` is valid afterwards."""
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
    """Limits on the expanded size: absolute, and relative to the gzip size once it exceeds ``free_bytes``.

    The ratio must hold at the end and after every 4 096 bytes of gzip, so that it does not depend on how the
    bytes are cut into pieces.
    """

    max_bytes: int
    max_ratio: int
    free_bytes: int


class Decompressor:
    """A decompressor of one gzip member, piece by piece, with limits.

    Raises :class:`WireError` (``COMPRESSION``) for broken or incomplete gzip, a second member or anything
    else after the end, and expansion beyond the limits.
    """

    def __init__(self, limits: ExpansionLimits) -> None:
        self._limits = limits
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self._taken = 0
        self.size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the pieces that ``data`` expands to, each at most a quarter of a megabyte."""
        pieces: list[bytes] = []  # Joined, because a block expands to few bytes.
        size = 0
        for piece in self._expanded(memoryview(data)):
            if size + len(piece) > _PIECE:
                yield b"".join(pieces)
                pieces, size = [], 0
            pieces.append(piece)
            size += len(piece)
        if size:
            yield b"".join(pieces)

    def _expanded(self, data: memoryview) -> Iterator[bytes]:
        # In blocks that end at the same bytes for every cut; a step copies no more than is left of a block.
        while data:
            block = data[: _BLOCK - self._taken % _BLOCK]
            self._taken += len(block)
            yield from self._expand_block(block)
            data = data[len(block) :]

    def _expand_block(self, data: bytes | memoryview) -> Iterator[bytes]:
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
        """End the input; raise :class:`WireError` if the stream is incomplete."""
        if not self._inflate.eof:
            raise _refused("ends too early")

    def _expand(self, data: bytes | memoryview) -> bytes:
        try:
            piece = self._inflate.decompress(data, _PIECE)
        except zlib.error:  # type: ignore[misc]  # declared as an instance, not a class
            raise _refused("not gzip") from None
        self.size += len(piece)
        if self.size > self._limits.max_bytes:
            raise _refused(f"expands to more than {self._limits.max_bytes} bytes")
        if self.size > max(self._limits.free_bytes, self._limits.max_ratio * self._counted()):
            raise _refused(f"expands to more than {self._limits.max_ratio} times its size")
        if self._inflate.unused_data:
            raise _refused("something follows the end")
        return piece

    def _counted(self) -> int:
        """Return the number of gzip bytes that the ratio is checked against: whole blocks until the end."""
        return self._taken if self._inflate.eof else self._taken + -self._taken % _BLOCK


def _refused(text: str) -> WireError:
    return WireError(WireFault.COMPRESSION, text, "gzip")
