"""The clock against a time server: one that is off, one that is unsynchronised, and nonsense."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from samdrift.net.timeserver import TimeUnknown, clock_offset
from samdrift.operations.findings import State
from samdrift.operations.neighbours import check_clock

_TO_1970 = 2_208_988_800


class Server(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._transport.sendto(self._answer(data), addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def serving(answer: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """Run a time server on loopback; yield its port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Server(answer), local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def ahead(seconds: float, stratum: int = 2, leap: int = 0) -> Callable[[bytes], bytes]:
    """Return the answer of a server whose clock is that far ahead of ours (RFC 4330 4)."""

    def answer(question: bytes) -> bytes:
        now = time.time() + seconds
        stamp = struct.pack(">II", (int(now) + _TO_1970) % 2**32, int(now % 1 * 2**32))
        return bytes([leap << 6 | 4 << 3 | 4, stratum]) + bytes(22) + question[40:48] + stamp + stamp

    return answer


@pytest.mark.parametrize(("seconds", "state"), [(0, State.OK), (-5, State.WARN), (3600, State.FAIL)])
async def test_a_clock_that_is_off_by_so_much(seconds: float, state: State) -> None:
    async with serving(ahead(seconds)) as port:
        off = await clock_offset("127.0.0.1", port, 30.0)
        assert abs(off - timedelta(seconds=seconds)) < timedelta(seconds=0.9)
        assert (await check_clock(f"127.0.0.1:{port}")).state is state


@pytest.mark.parametrize("moment", ["2036-02-07T06:28:16Z", "2036-02-07T06:28:15Z", "2103-01-01T00:00:00Z"])
async def test_a_clock_is_compared_after_stamps_have_begun_at_zero_again(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 4330 3: in February 2036 the seconds since 1900 no longer fit into 32 bits."""
    now = datetime.fromisoformat(moment).timestamp()
    monkeypatch.setattr(time, "time", lambda: now)
    async with serving(ahead(5)) as port:
        (off,) = await asyncio.gather(clock_offset("127.0.0.1", port, 30.0), return_exceptions=True)
    assert off == timedelta(seconds=5)


@pytest.mark.parametrize(
    "answer",
    [ahead(0, stratum=0), ahead(0, stratum=16), ahead(0, leap=3), lambda question: b"hello", bytes.upper],
    ids=["stratum 0", "stratum 16", "no time", "short", "echo"],
)
async def test_a_server_that_does_not_know_is_not_believed(answer: Callable[[bytes], bytes]) -> None:
    async with serving(answer) as port:
        with pytest.raises(TimeUnknown):
            await clock_offset("127.0.0.1", port, 30.0)


async def test_an_answer_to_another_question_is_not_believed() -> None:
    async with serving(lambda question: ahead(0)(bytes(48))) as port:
        with pytest.raises(TimeUnknown):
            await clock_offset("127.0.0.1", port, 30.0)


async def test_nobody_there() -> None:
    with pytest.raises(TimeUnknown, match=r"connection refused at 127.0.0.1:9"):
        await clock_offset("127.0.0.1", 9, 30.0)
