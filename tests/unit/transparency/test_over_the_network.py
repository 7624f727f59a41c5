"""The client of witnesses over real connections: late, endless or forbidden answers count as none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from samdrift.audit.merkle import consistency_proof
from samdrift.audit.policies import Member
from samdrift.net.addresses import any_address
from samdrift.net.client import FetchLimits
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.server import listening_socket, serving
from samdrift.transparency.asking import Cosigned, WitnessUnanswered, cosign
from samdrift.transparency.witness import Witness, application
from samdrift.transparency.witnessstate import WitnessState
from tests.unit.audit.signing import LOG, ONE, checkpoint, tree

NOW = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def asked(address: str, *, guarded: bool = False) -> Cosigned:
    member = Member(ONE.key, address)
    permits = None if guarded else any_address
    async with EnteredAddressClient(permits, plain=True, seconds=5) as caller:
        return await cosign(caller, member, checkpoint(8), 0, prove, NOW)


async def prove(old: int, new: int) -> list[bytes]:
    return consistency_proof(old, new, tree(8).node)


@asynccontextmanager
async def speaking(speak: Speak) -> AsyncIterator[str]:
    """Run a server that reads a request's head and then calls ``speak``."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await speak(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_a_witness_answers(tmp_path: Path) -> None:
    with WitnessState(tmp_path / "state.sqlite", ONE.key, new=True) as state:
        witness = Witness(ONE.key, ONE.private.sign, {LOG.name: [LOG.key]}, state, lambda: NOW)
        failures: list[BaseException] = []
        sock = listening_socket("127.0.0.1")
        async with serving(application(witness, failures.append), sock):
            address = f"http://127.0.0.1:{sock.getsockname()[1]}"
            assert (await asked(address)).time == int(NOW.timestamp())
            assert (await asked(f"{address}/")).time == int(NOW.timestamp())
            with pytest.raises(WitnessUnanswered, match="forbidden"):
                await asked(address, guarded=True)
        assert failures == []


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def redirecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    )
    await writer.drain()


async def breaking_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    await writer.drain()


async def babbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff" * 500)
    await writer.drain()


@pytest.mark.parametrize("speak", [silent, dripping, endless, redirecting, breaking_off, babbling])
async def test_anything_else_is_no_answer_within_the_limits(
    speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samdrift.transparency.asking.LIMITS", FetchLimits(64 * 1024, 1.0))
    async with speaking(speak) as address:
        with pytest.raises(WitnessUnanswered):
            await asked(address)


async def test_a_witness_that_is_not_there_has_not_answered() -> None:
    with pytest.raises(WitnessUnanswered):
        await asked("http://127.0.0.1:1")
    with pytest.raises(WitnessUnanswered):
        await asked("not an address")
