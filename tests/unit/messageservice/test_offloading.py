"""Work that would keep other organisations waiting is done in another thread."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.messageservice.offloading import AT_ONCE, offload

HERE = cast(Any, SimpleNamespace(remote=False))
ELSEWHERE = cast(Any, SimpleNamespace(remote=True))
_LARGE = 1 << 20
_NAME = ContextVar("_NAME", default="")


@pytest.mark.parametrize(
    ("size", "keys", "in_the_loop"),
    [
        (1000, (), True),
        (1000, (HERE,), True),
        (1000, (HERE, ELSEWHERE), False),
        (1_000_000, (HERE,), False),
    ],
)
async def test_long_work_and_keys_that_are_elsewhere_leave_the_loop_free(
    size: int, keys: tuple[Any, ...], in_the_loop: bool
) -> None:
    worked_in = await offload(size, threading.current_thread, *keys)
    assert (worked_in is threading.current_thread()) is in_the_loop


async def test_what_is_small_finds_a_thread_however_much_large_work_waits() -> None:
    may_end, begun = threading.Event(), list[int]()

    def long(number: int) -> int:
        begun.append(number)
        may_end.wait(60)
        return number

    large = [asyncio.create_task(offload(_LARGE, lambda each=each: long(each))) for each in range(64)]
    try:
        while len(begun) < AT_ONCE:
            await asyncio.sleep(0.01)
        small = [await asyncio.to_thread(len, "small") for _ in range(64)]
        assert small == [5] * 64
        assert await offload(10, lambda: "on the loop") == "on the loop"
        assert len(begun) == AT_ONCE, "the other large jobs must wait"
    finally:
        may_end.set()
    assert await asyncio.gather(*large) == [*range(64)]


async def test_work_in_a_thread_sees_the_context_of_whoever_asked_for_it() -> None:
    _NAME.set("mine")
    assert await offload(_LARGE, _NAME.get) == "mine"
