"""Screenshots as PNG files with a palette: a third of the size, whatever fonts a machine has.

Text is drawn in thousands of shades of a few colours. The 256 most frequent shades stay unchanged, and each
other one is replaced by the nearest of them, which the eye cannot notice.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

_BEGINNING = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">IIBBBBB")
_PALETTE, _TRUE, _TRUE_ALPHA = 3, 2, 6
_MOST = 256
Colour = bytes


def small(png: bytes) -> bytes:
    """Convert a picture from Chromium, with 8 bits per channel, to a palette of at most 256 colours."""
    width, height, channels, packed = _read(png)
    rows = [
        [row[place : place + 3] for place in range(0, len(row), channels)]
        for row in _unfiltered(zlib.decompress(packed), width * channels, height, channels)
    ]
    counts = Counter(colour for row in rows for colour in row)
    palette = [colour for colour, _ in counts.most_common(_MOST)]
    places = {colour: place for place, colour in enumerate(palette)}
    for colour in counts.keys() - places.keys():
        places[colour] = min(range(len(palette)), key=lambda place: _distance(palette[place], colour))
    pixels = b"".join(b"\0" + bytes(places[colour] for colour in row) for row in rows)
    return b"".join(
        (
            _BEGINNING,
            _chunk(b"IHDR", _HEAD.pack(width, height, 8, _PALETTE, 0, 0, 0)),
            _chunk(b"PLTE", b"".join(palette)),
            _chunk(b"IDAT", zlib.compress(pixels, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _read(png: bytes) -> tuple[int, int, int, bytes]:
    """Return width, height, channels, and the packed rows."""
    assert png.startswith(_BEGINNING)
    chunks = list(_chunks(png))
    width, height, depth, kind, *_, interlaced = _HEAD.unpack(chunks[0][1])
    assert (depth, interlaced) == (8, 0)
    return width, height, {_TRUE: 3, _TRUE_ALPHA: 4}[kind], b"".join(c for n, c in chunks if n == b"IDAT")


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_BEGINNING)
    while place < len(png):
        (size,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
        place += size + 12


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _distance(one: Colour, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _unfiltered(data: bytes, length: int, height: int, channels: int) -> Iterator[bytes]:
    """Yield rows without their filters (PNG 9.2)."""
    above = bytearray(length)
    for number in range(height):
        begin = number * (length + 1)
        kind, row = data[begin], bytearray(data[begin + 1 : begin + 1 + length])
        for place in range(length) if kind else ():
            left = row[place - channels] if place >= channels else 0
            up = above[place]
            corner = above[place - channels] if place >= channels else 0
            row[place] = (row[place] + _predicted(kind, left, up, corner)) & 0xFF
        yield bytes(row)
        above = row


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner
