"""The SML: DNS names that lead to a participant's SMP (component-sml 2.4, 2.8; eDelivery BDXL 1.6).

The name server's answers depend only on the question; the network code is at the end.

Missing: component-sml 2.9, 2.10: the SMP is in the same process and registers by calls, not over SOAP.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import cast

from dnslib import NAPTR, QTYPE, RCODE, RR, SOA, DNSError, DNSRecord

from samdrift.wire import bdxl
from samdrift.wire.identifiers import ParticipantIdentifier

TTL = 60
"""Seconds for which an answer may be cached, including a negative one."""


class Sml:
    """Names in one zone, each with the address of an SMP."""

    def __init__(self, zone: str) -> None:
        self.zone = zone.strip(".").lower()
        self._names: dict[str, bdxl.Naptr] = {}

    def register(self, participants: Iterable[ParticipantIdentifier], smp_url: str) -> None:
        """Publish ``smp_url`` as the address of the participants' metadata."""
        self._names |= {self._name(one): bdxl.record(smp_url) for one in participants}

    def remove(self, participant: ParticipantIdentifier) -> None:
        """Remove a participant's name."""
        self._names.pop(self._name(participant), None)

    def answer(self, question: bytes) -> bytes | None:
        """Return the answer to a DNS message, or ``None`` if it is not a question."""
        asked = _question(question)
        if asked is None:
            return None
        reply = asked.reply(ra=0)
        name = str(asked.q.qname).rstrip(".").lower()
        if name != self.zone and not name.endswith(f".{self.zone}"):
            reply.header.rcode = RCODE.REFUSED
            return bytes(reply.pack())
        record = self._names.get(name)
        if record is not None and asked.q.qtype in (QTYPE.NAPTR, QTYPE.ANY):
            reply.add_answer(RR(asked.q.qname, QTYPE.NAPTR, ttl=TTL, rdata=_data(record)))
            return bytes(reply.pack())
        if record is None and name != self.zone:
            reply.header.rcode = RCODE.NXDOMAIN
        reply.add_auth(RR(self.zone, QTYPE.SOA, ttl=TTL, rdata=self._start_of_authority()))
        return bytes(reply.pack())

    def _name(self, participant: ParticipantIdentifier) -> str:
        return bdxl.host(participant, self.zone).lower()

    def _start_of_authority(self) -> SOA:
        """Return the record with the time for which the absence of a name may be cached (RFC 2308 3)."""
        return SOA(f"ns.{self.zone}", f"hostmaster.{self.zone}", (1, TTL, TTL, TTL, TTL))


def server_failure(question: bytes) -> bytes | None:
    """Return the answer of a failing name server, or ``None`` if the message is not a question."""
    asked = _question(question)
    if asked is None:
        return None
    reply = asked.reply(ra=0)
    reply.header.rcode = RCODE.SERVFAIL
    return bytes(reply.pack())


def _question(message: bytes) -> DNSRecord | None:
    """Return the parsed message if it is a query with one question, otherwise ``None``."""
    try:
        asked = DNSRecord.parse(message)
    except DNSError:
        return None
    return asked if not asked.header.qr and len(asked.questions) == 1 else None


def _data(record: bdxl.Naptr) -> NAPTR:
    return NAPTR(
        record.order,
        record.preference,
        record.flags.encode(),
        record.service.encode(),
        record.regexp.encode(),
        record.replacement,
    )


Answer = Callable[[bytes], bytes | None]
"""A function that returns the answer to a DNS message, or ``None`` to stay silent."""

_IDLE = 10.0
"""Seconds for which a TCP connection may be idle."""


@asynccontextmanager
async def serving_dns(answer: Answer, udp: socket.socket, tcp: socket.socket) -> AsyncIterator[None]:
    """Answer DNS messages on both sockets while the context lasts; afterwards the port is free."""
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
    """Answer length-prefixed messages until the client leaves or is idle, or a message gets no answer."""
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
