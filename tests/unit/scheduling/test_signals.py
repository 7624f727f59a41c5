"""Long polls wake when there may be news, and only then."""

from __future__ import annotations

import asyncio

from samdrift.scheduling.signals import Signals
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.virtualtime import in_virtual_time

A = ParticipantIdentifier("0203:a.se")
B = ParticipantIdentifier("0203:b.se")


@in_virtual_time
async def test_a_waiter_wakes_on_its_own_organisation() -> None:
    signals = Signals()
    waiter = asyncio.create_task(signals.beyond(A, signals.count(A), 5))
    await asyncio.sleep(0.01)
    signals.notify(A)
    assert await waiter


@in_virtual_time
async def test_another_organisations_signal_does_not_wake() -> None:
    signals = Signals()
    waiter = asyncio.create_task(signals.beyond(A, signals.count(A), 0.05))
    await asyncio.sleep(0.01)
    signals.notify(B)
    assert not await waiter


@in_virtual_time
async def test_a_signal_between_look_and_wait_is_not_lost() -> None:
    signals = Signals()
    count = signals.count(A)
    signals.notify(A)
    assert await signals.beyond(A, count, 5)


@in_virtual_time
async def test_all_waiters_wake() -> None:
    signals = Signals()
    waiters = [asyncio.create_task(signals.beyond(A, 0, 5)) for _ in range(3)]
    await asyncio.sleep(0.01)
    signals.notify(A)
    assert await asyncio.gather(*waiters) == [True, True, True]
