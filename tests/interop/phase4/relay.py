"""A proxy that loses the first response: the receiver has the message, but the sender does not know it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.demo.enrolment import HOST
from samdrift.federation.server import LocalFederation
from samdrift.federation.shapes import Ca
from tests.interop.phase4.driver import pem
from tests.pki import key

_CHUNK = 1 << 16


@dataclass
class Relay:
    """A relay that forwards everything to ``port``, but drops the response of its first connection."""

    port: int
    client: ssl.SSLContext
    requests: int = 0
    lost: int = 0
    address: str = field(init=False, default="")

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.requests += 1
        far_reader, far_writer = await asyncio.open_connection(HOST, self.port, ssl=self.client)
        sending = asyncio.create_task(_pass_on(reader, far_writer))
        try:
            first = await far_reader.read(_CHUNK)
            if not self.lost:
                self.lost += 1
                return
            writer.write(first)
            await _pass_on(far_reader, writer)
        finally:
            sending.cancel()
            for each in (writer, far_writer):
                each.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(_CHUNK):
            writer.write(piece)
            await writer.drain()


@contextlib.asynccontextmanager
async def relaying(federation: LocalFederation, port: int, folder: Path) -> AsyncIterator[Relay]:
    """Relay to ``port`` during the context, with a certificate of the federation."""
    authority, own = federation.authority, key(4, 3072)
    file = folder / "relay.pem"
    file.write_text(
        pem(authority.issue_tls_server([HOST], own.public_key()))
        + own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    )
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(file)
    relay = Relay(port, ssl.create_default_context(cadata=pem(authority.certificate(Ca.TLS))))
    server = await asyncio.start_server(relay.connected, HOST, 0, ssl=server_tls)
    relay.address = f"https://{HOST}:{server.sockets[0].getsockname()[1]}/as4"
    async with server:
        yield relay
