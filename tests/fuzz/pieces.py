"""Inputs cut into pieces, as data may arrive over a network."""

from __future__ import annotations

from collections.abc import Iterator

_SIZES = 16


def whole(data: bytes) -> Iterator[bytes]:
    """Yield the data in one piece, or nothing when it is empty."""
    if data:
        yield data


def cut(data: bytes) -> Iterator[bytes]:
    """Yield the data in non-empty pieces, whose sizes are derived from the data."""
    at = 0
    while at < len(data):
        size = 1 + data[at % _SIZES % len(data)]
        yield data[at : at + size]
        at += size


def split(data: bytes) -> tuple[str, bytes]:
    """Split an input into a content type and, after a line end, a body."""
    content_type, _, body = data.partition(b"\n")
    return content_type.decode("latin-1"), body
