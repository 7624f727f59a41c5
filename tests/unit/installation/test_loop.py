"""The event loop of the commands, and of these tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
from typing import Any

import pytest
import uvloop

from samdrift.installation.loop import loop_factory, run


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_commands_run_on_uvloop() -> None:
    assert isinstance(run(running_loop()), uvloop.Loop)


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (ValueError("Kajsa Anka"), ["unexpected ValueError in the event loop ()"]),
        (
            RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"),
            [],
        ),
        (None, ["the event loop: Fatal error on transport"]),
    ],
)
def test_what_the_loop_meets_is_one_line_without_its_text(
    caplog: pytest.LogCaptureFixture, error: Exception | None, lines: list[str]
) -> None:
    """uvloop writes to a connection that its peer has reset: a traceback, though no fault of ours."""

    async def met() -> None:
        context = {"message": "Fatal error on transport"} | ({"exception": error} if error else {})
        asyncio.get_running_loop().call_exception_handler(context)

    run(met())
    assert caplog.messages == lines


def test_a_thread_with_long_work_gives_way_to_the_loop_within_a_millisecond() -> None:
    async def interval() -> float:
        return sys.getswitchinterval()

    before = sys.getswitchinterval()
    try:
        assert run(interval()) <= 0.001
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_connection_that_its_peer_has_reset_closes_nothing_that_is_opened_later(tls: bool) -> None:
    """A balancer without a ready host resets connections; another organisation soon has the file number."""

    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        gone.set()

    gone, loop = asyncio.Event(), asyncio.get_running_loop()
    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    named: dict[str, Any] = (
        {"ssl": ssl.create_default_context(), "server_hostname": "a.example"} if tls else {}
    )
    given, looked_at = socket.socket(), select.poll()
    looked_at.register(given, select.POLLHUP)
    try:
        given.setblocking(False)
        await loop.sock_connect(given, server.sockets[0].getsockname())
        await gone.wait()
        async with asyncio.timeout(60):
            while not looked_at.poll(0):  # Polling, unlike reading, leaves the reset pending.
                await asyncio.sleep(0.01)
        number = given.fileno()
        with contextlib.suppress(OSError):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=given, **named)
            transport.close()
        async with asyncio.timeout(60):
            while _is_open(number):
                await asyncio.sleep(0.01)
        assert given.fileno() == -1, "a socket that is not detached would close a reused file number"
    finally:
        server.close()


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


async def test_so_do_these_tests() -> None:
    expected = loop_factory()()
    assert type(asyncio.get_running_loop()) is type(expected)
    expected.close()


def test_debugging_has_the_loop_that_was_made_for_it() -> None:
    look = """
import asyncio
from samdrift.installation.loop import run
async def main(): return asyncio.get_running_loop()
loop = run(main())
print(type(loop).__module__.partition(".")[0], loop.get_debug())
"""
    for options, environment in ((["-X", "dev"], {}), ([], {"PYTHONASYNCIODEBUG": "1"})):
        ended = subprocess.run(
            [sys.executable, *options, "-c", look], capture_output=True, text=True, env=environment
        )
        assert ended.stdout == "asyncio True\n", ended.stderr
