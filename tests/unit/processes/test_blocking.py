"""Calls that hang or fail, and the work that would have waited for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from samdrift.processes.blocking import Looks, within


@pytest.fixture
def hangs() -> Iterator[threading.Event]:
    """Yield an event that is set at the end, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_call_that_hangs_is_given_up_in_time(hangs: threading.Event) -> None:
    with pytest.raises(TimeoutError):
        await within(0.05, hangs.wait)
    assert await within(60, lambda: 7) == 7


async def test_an_error_that_no_future_takes_is_told_at_once() -> None:
    with pytest.raises(RuntimeError, match="as if it were a generator"):
        await within(60, lambda: next(iter(())))


async def test_a_look_that_hangs_keeps_no_other_waiting(hangs: threading.Event) -> None:
    looked: list[str] = []

    def look(name: str) -> str:
        looked.append(name)
        if name == "alfa":
            hangs.wait()
        return f"seen {name}"

    looks = Looks(
        look, seconds=0.05, hanging=lambda name: f"hangs {name}", failed=lambda name, _: f"failed {name}"
    )
    async with asyncio.timeout(60):
        for _ in range(3):
            while (await looks.at(["alfa", "beta"])) != {"alfa": "hangs alfa", "beta": "seen beta"}:
                assert "beta" in looked
    assert looked.count("alfa") == 1, "a look that hangs occupies a thread, and must not be repeated"
    hangs.set()
    async with asyncio.timeout(60):
        while (await looks.at(["alfa"]))["alfa"] != "seen alfa":
            await asyncio.sleep(0.01)


async def test_a_look_that_fails_is_that_things_alone() -> None:
    def look(name: str) -> str:
        if name == "alfa":
            raise RecursionError
        return "seen"

    looks = Looks(look, seconds=5, hanging=lambda _: "hangs", failed=lambda _, error: type(error).__name__)
    found = await asyncio.gather(looks.at(["alfa", "beta"]), return_exceptions=True)
    assert found == [{"alfa": "RecursionError", "beta": "seen"}]
