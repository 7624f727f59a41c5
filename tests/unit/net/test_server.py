"""What an application is told about whoever calls it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any

from cryptography.hazmat.primitives import hashes

from samdrift.net.http import FetchLimits, fetch, http_client
from samdrift.net.server import CLIENT_CERTIFICATE, listening_socket, serving
from samdrift.net.tls import client_tls, server_tls
from tests import pki
from tests.unit.net.test_tls import CLIENTS, FIRST, identity, localhost, write

LIMITS = FetchLimits(10_000, 5.0)


@asynccontextmanager
async def telling(tls: Callable[[], SSLContext] | None = None) -> AsyncIterator[str]:
    """An application that answers with what its scope says of the caller; gives its address."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        told = [scope["scheme"], scope["client"][0], scope[CLIENT_CERTIFICATE]]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    sock = listening_socket("127.0.0.1")
    async with serving(application, sock, tls=tls):
        yield f"{'https' if tls else 'http'}://localhost:{sock.getsockname()[1]}"


async def test_the_certificate_of_the_client_is_told(tmp_path: Path) -> None:
    own = CLIENTS.issue("client", not_after=pki.NOW + 3650 * pki.DAY)
    trust = write(tmp_path / "trust.pem", FIRST.certificate)
    clients = write(tmp_path / "clients.pem", CLIENTS.certificate)
    tls = server_tls(identity(tmp_path / "server.pem", localhost(FIRST)), clients)
    client = client_tls(identity(tmp_path / "client.pem", own), trust)
    async with telling(tls.serving) as url, http_client(client, public_only=False) as http:
        told = json.loads((await fetch(http, url, LIMITS)).body)
    assert told == ["https", "127.0.0.1", own.certificate.fingerprint(hashes.SHA256()).hex()]


async def test_nothing_is_believed_that_a_caller_says_of_itself() -> None:
    claims = {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https", CLIENT_CERTIFICATE: "00"}
    async with telling() as url, http_client(public_only=False) as http:
        told = json.loads((await fetch(http, url, LIMITS, headers=claims)).body)
    assert told == ["http", "127.0.0.1", None]


def test_answers_are_sent_without_delay_on_asyncios_own_loop_too() -> None:
    async def without_delay() -> int:
        option = asyncio.get_running_loop().create_future()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            option.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listening_socket("127.0.0.1") as sock:
            async with await asyncio.start_server(talk, sock=sock):
                _, writer = await asyncio.open_connection(*sock.getsockname())
                writer.close()
                return int(await option)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        assert runner.run(without_delay()) == 1
