"""Reading of an HTTP answer, and its time limits."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from samdrift.net.client import Fetched, FetchLimits, HttpClient, HttpFault, NoAnswer, fetch, http_client
from tests.unit.net.servers import Asked, answering, reply

LIMITS = FetchLimits(max_bytes=1000, seconds=2.0)


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(public_only=False) as one:
        yield one


async def fault(client: HttpClient, url: str, limits: FetchLimits = LIMITS) -> HttpFault:
    with pytest.raises(NoAnswer) as caught:
        await fetch(client, url, limits)
    assert url not in str(caught.value)
    return caught.value.fault


async def test_an_answer_is_given_whatever_its_status(client: HttpClient) -> None:
    async def answer(asked: Asked) -> bytes:
        assert asked.headers["accept-encoding"] == "identity"
        return reply(asked.method.encode() + asked.body, "404 Not Found", "content-type: text/plain")

    async with answering(answer) as url:
        assert await fetch(client, url, LIMITS) == Fetched(404, "text/plain", b"GET")
        assert await fetch(client, url, LIMITS, content=b"!") == Fetched(404, "text/plain", b"POST!")


async def test_redirects_are_not_followed(client: HttpClient) -> None:
    called = []

    async def answer(asked: Asked) -> bytes:
        called.append(asked.target)
        return reply(b"", "302 Found", "location: /elsewhere")

    async with answering(answer) as url:
        assert (await fetch(client, url + "/here", LIMITS)).status == 302
    assert called == ["/here"]


async def test_a_body_is_read_up_to_its_limit(client: HttpClient) -> None:
    async def answer(asked: Asked) -> bytes:
        return reply(b"x" * int(asked.target[1:]))

    async with answering(answer) as url:
        assert len((await fetch(client, f"{url}/1000", LIMITS)).body) == 1000
        assert await fault(client, f"{url}/1001") is HttpFault.TOO_LARGE


async def test_a_body_without_announced_length_is_bounded_too(client: HttpClient) -> None:
    async def answer(asked: Asked) -> bytes:
        return b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000

    async with answering(answer) as url:
        assert await fault(client, url) is HttpFault.TOO_LARGE


async def test_a_compressed_body_is_not_unfolded(client: HttpClient) -> None:
    async def answer(asked: Asked) -> bytes:
        return reply(gzip.compress(bytes(10_000_000)), "200 OK", "content-encoding: gzip")

    async with answering(answer) as url:
        assert await fault(client, url) is HttpFault.ENCODED


async def test_the_whole_answer_must_come_in_time_however_it_trickles(client: HttpClient) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except OSError:
            writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert await fault(client, url, FetchLimits(1000, 0.2)) is HttpFault.TIMEOUT
    server.close()


@pytest.mark.parametrize("answer", [b"", b"rubbish\r\n\r\n", reply(b"whole")[:-1]])
async def test_half_an_answer_is_none(client: HttpClient, answer: bytes) -> None:
    async def broken(asked: Asked) -> bytes:
        return answer

    async with answering(broken) as url:
        assert await fault(client, url) is HttpFault.UNREACHABLE


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid", "a" * 300])
async def test_nobody_there_is_a_typed_error(client: HttpClient, host: str) -> None:
    assert await fault(client, f"http://{host}/") is HttpFault.UNREACHABLE


@pytest.mark.parametrize(
    "url",
    [
        "ftp://localhost/",
        "http://localhost:99999/",
        "http://a@localhost/",
        "localhost",
        "http://[::1/",
        "http://[:::]/",
        "http://[127.0.0.1]/",
    ],
)
async def test_what_is_no_web_address_is_not_called(client: HttpClient, url: str) -> None:
    assert await fault(client, url) is HttpFault.FORBIDDEN
