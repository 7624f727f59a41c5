"""Silent connections, seen from the side that makes them: they do not take other clients' places."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from samdrift.net import accepting
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import server_tls
from tests.unit.net.test_tls import FIRST, identity, localhost

STRANGER, OTHER = "127.0.0.2", "127.0.0.3"


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def listener(**limits: Any) -> AsyncIterator[tuple[str, int]]:
    sock = listening_socket("127.0.0.1")
    address: tuple[str, int] = sock.getsockname()
    async with serving(_answer, sock, **limits):
        yield address


@contextlib.asynccontextmanager
async def silent(
    address: tuple[str, int], count: int, source: str = STRANGER
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open connections that send nothing."""
    made = [await asyncio.open_connection(*address, local_addr=(source, 0)) for _ in range(count)]
    try:
        yield [reader for reader, _ in made]
    finally:
        for _, writer in made:
            writer.transport.abort()


async def answered(address: tuple[str, int], source: str, within: float = 60) -> bool:
    """Return whether a request of a client at ``source`` is answered."""
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            line = await reader.readline()
            writer.transport.abort()
    except (TimeoutError, ConnectionError):
        return False
    return line.startswith(b"HTTP/1.1 204")


async def until_answered(address: tuple[str, int], source: str) -> None:
    """Ask until there is room."""
    async with asyncio.timeout(60):
        while not await answered(address, source):
            await asyncio.sleep(0.01)


async def ended(reader: asyncio.StreamReader) -> bool:
    """Return whether the other side hangs up."""
    try:
        async with asyncio.timeout(60):
            await reader.read()
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


async def test_1100_silent_connections_of_one_address_leave_room_for_others() -> None:
    refused = 0

    def count() -> None:
        nonlocal refused
        refused += 1

    async with listener(per_address=50, on_refused=count) as address, silent(address, 1100):
        assert await answered(address, OTHER)
        assert not await answered(address, STRANGER)
        assert refused >= 1050


async def test_a_connection_that_has_ended_makes_room_for_another() -> None:
    async with listener(per_address=2) as address:
        for _ in range(3):
            async with silent(address, 2):
                assert not await answered(address, STRANGER)
            await until_answered(address, STRANGER)


async def test_without_a_limit_an_address_may_have_as_many_as_there_are() -> None:
    """Behind a proxy, all connections come from its address."""
    async with listener(per_address=0) as address, silent(address, 300):
        assert await answered(address, STRANGER)


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """Set a soft limit like that of most systems."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    yield 1024
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_half_of_the_descriptors_are_kept_for_everything_else(few_descriptors: int) -> None:
    assert accepting.most_connections() == few_descriptors // 2


async def test_no_more_connections_are_accepted_than_half_of_the_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "most_connections", lambda: 20)
    async with listener() as address:
        async with silent(address, 10), silent(address, 10, "127.0.0.4"):
            await asyncio.sleep(0.05)
            assert not await answered(address, OTHER, within=0.3)
        await until_answered(address, OTHER)


def test_the_soft_limit_of_descriptors_is_raised(few_descriptors: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    accepting.raise_descriptor_limit()
    soft, still = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == min(hard, 65_536)
    assert still == hard


async def test_who_does_not_shake_hands_is_hung_up_on(tmp_path: Path) -> None:
    tls = server_tls(identity(tmp_path / "own.pem", localhost(FIRST))).serving
    async with listener(tls=tls, handshake=0.2) as address, silent(address, 3) as readers:
        for reader in readers:
            assert await ended(reader)


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\n"])
async def test_who_never_ends_the_head_of_a_request_is_hung_up_on(beginning: bytes) -> None:
    """This includes a client that goes on sending a byte now and then."""
    async with listener(patience=0.3) as address:
        reader, writer = await asyncio.open_connection(*address)
        ending = asyncio.create_task(ended(reader))
        writer.write(beginning)
        while not ending.done():
            writer.write(b"a" if beginning else b"")
            await asyncio.sleep(0.05)
        assert ending.result()
        writer.transport.abort()


def test_ipv6_addresses_of_one_subscriber_are_one() -> None:
    group = accepting._group
    assert group("2001:db8:1:2::1") == group("2001:db8:1:2:ffff::2") != group("2001:db8:1:3::1")
    assert group("::ffff:192.0.2.1") == group("192.0.2.1") != group("192.0.2.2")
    assert group("fe80::1%eth0") == group("fe80::2%eth0")
