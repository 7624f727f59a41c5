"""An organisation has its share of the time, and what it uses beyond that is not taken from others."""

from __future__ import annotations

import asyncio
import time

from samdrift.scheduling.shares import Shares
from samdrift.wire.identifiers import ParticipantIdentifier

A, B = ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se")


async def test_who_has_used_more_than_its_share_waits_and_others_do_not() -> None:
    shares = Shares(0.25, 0.01)
    for _ in range(10):
        shares.charge(A, 0.01)
    began = time.monotonic()
    await shares.wait(B)
    assert time.monotonic() - began < 0.1
    await shares.wait(A)
    assert time.monotonic() - began > 0.3, "0.1 s at a quarter of the time, less the burst"


async def test_a_burst_waits_for_nothing_and_time_that_was_not_used_does_not_add_up() -> None:
    shares = Shares(0.25, 0.05)
    await asyncio.sleep(0.1)
    began = time.monotonic()
    shares.charge(A, 0.04)
    await shares.wait(A)
    assert time.monotonic() - began < 0.05
    shares.charge(A, 0.06)
    await shares.wait(A)
    assert time.monotonic() - began > 0.15


async def test_steps_are_charged_and_leave_others_room_between_them() -> None:
    shares, passed = Shares(0.5, 0.001), 0

    async def other() -> None:
        nonlocal passed
        while True:
            await asyncio.sleep(0)
            passed += 1

    passing = asyncio.create_task(other())
    began = time.monotonic()
    for _ in range(20):
        async with shares.step(A):
            time.sleep(0.005)
    passing.cancel()
    assert time.monotonic() - began > 0.15
    assert passed >= 20
