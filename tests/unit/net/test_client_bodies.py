"""Bodies as they are sent and read, also with peers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samdrift.net.client import HttpClient, HttpFault, NoAnswer, http_client
from tests.unit.net.calling import KEPT, MIB, Reader, Writer, call, fault, pieces, remembering
from tests.unit.net.servers import Asked, answering, asked, reply, talking
from tests.vaults import until


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(public_only=False, seconds=2.0) as one:
        yield one


async def test_a_body_in_pieces_is_sent_with_its_length(client: HttpClient) -> None:
    requests: list[Asked] = []
    async with talking(remembering(requests)) as url:
        await call(client, url, pieces(1, 99_999, 200_000), length=300_000)
    assert requests[0].headers["content-length"] == "300000"
    assert "transfer-encoding" not in requests[0].headers
    assert requests[0].body == b"x" * 300_000


async def test_a_body_in_pieces_of_unknown_length_is_sent_in_chunks(client: HttpClient) -> None:
    async def talk(reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head.lower()
        assert await reader.readuntil(b"\r\n0\r\n\r\n") == b"5\r\nxxxxx\r\n7\r\nxxxxxxx\r\n0\r\n\r\n"
        writer.write(KEPT)

    async with talking(talk) as url:
        assert await call(client, url, pieces(5, 7)) == b"ok"


@pytest.mark.parametrize("length", [299, 301])
async def test_a_body_of_another_length_than_announced_is_not_sent_as_if_it_were_whole(
    client: HttpClient, length: int
) -> None:
    received = []

    async def talk(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        received.append(await reader.read(-1))

    async with talking(talk) as url:
        assert await fault(client, url, pieces(100, 200), length=length) is HttpFault.UNREACHABLE
        await until(lambda: bool(received))
    assert len(received[0]) < length


async def test_what_goes_wrong_in_a_body_is_not_taken_for_the_peer(client: HttpClient) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise TimeoutError("a store of ours")

    async with talking(remembering([])) as url:
        with pytest.raises(TimeoutError, match="a store of ours"):
            await call(client, url, broken(), length=300, method="PUT")


async def test_a_peer_that_takes_nothing_more_is_waited_for_so_long_and_sent_no_more(
    client: HttpClient,
) -> None:
    made = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield bytes(MIB)

    async def deaf(reader: Reader, writer: Writer) -> None:
        await asyncio.sleep(60)

    async with talking(deaf) as url:
        asking = fault(client, url, endless(), length=100_000 * MIB, silence=0.3)
        assert await asyncio.wait_for(asking, 60) is HttpFault.TIMEOUT
    assert made < 32


async def test_a_slow_exchange_goes_on_as_long_as_something_moves(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece that is sent or received restarts the whole time limit."""
    renewed, begun = defaultdict[asyncio.Timeout, list[float]](list), list[float | None]()
    reschedule, timeout = asyncio.Timeout.reschedule, asyncio.timeout

    def rescheduling(self: asyncio.Timeout, when: float | None) -> None:
        if when is not None:
            renewed[self].append(when)
        reschedule(self, when)

    def beginning(delay: float | None) -> asyncio.Timeout:
        begun.append(delay)
        return timeout(delay)

    async def slow(reader: Reader, writer: Writer) -> None:
        request = await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for byte in request.body:
            await asyncio.sleep(0.01)
            writer.write(bytes([byte]))

    monkeypatch.setattr(asyncio.Timeout, "reschedule", rescheduling)
    monkeypatch.setattr(asyncio, "timeout", beginning)
    async with talking(slow) as url:
        body = pieces(*[1] * 10, pause=0.01)
        assert await call(client, url, body, length=10, silence=61) == b"x" * 10
    assert begun.count(61) > 3, "one for the request, and one for each piece of the answer"
    later = max(renewed.values(), key=len)
    assert len(later) >= 10
    assert later == sorted(later)


async def test_an_answer_that_stops_in_the_middle_is_not_waited_for_long(client: HttpClient) -> None:
    async def stops(reader: Reader, writer: Writer) -> None:
        await asked(reader)
        writer.write(KEPT[:-1])
        await asyncio.sleep(60)

    async with talking(stops) as url:
        assert await fault(client, url, b"", silence=0.1) is HttpFault.TIMEOUT


async def test_an_answer_before_the_end_of_the_body_is_read(client: HttpClient) -> None:
    async def refuses(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge")
        await asyncio.sleep(60)

    async with talking(refuses) as url:
        body = pieces(*[MIB] * 100)
        async with client.exchange("POST", url, body, length=100 * MIB) as answer:
            assert (answer.status, await answer.read(MIB)) == (413, b"large")


async def test_an_answer_can_be_taken_piece_by_piece(client: HttpClient) -> None:
    go_on = asyncio.Event()

    async def talk(reader: Reader, writer: Writer) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")
        await go_on.wait()
        writer.write(b"again")

    async with talking(talk) as url, client.exchange("GET", url) as answer:
        received = []
        async for piece in answer.pieces():
            received.append(piece)
            go_on.set()
    assert received == [b"first", b"again"]


async def test_nothing_is_unpacked(client: HttpClient) -> None:
    packed = gzip.compress(bytes(MIB))

    async def answer(request: Asked) -> bytes:
        return reply(packed, "200 OK", "content-encoding: gzip")

    async with answering(answer) as url:
        assert await call(client, url, method="GET") == packed


async def test_an_answer_is_not_taken_in_faster_than_it_is_read(client: HttpClient) -> None:
    sent = 0

    async def talk(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(MIB))
            await writer.drain()
            sent += 1

    async with talking(talk) as url, client.exchange("GET", url) as answer:
        async for _ in answer.pieces():
            await asyncio.sleep(0.3)
            break
        assert sent < 32


START = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 X\r\n", b""]
)
HEADER = st.sampled_from(
    [
        b"",
        b"content-length: 5\r\n",
        b"content-length: 6\r\n",
        b"content-length: -1\r\n",
        b"transfer-encoding: chunked\r\n",
        b"content-encoding: gzip\r\n",
        b"\0: \r\n",
        b"x: " + b"y" * 10_000 + b"\r\n",
    ]
)
BODY = st.sampled_from([b"\r\nhello", b"\r\n5\r\nhello\r\n0\r\n\r\n", b"\r\nzz\r\n", b"hello"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.tuples(START, HEADER, HEADER, BODY).map(b"".join) | st.binary(max_size=200))
async def test_whatever_a_peer_answers_there_is_an_answer_or_none(client: HttpClient, answer: bytes) -> None:
    async def talk(reader: Reader, writer: Writer) -> None:
        await asked(reader)
        writer.write(answer)

    async with talking(talk) as url:
        with contextlib.suppress(NoAnswer):
            assert len(await call(client, url, method="GET")) <= len(answer)
