"""The signer of a log is notified that it has grown, without being woken for each entry."""

from __future__ import annotations

import asyncio

from samdrift.contracts.principals import Role
from samdrift.scheduling.leases import Leases, partition_of
from samdrift.vault.growth import Growth
from samdrift.vault.registry import Registration, RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.virtualtime import in_virtual_time, seconds

A = ParticipantIdentifier("0203:a.se")
MT = Role.MESSAGE_SERVICE
REGISTRATION = Registration(A, MT, RegistrationState.ACTIVE, "vault", "login", b"", "channel")


@in_virtual_time
async def test_what_this_process_signs_itself_is_announced_to_nobody() -> None:
    announced = list[str]()
    growth = Growth(announced.append)
    growth.sign_here([MT])
    growth.committed(REGISTRATION)
    await asyncio.sleep(60)
    assert announced == []
    assert growth.take(A, MT)


@in_virtual_time
async def test_a_command_announces_immediately_since_it_ends_soon() -> None:
    announced = list[str]()
    Growth(announced.append).committed(REGISTRATION)
    assert announced == ["channel"]


@in_virtual_time
async def test_what_another_process_signs_is_announced_once_for_all_entries_of_a_while() -> None:
    announced, leases = list[str](), Leases(seconds)
    leases.begin()
    growth = Growth(announced.append, leases)
    growth.sign_here([MT])
    for _ in range(10):
        growth.committed(REGISTRATION)
        await asyncio.sleep(0.1)
    await asyncio.sleep(60)
    assert announced == ["channel"]
    growth.committed(REGISTRATION)
    await asyncio.sleep(60)
    assert announced == ["channel"] * 2
    leases.renewed({partition_of(A, MT): None}, seconds() + 100)
    growth.committed(REGISTRATION)
    await asyncio.sleep(60)
    assert announced == ["channel"] * 2, "this process signs the log now, so it must not announce it"
    assert growth.take(A, MT)


@in_virtual_time
async def test_what_has_grown_for_a_while_counts_from_its_first_entry_until_it_is_taken() -> None:
    growth = Growth(lambda _: None, seconds=seconds)
    growth.note(A, MT)
    await asyncio.sleep(3)
    growth.note(A, MT)
    assert growth.for_longer_than(3.5) == []
    assert growth.for_longer_than(2) == [(A, MT)]
    assert growth.take(A, MT)
    growth.note(A, MT)
    await asyncio.sleep(1)
    assert growth.for_longer_than(2) == []
    growth.forget(A, MT)
    await asyncio.sleep(2)
    assert growth.for_longer_than(2) == []
