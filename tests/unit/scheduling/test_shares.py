"""An organisation has its share of the time, and any more that it uses is not taken from others."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

import pytest

from samdrift.scheduling.shares import Shares
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.virtualtime import in_virtual_time, seconds

A, B = ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se")


async def waited(shares: Shares, organisation: Hashable) -> float:
    began = seconds()
    await shares.wait(organisation)
    return seconds() - began


@in_virtual_time
async def test_who_has_used_more_than_its_share_waits_and_others_do_not() -> None:
    shares = Shares(0.25, 0.01, seconds)
    for _ in range(10):
        shares.charge(A, 0.01)
    assert await waited(shares, B) == 0
    assert await waited(shares, A) == pytest.approx(0.36), "0.1 s at a quarter of the time, less the burst"


@in_virtual_time
async def test_a_burst_waits_for_nothing_and_time_that_was_not_used_does_not_add_up() -> None:
    shares = Shares(0.25, 0.05, seconds)
    await asyncio.sleep(100)
    shares.charge(A, 0.04)
    assert await waited(shares, A) == 0
    shares.charge(A, 0.06)
    assert await waited(shares, A) == pytest.approx(0.2)


@in_virtual_time
async def test_steps_are_charged_and_leave_others_room_between_them() -> None:
    """A step takes 5 ms by this clock, and an organisation has half of the time."""
    worked = 0.0
    shares, passed = Shares(0.5, 0.001, lambda: seconds() + worked), 0

    async def other() -> None:
        nonlocal passed
        while True:
            await asyncio.sleep(0.001)
            passed += 1

    passing = asyncio.create_task(other())
    for _ in range(20):
        async with shares.step(A):
            worked += 0.005
    passing.cancel()
    assert passed >= 20
    assert seconds() + worked >= 20 * 0.005 / 0.5 - 0.002, "less the burst"
