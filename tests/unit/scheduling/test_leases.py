"""Work that comes by itself runs under a lease, and stops before another process can have the lease."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from samdrift.contracts.principals import Role
from samdrift.scheduling.leases import PARTITIONS, Leases, NotLeased, Partition, partition_of
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.virtualtime import in_virtual_time, seconds

A, B = (ParticipantIdentifier(f"0203:{name}.se") for name in ("a", "b"))
AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
EVERYTHING = {partition_of(A, AP), partition_of(B, AP)}


def leased(*partitions: Partition, until: float = 100.0) -> Leases:
    """Return the leases of a process with these partitions until then, by the running loop's clock."""
    leases = Leases(seconds)
    leases.begin()
    leases.renewed(dict.fromkeys(partitions or EVERYTHING), until)
    return leases


def test_an_organisation_is_in_one_partition_in_all_roles_and_organisations_are_spread() -> None:
    assert partition_of(A, AP).number == partition_of(A, MT).number
    many = {partition_of(ParticipantIdentifier(f"0203:{number}.se"), AP).number for number in range(1000)}
    assert many == set(range(PARTITIONS))
    assert partition_of(None, None) == Partition()


async def test_a_process_without_a_keeper_is_in_charge_of_everything() -> None:
    leases = Leases()
    assert leases.holds(A, AP)
    async with leases.working(A, AP):
        pass


@in_virtual_time
async def test_a_lease_ends_by_the_clock_whatever_else_happens() -> None:
    leases = leased(until=seconds() + 10)
    assert leases.holds(A, AP)
    assert not leases.holds(A, MT), "there is no lease for that role"
    await asyncio.sleep(10)
    assert not leases.holds(A, AP)
    assert leases.held() == set()
    with pytest.raises(NotLeased):
        async with leases.working(A, AP):
            pass


@in_virtual_time
async def test_a_renewal_of_the_same_partitions_looks_at_none_of_them_unless_one_was_left() -> None:
    leases, same = Leases(seconds), dict.fromkeys(EVERYTHING)
    leases.begin()
    leases.renewed(same, 100)
    changes, hashed, found = leases.changes, Partition.__hash__, list[Partition]()

    def noted(partition: Partition) -> int:
        found.append(partition)
        return hashed(partition)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Partition, "__hash__", noted)
        leases.renewed(same, 200)
    assert (found, leases.changes) == ([], changes)
    await asyncio.sleep(150)
    assert leases.holds(A, AP)
    await leases.leave({partition_of(A, AP)})
    assert not leases.holds(A, AP)
    leases.renewed(same, 300)
    assert leases.holds(A, AP)
    assert leases.gained(A, AP).number == leases.gains, (
        "this must count as a new gain, with its former holder"
    )


@in_virtual_time
async def test_what_is_done_under_a_lease_that_is_left_is_cancelled_and_waited_for() -> None:
    leases, told = leased(), list[str]()

    async def give_back() -> None:
        await asyncio.sleep(1)
        told.append("given back")

    async def work(organisation: ParticipantIdentifier) -> None:
        try:
            async with leases.working(organisation, AP, give_back):
                await asyncio.sleep(50)
            told.append("done")
        except NotLeased:
            told.append("left")

    ours, others = asyncio.create_task(work(A)), asyncio.create_task(work(B))
    await asyncio.sleep(1)
    await leases.leave({partition_of(A, AP)})
    assert told[0] == "given back", "work must be given back before another process may begin"
    assert not leases.holds(A, AP)
    assert leases.holds(B, AP)
    await asyncio.gather(ours, others)
    assert told == ["given back", "left", "done"]


@in_virtual_time
async def test_a_task_that_is_cancelled_itself_ends_also_while_its_lease_is_lost() -> None:
    leases = leased()

    async def work() -> None:
        with contextlib.suppress(NotLeased):
            async with leases.working(A, AP):
                await asyncio.sleep(50)
        await asyncio.sleep(50)

    task = asyncio.create_task(work())
    await asyncio.sleep(1)
    leases.renewed({}, 0.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seconds() < 50


@in_virtual_time
async def test_work_that_ended_by_itself_is_not_cancelled_afterwards() -> None:
    leases = leased()

    async def work() -> None:
        async with leases.working(A, AP):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(50)
        await asyncio.sleep(1)

    task = asyncio.create_task(work())
    await asyncio.sleep(1)
    await leases.leave()
    await task
    assert not task.cancelled()


@in_virtual_time
async def test_work_waits_for_the_lease_and_is_told_of_it() -> None:
    leases, gains = leased(partition_of(B, AP)), list[float]()
    leases.on_gain(lambda: gains.append(seconds()))
    waiting = asyncio.create_task(leases.until_held(A, AP))
    await asyncio.sleep(5)
    leases.renewed(dict.fromkeys(EVERYTHING, "another"), 100.0)
    await waiting
    assert gains == [5.0]
    assert leases.gained(A, AP).former == "another"
    assert leases.gained(B, AP).former is None, "this lease was held before"


@in_virtual_time
async def test_a_lease_that_is_renewed_a_moment_too_late_is_told_of_too() -> None:
    leases = leased(until=seconds() + 10)
    await asyncio.sleep(11)
    waiting = asyncio.create_task(leases.until_held(A, AP))
    await asyncio.sleep(1)
    leases.renewed(dict.fromkeys(EVERYTHING), seconds() + 100)
    async with asyncio.timeout(60):
        await waiting
    assert leases.holds(A, AP)
