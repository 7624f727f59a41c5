"""The event loop of the commands, and of these tests."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import uvloop

from samdrift.installation.loop import loop_factory, run


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_commands_run_on_uvloop() -> None:
    assert isinstance(run(running_loop()), uvloop.Loop)


def test_a_thread_with_long_work_gives_way_to_the_loop_within_a_millisecond() -> None:
    async def interval() -> float:
        return sys.getswitchinterval()

    before = sys.getswitchinterval()
    try:
        assert run(interval()) <= 0.001
    finally:
        sys.setswitchinterval(before)


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
