"""A proxy in front of an object store, which a test can break: refused, silent, cut, or wrong."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)")
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that the proxy sends itself to every request, with errors in S3's format."""

    status: int
    code: str

    def response(self, head: bytes) -> bytes:
        """Return the bytes to send; an answer to HEAD has no body."""
        text = f"<Error><Code>{self.code}</Code><Message>key AKSECRET1 of v1/one</Message></Error>"
        body = b"" if head.startswith(b"HEAD ") else text.encode()
        return (
            f"HTTP/1.1 {self.status} Unfit\r\ncontent-type: application/xml\r\n"
            f"content-length: {len(text)}\r\nconnection: close\r\n\r\n"
        ).encode() + body


class Way:
    """A proxy that passes connections on to a store, unless it is broken."""

    def __init__(self, port: int = 0) -> None:
        """Set the store's ``port`` on this machine; without one, nothing is passed on."""
        self._behind = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[str] = []
        """Methods and paths of requests that the proxy has answered itself."""
        self.answer: Answer | None = None
        self.silent = False
        self.refused = False
        """Flag to close each connection before anything is read from it."""
        self.cut_after: int | None = None
        """Number of bytes of the store's answers after which a connection is closed."""
        self.address = ""

    def mended(self) -> None:
        """Pass everything on again."""
        self.answer, self.silent, self.refused, self.cut_after = None, False, False, None
        self.drop()

    def drop(self) -> None:
        """Close open connections, so that the next request meets the proxy's current state."""
        for task in self._tasks:
            task.cancel()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Way]:
        """Listen while the context lasts."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.drop()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._served(reader, writer)
        writer.close()

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refused:
            return
        if self.silent:
            await asyncio.Event().wait()
        if self.answer is not None:
            head = await reader.readuntil(b"\r\n\r\n")
            if length := _LENGTH.search(head):
                await reader.readexactly(int(length[1]))
            self.requests.append(head.partition(b" HTTP/")[0].decode())
            writer.write(self.answer.response(head))
            await writer.drain()
            return
        behind, there = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            await asyncio.gather(_passed(reader, there), _passed(behind, writer, self.cut_after))
        finally:
            there.close()


async def _passed(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None = None
) -> None:
    left = most
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece if left is None else piece[:left])
            await writer.drain()
            if left is not None:
                left -= len(piece)
                if left <= 0:
                    return
    finally:
        writer.close()
