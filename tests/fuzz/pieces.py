"""Inputs cut up, since what comes in over a network may come in any pieces."""

from __future__ import annotations

from collections.abc import Iterator

_SIZES = 16


def whole(data: bytes) -> Iterator[bytes]:
    """One piece, or none."""
    if data:
        yield data


def cut(data: bytes) -> Iterator[bytes]:
    """The same data in pieces of which none is empty, and whose sizes follow from it."""
    at = 0
    while at < len(data):
        size = 1 + data[at % _SIZES % len(data)]
        yield data[at : at + size]
        at += size


def split(data: bytes) -> tuple[str, bytes]:
    """An input that is a content type, a line end and a body."""
    content_type, _, body = data.partition(b"\n")
    return content_type.decode("latin-1"), body
