"""The body of a request while it is sent piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from types import TracebackType


class Patience:
    """A limit, in seconds, to the wait for a peer; every sign that it takes something renews it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)
        self._waiting = False

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._waiting = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = False
        await self._timeout.__aexit__(kind, error, trace)

    def renew(self) -> None:
        """Wait for the whole time again; nothing when the wait is over."""
        if self._waiting:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)


class Outgoing:
    """Passes the pieces of a body on, and tells when one has got away.

    aiohttp itself waits for ever for a peer that takes nothing more, cuts what
    goes over the announced length, and takes an exception of the body for one
    of the connection. ``failure`` keeps the last apart.
    """

    def __init__(self, body: AsyncIterable[bytes], length: int | None, got_away: Callable[[], None]) -> None:
        self._body = body
        self._length = length
        self._got_away = got_away
        self.headers = {"content-length": str(length)} if length is not None else {}
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces; :class:`ValueError` when they are not as many bytes as announced."""
        sent = 0
        async for piece in self._source():
            sent += len(piece)
            if self._length is not None and sent > self._length:
                raise ValueError("a body longer than announced")
            yield piece
            self._got_away()
        if self._length is not None and sent < self._length:
            raise ValueError("a body shorter than announced")

    async def _source(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._body:
                yield piece
        except Exception as failure:
            self.failure = failure
            raise
