"""Background work in a context: it ends with the context, and neither hides the other's failure."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from samdrift.net.background import in_background


async def test_work_ends_with_the_context() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with in_background(work(), on_failure=pytest.fail):
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_work_that_had_no_time_to_begin_is_closed() -> None:
    work = asyncio.sleep(60)
    async with in_background(work, on_failure=pytest.fail):
        pass
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


async def test_what_the_context_raises_is_not_wrapped() -> None:
    async def failing() -> None:
        async with in_background(asyncio.sleep(60), on_failure=pytest.fail):
            await asyncio.sleep(0)
            raise KeyError

    with pytest.raises(KeyError):
        await failing()


async def test_a_failure_of_the_work_is_told_and_the_rest_goes_on() -> None:
    failures: list[BaseException] = []

    async def broken() -> None:
        raise ValueError

    async with in_background(broken(), on_failure=failures.append):
        await asyncio.sleep(0.01)
    assert [type(failure) for failure in failures] == [ValueError]
