"""The server's information for an application about its caller, and the handling of its connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from samdrift.net import server
from samdrift.net.client import FetchLimits, fetch, http_client
from samdrift.net.journal import Journal
from samdrift.net.server import (
    CLIENT_CERTIFICATE,
    ClientCertificateProtocol,
    listening_socket,
    serving,
)
from samdrift.net.tls import client_tls, server_tls
from tests import pki
from tests.unit.net.test_tls import CLIENTS, FIRST, identity, localhost, write

LIMITS = FetchLimits(10_000, 5.0)


@asynccontextmanager
async def telling(tls: Callable[[], SSLContext] | None = None) -> AsyncIterator[str]:
    """Serve an application that answers with its scope's facts about the caller; yield its address."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        told = [scope["scheme"], scope["client"][0], scope[CLIENT_CERTIFICATE]]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    sock = listening_socket("127.0.0.1")
    async with serving(application, sock, tls=tls):
        yield f"{'https' if tls else 'http'}://localhost:{sock.getsockname()[1]}"


@asynccontextmanager
async def reading(patience: float = 60) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to an application that reads the whole request and answers with its size."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})

    sock = listening_socket("127.0.0.1")
    async with serving(application, sock, patience=patience):
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


_CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"


async def until_hung_up_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, piece: bytes) -> bytes:
    """Send the piece again and again until the other side hangs up; return its answer."""
    with contextlib.suppress(ConnectionError):
        for _ in range(10_000):
            writer.write(piece)
            await writer.drain()
        pytest.fail("the server never hung up")
    with contextlib.suppress(ConnectionError):
        return await reader.read()
    return b""


@pytest.mark.parametrize(
    "beginning", [b"GET / HTTP/1.1\r\nx: ", b"GET /", _CHUNKED + b"0\r\nx: ", _CHUNKED + b"3;"]
)
async def test_a_head_without_end_is_not_held(beginning: bytes) -> None:
    async with reading() as (reader, writer):
        writer.write(beginning)
        await until_hung_up_on(reader, writer, b"y" * 4096)


async def test_fields_without_end_are_not_held() -> None:
    for beginning in (b"GET / HTTP/1.1\r\n", _CHUNKED + b"0\r\n"):
        async with reading() as (reader, writer):
            writer.write(beginning)
            await until_hung_up_on(reader, writer, b"x: y\r\n" * 500)


