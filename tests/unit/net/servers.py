"""Small servers on loopback that answer as a test sets them, including wrong answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from dnslib import NAPTR, QTYPE, RCODE, RR, DNSRecord

from samdrift.wire.bdxl import Naptr

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Function that serves a connection."""


@dataclass(frozen=True)
class Asked:
    """An HTTP request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole HTTP response."""
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(head).encode() + body


@asynccontextmanager
async def answering(
    answer: Callable[[Asked], Awaitable[bytes]], context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve ``answer`` over HTTP, or HTTPS with ``context``, once per connection; yield the address."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await answer(await asked(reader)))

    async with talking(once, context) as url:
        yield url


@asynccontextmanager
async def talking(
    talk: Talk, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """Run ``talk`` for each connection; yield the address."""
    conversations = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.append(asyncio.current_task())
        try:
            await talk(reader, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The client has hung up, or the test is over.
        finally:
            writer.close()

    server = await asyncio.start_server(converse, host, 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    named = f"[{host}]" if ":" in host else "localhost"
    try:
        yield f"{'https' if context else 'http'}://{named}:{port}"
    finally:
        server.close()
        for conversation in conversations:
            if conversation is not None:
                conversation.cancel()


async def asked(reader: asyncio.StreamReader) -> Asked:
    """Read and return one request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)


@dataclass
class NameServer:
    """A DNS server whose records and faults can be changed while it runs."""

    records: dict[str, list[Naptr]]
    rcode: int = RCODE.NOERROR
    silent: bool = False
    questions: int = 0
    authenticated: bool = False
    """True if answers claim that DNSSEC vouches for them (``AD``)."""

    def answer(self, message: bytes) -> bytes | None:
        self.questions += 1
        if self.silent:
            return None
        asked = DNSRecord.parse(message)
        response = asked.reply()
        response.header.ad = int(self.authenticated)
        name = str(asked.q.qname).rstrip(".").lower()
        response.header.rcode = self.rcode or (RCODE.NOERROR if name in self.records else RCODE.NXDOMAIN)
        for r in self.records.get(name, []) if not self.rcode else []:
            data = NAPTR(
                r.order, r.preference, r.flags.encode(), r.service.encode(), r.regexp.encode(), r.replacement
            )
            response.add_answer(RR(asked.q.qname, QTYPE.NAPTR, ttl=60, rdata=data))
        return bytes(response.pack())


@asynccontextmanager
async def name_server(server: NameServer, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve over UDP; yield the port."""

    class Datagrams(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            response = server.answer(data)
            if response is not None:
                cast(asyncio.DatagramTransport, self.transport).sendto(response, addr)

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, sock=sock)
    try:
        yield sock.getsockname()[1]
    finally:
        transport.close()
