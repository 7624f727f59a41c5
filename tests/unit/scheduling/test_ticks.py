"""A process's loops wake it together, but the processes of a machine do not wake together."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise

import pytest

from samdrift.scheduling.ticks import last_tick, tick
from tests.virtualtime import in_virtual_time, seconds

_PROCESSES = range(4_000, 4_300)


async def _ticks(period: float, count: int) -> list[float]:
    found = []
    for _ in range(count):
        await tick(period)
        found.append(seconds())
    return found


async def _later(period: float, count: int) -> list[float]:
    await asyncio.sleep(0.7)
    return await _ticks(period, count)


@in_virtual_time
async def test_loops_that_begin_at_different_moments_wake_the_process_together() -> None:
    often, seldom = await asyncio.gather(_ticks(1, 25), _later(5, 4))
    assert all(min(abs(each - other) for other in often) < 0.001 for each in seldom)
    assert all(abs(later - earlier - 1) < 0.001 for earlier, later in pairwise(often))


@in_virtual_time
async def test_a_tick_is_never_further_away_than_its_period() -> None:
    for _ in range(50):
        await asyncio.sleep(0.37)
        began = seconds()
        await tick(2)
        assert 0 < seconds() - began <= 2.02


def test_the_processes_of_a_machine_wake_at_different_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [0] * 20
    for process in _PROCESSES:
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        parts[int((1_000 - last_tick(1_000, 2)) * 10)] += 1
    assert max(parts) <= 2 * len(_PROCESSES) / len(parts)
