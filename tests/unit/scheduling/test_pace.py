"""An organisation's backlog does not make another organisation wait for each of its jobs."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise

import pytest

from samdrift.scheduling.pace import Pace
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.virtualtime import in_virtual_time, seconds

A, B, C = (ParticipantIdentifier(f"0203:{name}.se") for name in "abc")
_STEP = 0.005


class Loop:
    """A process in which each step takes time, by a clock that the test knows."""

    def __init__(self) -> None:
        self.worked = 0.0
        self.pace = Pace(self.clock)
        self.order: list[ParticipantIdentifier] = []

    def clock(self) -> float:
        return seconds() + self.worked

    async def steps(self, organisation: ParticipantIdentifier, number: int, pause: float = 0) -> int:
        """Make steps ``pause`` seconds apart, as work that waits for answers does."""
        for _ in range(number):
            self.worked += _STEP
            self.order.append(organisation)
            await asyncio.sleep(pause)
        return number

    def job(self, organisation: ParticipantIdentifier, number: int, pause: float = 0) -> asyncio.Task[int]:
        return asyncio.create_task(
            self.pace.of(organisation, partial(self.steps, organisation, number, pause))
        )


def most_between(order: list[ParticipantIdentifier], organisation: ParticipantIdentifier) -> int:
    """Return the largest number of others' steps between two of the organisation's."""
    places = [place for place, each in enumerate(order) if each == organisation]
    return max(after - before - 1 for before, after in pairwise(places))


@in_virtual_time
async def test_one_step_of_a_backlog_passes_between_two_of_another_however_many_jobs_it_has() -> None:
    loop = Loop()
    jobs = [loop.job(A, 10_000) for _ in range(16)]
    while len(loop.order) < 500:
        await asyncio.sleep(0)
    first = loop.job(B, 5)  # Lets the pace notice that B has work, too.
    await first
    del loop.order[:]
    assert await loop.job(B, 100) == 100
    assert most_between(loop.order, B) <= 1
    for job in jobs:
        job.cancel()


@in_virtual_time
async def test_a_backlog_has_a_quarter_of_the_time_while_another_has_work_and_then_all() -> None:
    loop = Loop()
    jobs = [loop.job(A, 1_000) for _ in range(16)]
    while len(loop.order) < 500:
        await asyncio.sleep(0)
    await loop.job(B, 20, pause=0.03)
    began = loop.clock()
    del loop.order[:]
    await loop.job(B, 200, pause=0.03)
    used = loop.order.count(A) * _STEP
    assert used / (loop.clock() - began) == pytest.approx(0.25, abs=0.05)
    began, left = loop.clock(), 16 * 1_000 - 500 - loop.order.count(A)
    assert sum(await asyncio.gather(*jobs)) == 16_000
    assert loop.clock() - began < left * _STEP + 1, "without other work the backlog must not be slowed down"


@in_virtual_time
async def test_an_organisation_alone_waits_for_nothing() -> None:
    loop = Loop()
    await asyncio.gather(*(loop.job(A, 500) for _ in range(8)))
    assert seconds() == 0


@in_virtual_time
async def test_organisations_that_use_as_much_wait_for_nothing() -> None:
    loop = Loop()
    await asyncio.gather(*(loop.job(each, 500) for each in (A, B, C)))
    assert seconds() == 0


@in_virtual_time
async def test_backlogs_of_several_organisations_pass_in_turn() -> None:
    loop = Loop()
    jobs = [loop.job(each, 10_000) for each in (A, C) for _ in range(8)]
    while len(loop.order) < 500:
        await asyncio.sleep(0)
    await loop.job(B, 50, pause=0.03)
    del loop.order[:]
    await loop.job(B, 300, pause=0.03)
    counts = loop.order.count(A), loop.order.count(C)
    assert counts[0] == pytest.approx(counts[1], abs=max(counts) / 4), counts
    for job in jobs:
        job.cancel()


@in_virtual_time
async def test_a_job_that_waits_for_its_turn_is_cancelled_at_once_and_keeps_no_other_from_it() -> None:
    loop = Loop()
    jobs = [loop.job(A, 2_000) for _ in range(4)]
    while len(loop.order) < 500:
        await asyncio.sleep(0)
    other = loop.job(B, 400, pause=0.03)
    while not loop.pace.behind(A):
        await asyncio.sleep(0.001)
    for job in jobs[1:]:
        job.cancel()
    assert await asyncio.gather(*jobs[1:], return_exceptions=True)
    assert all(job.cancelled() for job in jobs[1:])
    assert await jobs[0] == 2_000
    assert await other == 400


@in_virtual_time
async def test_what_a_step_raises_and_what_it_waits_for_arrive_as_without_a_pace() -> None:
    pace = Pace(seconds)

    async def fails() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.get_running_loop().create_future()
        raise LookupError("mine")

    async def result() -> str:
        mine: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, mine.set_result, "there")
        return await mine

    with pytest.raises(LookupError, match="mine"):
        await pace.of(A, fails)
    assert await pace.of(A, result) == "there"
