"""Bodies of envelopes, messages and receipts: encrypted streams in the row or in the object store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Body:
    """A finished body that an operation may store. It goes away with the opening if none does."""

    id: str
    size: int
    sha256: bytes

    def reader(self) -> BodyReader:
        """Read it back, also after the opening."""
        raise NotImplementedError


class BodyReader:
    """Plaintext of a stored body in pieces, usable after the opening has ended; each iteration starts over."""

    size: int

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def read_all(self) -> bytes:
        raise NotImplementedError


class BodyWriter:
    """Takes plaintext in pieces of any size; memory does not grow with the body."""

    async def write(self, data: bytes) -> None:
        raise NotImplementedError

    async def finish(self) -> Body:
        """Encrypted and durable, unless small enough to travel in the row."""
        raise NotImplementedError

    async def discard(self) -> None:
        """Drop what was written; nothing happens when it was dropped or stored already."""
        raise NotImplementedError
