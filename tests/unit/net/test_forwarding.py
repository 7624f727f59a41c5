"""Requests forwarded over a Unix socket: fields that pass or are dropped, and ends on either side."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from starlette.responses import Response

from samdrift.net.forwarding import REDIRECT, VOUCHED, Away, Forwarder, behind_front
from samdrift.net.front import Front
from samdrift.net.server import CLIENT_CERTIFICATE, listening_socket, serving
from samdrift.net.tls import server_tls
from tests.roles import web
from tests.unit.net.test_tls import CLIENTS, Place
from tests.vaults import until

PIECE = b"x" * 65536
MANY = 400


async def reading(receive: Any) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def answer(send: Any, *pieces: bytes, status: int = 200, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def unix_socket(place: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(place))
    return sock


async def later(scope: Any) -> Response:
    return Response("later", 503, {"retry-after": "7"})


@asynccontextmanager
async def fronted(
    folder: Path, worker: Any, *, tls: Any = None, broken: list[str] | None = None, patience: float = 60
) -> AsyncIterator[tuple[str, int]]:
    """Serve a front on loopback with ``worker`` behind it; yield host and port."""
    place = folder / "worker"
    async with contextlib.AsyncExitStack() as stack:
        if worker is not None:
            await stack.enter_async_context(serving(behind_front(worker), unix_socket(place)))
        forwarder = Forwarder(patience)
        stack.push_async_callback(forwarder.aclose)
        front = Front(forwarder, (broken if broken is not None else []).append)
        sock = listening_socket("127.0.0.1")
        application = front.by_head("C", lambda scope: place, later)
        await stack.enter_async_context(serving(application, sock, tls=tls))
        yield sock.getsockname()


async def asked(address: tuple[str, int], request: bytes) -> bytes:
    """Send raw bytes; return the answer, to the end of the connection."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    got = await reader.read()
    writer.close()
    return got