async def test_whoever_sends_too_large_a_head_is_told_so() -> None:
    async with reading() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nx: " + b"y" * (65 << 10))
        assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "head", [b"GET /\r\n\r\n", b"GET / HTTP/0.9\r\nhost: x\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n"]
)
async def test_only_http_1_is_spoken(head: bytes) -> None:
    """This includes the second request of a connection, which a proxy may have read as part of the first."""
    for before in (b"", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"):
        async with reading() as (reader, writer):
            if before:
                writer.write(before)
                assert (await reader.readuntil(b"\r\n0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            writer.write(head + b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 505 ")
        assert answer.count(b"HTTP/1.1 ") == 1


_OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
_OFFERS = b"POST / HTTP/1.1\r\nhost: x\r\n" + _OFFER
"""The head with which Java's own client starts on a connection without TLS."""
_WITHIN = b"GET /within HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize("split", range(3))
@pytest.mark.parametrize(
    "rest",
    [
        b"content-length: %d\r\n\r\n%b" % (len(_WITHIN), _WITHIN),
        b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(_WITHIN), _WITHIN),
    ],
    ids=["length", "chunked"],
)
async def test_an_offer_of_another_protocol_leaves_body_and_end_of_a_request_where_they_are(
    rest: bytes, split: int
) -> None:
    """RFC 9110 7.8. Otherwise the body is lost, and its later part is read as another request."""
    head, end, body = (_OFFERS + rest).partition(b"\r\n\r\n")
    pieces = [[head + end + body], [head + end, body], [head[:30], head[30:] + end + body[:9], body[9:]]][
        split
    ]
    async with reading() as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(_CHUNKED + b"0\r\n\r\n")
        answer = await reader.readuntil(b"1\r\n3\r\n0\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b"%x\r\n%d\r\n" % (len(str(len(_WITHIN))), len(_WITHIN)) in answer


async def test_many_offers_in_one_piece_are_ignored() -> None:
    many = 800
    async with reading() as (reader, writer):
        writer.write((b"GET / HTTP/1.1\r\nhost: x\r\n" + _OFFER + b"\r\n") * many)
        for _ in range(many):
            assert (await reader.readuntil(b"\r\n0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_tunnel_is_not_opened() -> None:
    async with reading() as (reader, writer):
        writer.write(b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n" + _WITHIN)
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_large_head_and_a_body_in_small_pieces_are_taken() -> None:
    async with reading() as (reader, writer):
        writer.write(_CHUNKED.replace(b"host: x", b"host: x\r\nx: " + b"y" * (32 << 10)))
        writer.write(b"1\r\nz\r\n" * 100_000 + b"0\r\n\r\n")
        answer = await reader.readuntil(b"100003")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("begun", [b"", b"GET / HT", _CHUNKED, _CHUNKED + b"0\r\n"])
async def test_who_goes_silent_in_a_request_is_hung_up_on(begun: bytes) -> None:
    async with reading(patience=0.05) as (reader, writer):
        writer.write(begun)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


async def test_who_waits_for_an_answer_is_not_hung_up_on() -> None:
    answering = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answering.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sock = listening_socket("127.0.0.1")
    async with serving(application, sock, patience=0.01):
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.sleep(0.1)
        answering.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 204 ")
        writer.transport.abort()


async def test_a_connection_is_left_alone_while_an_answer_is_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is watched again as soon as something arrives: a client silent in a later request is hung up on."""
    answering, looks = asyncio.Event(), list[bool]()
    look = ClientCertificateProtocol._look_again

    def noted(protocol: ClientCertificateProtocol) -> None:
        looks.append(answering.is_set())
        look(protocol)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answering.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(ClientCertificateProtocol, "_look_again", noted)
    sock = listening_socket("127.0.0.1")
    async with serving(application, sock, patience=0.01):
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert looks.count(False) <= 1
        answering.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")
        writer.write(b"GET / HT")
        assert await hung_up_on(reader)
        writer.transport.abort()


async def test_who_goes_silent_in_a_request_that_began_before_the_last_answer_is_hung_up_on() -> None:
    answering = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answering.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sock = listening_socket("127.0.0.1")
    async with serving(application, sock, patience=0.01):
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        for piece in (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HT"):
            writer.write(piece)
            for _ in range(10):
                await asyncio.sleep(0.01)
        answering.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")
        assert await hung_up_on(reader)
        writer.transport.abort()


async def hung_up_on(reader: asyncio.StreamReader) -> bool:
    """Return whether the other side ends the connection, within a minute."""
    try:
        async with asyncio.timeout(60):
            return await reader.read() == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


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


async def test_a_server_that_ends_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Each address of each process would write a line, but the process has its own."""
    caplog.set_level(logging.INFO)
    async with telling():
        pass
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("logger", "line"),
    [
        ("asyncio", "SSL connection is closed"),
        ("asyncio", "socket.send() raised exception."),
        ("uvicorn.error", "ASGI callable returned without completing response."),
    ],
)
def test_that_a_connection_was_closed_is_no_line_without_a_name(
    caplog: pytest.LogCaptureFixture, logger: str, line: str
) -> None:
    """The user of the connection writes its own line, with name and reason."""
    logging.getLogger(logger).error(line)
    logging.getLogger(logger).error("another line")
    assert caplog.messages == ["another line"]


async def test_junk_fills_no_journal(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone on the network can send junk or ask for a tunnel, over and over."""
    monkeypatch.setattr(server, "_journal", Journal(lambda: 0.0))
    caplog.set_level(logging.WARNING, "uvicorn.error")
    for junk in [b"junk\r\n\r\n", b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n"] * 5:
        async with reading() as (reader, writer):
            writer.write(junk)
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    assert len(caplog.messages) == len(set(caplog.messages))
    assert "Invalid HTTP request received." in caplog.messages
