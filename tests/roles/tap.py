"""A port in front of a test's service, which can be shut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"


@dataclass
class Tap:
    """A port in front of a service; while shut, it refuses callers and cuts existing connections."""

    behind: int
    port: int = 0
    _server: asyncio.Server | None = None
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._talk, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            for talk in self._talks:
                talk.cancel()
            self._server = None

    @asynccontextmanager
    async def broken(self) -> AsyncIterator[None]:
        """Keep it shut while the context lasts."""
        await self.shut()
        try:
            yield
        finally:
            await self.open()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        self._talks.add(own)
        try:
            there, back = await asyncio.open_connection(HOST, self.behind)
            with contextlib.closing(back):
                await asyncio.gather(_poured(reader, back), _poured(there, writer))
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._talks.discard(own)
            writer.close()


async def _poured(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(1 << 16):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


async def tapped(stack: AsyncExitStack, port: int) -> Tap:
    """Open a port in front of one on this machine, which is shut when ``stack`` ends."""
    tap = Tap(port)
    await tap.open()
    stack.push_async_callback(tap.shut)
    return tap