async def test_method_path_query_fields_and_status_go_through_as_they_are(tmp_path: Path) -> None:
    seen = {}

    async def worker(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        body = b"".join([piece async for piece in reading(receive)])
        fields = [(b"www-authenticate", b"a"), (b"www-authenticate", b"b"), (b"content-length", b"5")]
        await answer(send, body, status=418, headers=fields)

    async with fronted(tmp_path, worker) as address:
        request = b"PUT /a%2Fb//c?q=%20&q=2 HTTP/1.1\r\nHost: them.test\r\nX-One: 1\r\nx-one: 2\r\n"
        request += b"Connection: close\r\n"
        got = await asked(address, request + b"Content-Length: 5\r\n\r\nhello")
    assert seen["method"] == "PUT"
    assert seen["raw_path"] == b"/a%2Fb//c"
    assert seen["query_string"] == b"q=%20&q=2"
    headers = [pair for pair in seen["headers"] if pair[0] != b"connection"]
    assert sorted(headers) == [
        (b"content-length", b"5"),
        (b"host", b"them.test"),
        (b"x-one", b"1"),
        (b"x-one", b"2"),
    ]
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 418")
    assert head.count(b"www-authenticate") == 2
    assert body == b"hello"


async def test_blanks_around_a_value_are_no_part_of_it(tmp_path: Path) -> None:
    """RFC 9110 5.5: this applies around a length too."""

    async def worker(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"".join([piece async for piece in reading(receive)]))

    async with fronted(tmp_path, worker) as address:
        request = b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \t5 \t\r\n\r\nhello"
        got = await asked(address, request)
    assert got.startswith(b"HTTP/1.1 200")
    assert b"hello" in got


@pytest.mark.parametrize("target", [b"*", b"http://elsewhere.test/x", b"/\xff", b"//there/x", b"/a b"])
async def test_an_odd_target_reaches_no_other_host(tmp_path: Path, target: bytes) -> None:
    async def worker(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"here", headers=[(b"content-length", b"4")])

    async with fronted(tmp_path, worker) as address:
        got = await asked(address, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert got.endswith(b"here") or got.startswith(b"HTTP/1.1 400")


async def test_the_certificate_goes_along_and_what_a_client_says_of_one_does_not(tmp_path: Path) -> None:
    """RFC 9440 4: fields of that name from outside are dropped."""

    async def worker(scope: Any, receive: Any, send: Any) -> None:
        told = [scope[CLIENT_CERTIFICATE], [name.decode() for name, _ in scope["headers"]]]
        await answer(send, json.dumps(told).encode())

    place = Place(tmp_path)
    own = place.client("system", CLIENTS)
    forged = ":" + base64.b64encode(b"somebody else's").decode() + ":"
    fields = {"Client-Cert": forged, "Client-Cert-Chain": forged}
    tls = server_tls(place.server, place.clients)
    async with fronted(tmp_path, worker, tls=tls.serving) as (_, port):
        context = web.tls(place.trust, (own.certificate, ""))
        got = await web.call(context, "GET", f"https://localhost:{port}/", headers=fields)
    shown, names = got.document()
    pem = own.certificate.read_bytes()
    assert shown == x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()
    assert not [name for name in names if "client-cert" in name]
    (tmp_path / "worker").unlink()
    async with fronted(tmp_path, worker) as address:
        request = f"GET / HTTP/1.1\r\nHost: x\r\nClient-Cert: {forged}\r\nConnection: close\r\n\r\n"
        assert b'[null, ["host"' in await asked(address, request.encode())


async def test_a_large_answer_comes_no_faster_than_it_is_taken(tmp_path: Path) -> None:
    given = 0

    async def worker(scope: Any, receive: Any, send: Any) -> None:
        nonlocal given
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while given < MANY:
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            given += 1
        await send({"type": "http.response.body", "body": b""})

    async with fronted(tmp_path, worker) as address:
        reader, writer = await asyncio.open_connection(*address, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: given > 0)
        await _stands_still(lambda: given)
        assert given < MANY // 2
        got = 0
        while got < MANY * len(PIECE):
            got += len(await reader.read(1 << 20))
        writer.close()


async def test_a_large_request_goes_no_faster_than_it_is_taken(tmp_path: Path) -> None:
    taking, sent = asyncio.Event(), 0

    async def worker(scope: Any, receive: Any, send: Any) -> None:
        await taking.wait()
        size = sum([len(piece) async for piece in reading(receive)])
        await answer(send, str(size).encode(), headers=[(b"content-length", b"8")])

    async with fronted(tmp_path, worker) as address:
        reader, writer = await asyncio.open_connection(*address)
        head = f"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {MANY * len(PIECE)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())

        async def sends() -> None:
            nonlocal sent
            for _ in range(MANY):
                writer.write(PIECE)
                await writer.drain()
                sent += 1

        sending = asyncio.create_task(sends())
        await _stands_still(lambda: sent)
        assert sent < MANY // 2
        taking.set()
        await sending
        assert (await reader.read()).endswith(str(MANY * len(PIECE)).encode())


async def _stands_still(count: Any) -> None:
    """Wait until a number has not changed for a while."""
    before = -1
    while before != count():
        before = count()
        await asyncio.sleep(0.3)


async def test_a_client_that_leaves_ends_what_is_done_for_it(tmp_path: Path) -> None:
    """This happens before its body is complete, and while it waits for the answer."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def worker(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    async with fronted(tmp_path, worker) as address:
        for request in (
            b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            _, writer = await asyncio.open_connection(*address)
            writer.write(request)
            async with asyncio.timeout(60):
                await begun.wait()
                writer.transport.abort()
                await ended.wait()
            begun.clear()
            ended.clear()


async def test_a_process_that_hangs_keeps_no_request_for_ever(tmp_path: Path) -> None:
    """The client's departure is not noticed yet: nothing is read from it until everything was forwarded."""

    woken = asyncio.Event()

    async def worker(scope: Any, receive: Any, send: Any) -> None:
        await woken.wait()

    async with fronted(tmp_path, worker, patience=0.3) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(f"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {MANY * len(PIECE)}\r\n\r\n".encode())
        writer.write(PIECE * MANY)
        async with asyncio.timeout(60):
            assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        writer.transport.abort()
        woken.set()


async def test_without_the_process_clients_are_told_to_come_again(tmp_path: Path) -> None:
    async with fronted(tmp_path, None) as address:
        got = await asked(address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 7" in got
    assert got.endswith(b"later")


async def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    async def worker(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise OSError

    broken: list[str] = []
    async with fronted(tmp_path, worker, broken=broken) as address:
        got = await asked(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"half" in got
    assert not got.endswith(b"0\r\n\r\n")
    assert broken == ["C"]


async def test_an_answer_that_is_asked_for_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    async def worker(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"piece", "more_body": True})
            await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b""})

    place, forwarder = tmp_path / "worker", Forwarder()
    async with serving(worker, unix_socket(place)):
        assert await forwarder.get(place, "/metrics", 10, 15) == b"piece" * 3
        with pytest.raises(Away):
            await forwarder.get(place, "/metrics", 10, 14)
    await forwarder.aclose()


async def test_an_answer_before_the_end_of_the_request_is_passed_on(tmp_path: Path) -> None:
    async def worker(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"enough", status=413)

    async with fronted(tmp_path, worker) as address:
        got = await asked(address, b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nx")
    assert got.startswith(b"HTTP/1.1 413")
    assert b"enough" in got


@asynccontextmanager
async def two_behind(folder: Path, judging: Any, answering: Any, may: str) -> AsyncIterator[tuple[str, int]]:
    """Serve a front with a process that judges, and another that answers for the role ``may``."""
    first, second = folder / "first", folder / "second"
    async with contextlib.AsyncExitStack() as stack:
        for place, worker in ((first, judging), (second, answering)):
            await stack.enter_async_context(serving(behind_front(worker), unix_socket(place)))
        forwarder = Forwarder()
        stack.push_async_callback(forwarder.aclose)
        sock = listening_socket("127.0.0.1")
        application = Front(forwarder, [].append).by_head(
            "D", lambda scope: first, later, lambda scope, judged, role: second if role == may else None
        )
        await stack.enter_async_context(serving(application, sock))
        yield sock.getsockname()


async def judge(scope: Any, receive: Any, send: Any) -> None:
    assert VOUCHED not in scope
    await answer(send, b"not here", status=404, headers=[(REDIRECT.encode(), b"ap journal")])


async def test_what_one_process_has_judged_another_one_answers_as_that_clients(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def ask(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope.get(VOUCHED))
        await answer(send, b"the log")

    request = b"GET /log HTTP/1.1\r\nHost: a\r\nSamdrift-Vouched: admin\r\nConnection: close\r\n\r\n"
    async with two_behind(tmp_path, judge, ask, "ap") as address:
        got = await asked(address, request)
    assert seen == ["journal"]
    assert b"the log" in got
    assert b"samdrift" not in got.lower()


async def test_a_role_that_the_front_does_not_allow_is_answered_by_the_process_that_judged(
    tmp_path: Path,
) -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    async with two_behind(tmp_path, judge, never, "mk") as address:
        got = await asked(address, b"GET /log HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 404")
    assert b"not here" in got
    assert b"samdrift" not in got.lower()


async def test_nobody_outside_can_say_that_a_client_was_judged(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def worker(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([VOUCHED in scope, [name for name, _ in scope["headers"]]])
        await answer(send)

    async with fronted(tmp_path, worker) as address:
        request = b"GET / HTTP/1.1\r\nHost: a\r\nSamdrift-Vouched: x\r\nConnection: close\r\n\r\n"
        await asked(address, request)
    assert seen == [False, [b"host"]]
