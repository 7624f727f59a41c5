"""Requests as they are sent, and connections as they are kept."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from samdrift.net.client import HttpClient, HttpFault, NoAnswer, _typed, http_client
from tests.unit.net.calling import KEPT, Reader, Writer, call, fault, pieces, remembering
from tests.unit.net.servers import Asked, answering, asked, reply, talking


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(public_only=False, seconds=2.0) as one:
        yield one


async def test_a_request_says_no_more_than_it_must(client: HttpClient) -> None:
    requests: list[Asked] = []
    async with talking(remembering(requests)) as url:
        await call(client, url + "/a%3A%3Ab%2f?c=%5B1%5D", method="GET")
        await call(client, url, b"body", headers={"content-type": "text/xml"})
    host = url.removeprefix("http://")
    common = {"host": host, "user-agent": "samdrift", "accept-encoding": "identity", "accept": "*/*"}
    assert (requests[0].target, requests[0].headers) == ("/a%3A%3Ab%2f?c=%5B1%5D", common)
    assert requests[1].headers == common | {"content-type": "text/xml", "content-length": "4"}


async def test_an_ipv6_address_stands_in_brackets(client: HttpClient) -> None:
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    requests: list[Asked] = []
    async with talking(remembering(requests), host="::1") as url:
        await call(client, url, method="GET")
    assert requests[0].headers["host"] == url.removeprefix("http://")


async def test_nothing_is_taken_from_the_environment_or_from_earlier_answers(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    requests = []

    async def answer(request: Asked) -> bytes:
        requests.append(request)
        return reply(b"", "200 OK", "set-cookie: a=b; path=/")

    async with answering(answer) as url:
        for _ in range(2):
            await call(client, url, method="GET")
    assert len(requests) == 2
    assert not {"cookie", "authorization", "proxy-authorization"} & requests[1].headers.keys()


@pytest.mark.parametrize("body", [b"x" * 300, None])
async def test_a_connection_is_used_again_when_its_answer_was_read(
    client: HttpClient, body: bytes | None
) -> None:
    connections = []

    async def talk(reader: Reader, writer: Writer) -> None:
        connections.append(writer)
        await remembering([])(reader, writer)

    async with talking(talk) as url:
        for _ in range(3):
            await call(client, url, body or pieces(100, 200), length=300)
    assert len(connections) == 1


async def test_a_connection_whose_answer_was_left_is_ended() -> None:
    connections = []

    async def talk(reader: Reader, writer: Writer) -> None:
        connections.append(writer)
        await asked(reader)
        writer.write(KEPT[:-1])
        await asyncio.sleep(0.02)
        writer.write(KEPT[-1:])
        await reader.read(-1)

    async with talking(talk) as url, http_client(public_only=False, connections=1) as client:
        async with client.exchange("GET", url) as answer:
            assert answer.status == 200
        assert await call(client, url, method="GET") == b"ok"
    assert len(connections) == 2


async def test_no_more_connections_than_allowed() -> None:
    now, most = 0, 0

    async def answer(request: Asked) -> bytes:
        nonlocal now, most
        now += 1
        most = max(now, most)
        await asyncio.sleep(0.02)
        now -= 1
        return reply(b"")

    async with answering(answer) as url, http_client(public_only=False, connections=3) as client:
        await asyncio.gather(*(call(client, url, method="GET") for _ in range(12)))
    assert most == 3


async def test_a_kept_connection_that_the_peer_closes_meanwhile_costs_no_idempotent_request(
    client: HttpClient,
) -> None:
    async def talk(reader: Reader, writer: Writer) -> None:
        await asked(reader)
        writer.write(KEPT)
        await reader.readuntil(b"\r\n\r\n")

    async with talking(talk) as url:
        for _ in range(3):
            assert await call(client, url, method="GET") == b"ok"
        assert await fault(client, url, b"") is HttpFault.UNREACHABLE


async def test_a_call_that_is_given_up_leaves_no_connection(client: HttpClient) -> None:
    came, left = asyncio.Event(), asyncio.Event()

    async def talk(reader: Reader, writer: Writer) -> None:
        came.set()
        await reader.read(-1)
        left.set()

    async with talking(talk) as url:
        task = asyncio.create_task(call(client, url, b""))
        await asyncio.wait_for(came.wait(), 60)
        task.cancel()
        await asyncio.wait_for(left.wait(), 60)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientOSError(errno.ECONNRESET, "at 192.0.2.1"), "connection reset by peer"),
        (BrokenPipeError(errno.EPIPE, "at 192.0.2.1"), "broken pipe"),
        (aiohttp.ClientOSError(errno.EIO, "at 192.0.2.1"), "ClientOSError"),
        (aiohttp.ClientPayloadError("of somebody"), "the connection was closed before the answer ended"),
        (aiohttp.ServerDisconnectedError("of somebody"), "the connection was closed before the answer ended"),
    ],
)
def test_a_connection_that_breaks_says_so_in_words(error: Exception, words: str) -> None:
    with pytest.raises(NoAnswer) as caught, _typed():
        raise error
    assert caught.value.words == f"unreachable ({words})"
