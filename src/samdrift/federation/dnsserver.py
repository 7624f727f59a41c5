"""A name server on the network: UDP, and TCP for those that prefer it, on one port (RFC 1035 4.2)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

Answer = Callable[[bytes], bytes | None]
"""A message for each message, or ``None`` to stay silent."""

_IDLE = 10.0
"""Seconds that a TCP connection may be quiet."""


@asynccontextmanager
async def serving_dns(answer: Answer, udp: socket.socket, tcp: socket.socket) -> AsyncIterator[None]:
    """Answer on both sockets while the context lasts; afterwards the port is free."""
    loop = asyncio.get_running_loop()
    transport, datagrams = await loop.create_datagram_endpoint(lambda: _Datagrams(answer), sock=udp)
    server = await asyncio.start_server(lambda reader, writer: _converse(answer, reader, writer), sock=tcp)
    try:
        yield
    finally:
        server.close()
        transport.close()
        await datagrams.closed


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._answer(data)
        if reply is not None:
            self._transport.sendto(reply, addr)


async def _converse(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Messages with their length before them, until the client leaves, is quiet, or is not answered."""
    try:
        while True:
            async with asyncio.timeout(_IDLE):
                length = int.from_bytes(await reader.readexactly(2), "big")
                reply = answer(await reader.readexactly(length))
            if reply is None:
                return
            writer.write(len(reply).to_bytes(2, "big") + reply)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        return
    finally:
        writer.close()
