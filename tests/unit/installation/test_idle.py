"""An idle installation does its repeated work without going through its organisations.

Memory that has not been touched for a moment is far away: on an idle machine, a walk over scattered
objects takes many times as long as in a loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.contracts.principals import Role
from samdrift.installation import newcomers
from samdrift.installation.newcomers import newcomers_taken_up
from samdrift.installation.reconciling import Reconciler
from samdrift.scheduling.leases import Leases, partition_of
from samdrift.scheduling.rounds import Rounds, Served
from samdrift.vault.gate import Gate
from samdrift.vault.registry import Registration, RegistrationState, Registry
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import virtualtime

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
MANY = tuple(ParticipantIdentifier(f"0203:kommun{number}.se") for number in range(200))


@contextmanager
def lookups() -> Iterator[list[ParticipantIdentifier]]:
    """Record each organisation that is looked up in a set or mapping while the context lasts."""
    found, hashed = list[ParticipantIdentifier](), ParticipantIdentifier.__hash__

    def noted(organisation: ParticipantIdentifier) -> int:
        found.append(organisation)
        return hashed(organisation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ParticipantIdentifier, "__hash__", noted)
        yield found


def registered(registry: Registry, *organisations: ParticipantIdentifier) -> Registry:
    registry.replace(
        Registration(each, role, RegistrationState.ACTIVE, f"{each} {role}", "", b"", "")
        for each in organisations
        for role in (AP, MT)
    )
    return registry


async def nothing_due(until: object) -> list[Any]:
    return []


Serving = Callable[[Registry], Callable[[], Any]]
SERVING: list[Serving] = [
    lambda registry: partial(registry.worked_for, AP),
    lambda registry: Served(MANY, lambda one: registry.works_for(one, AP), lambda: registry.version),
]


@pytest.mark.parametrize("serving", SERVING, ids=["all that are registered", "some of them"])
@virtualtime.in_virtual_time
async def test_a_look_at_what_is_due_goes_through_nobody_unless_others_are_served(serving: Serving) -> None:
    leases = Leases()
    leases.begin()
    leases.renewed({partition_of(one, AP): None for one in MANY}, 1e9)
    registry = registered(Registry(leases=leases), *MANY)
    rounds = Rounds(nothing_due, serving(registry), virtualtime.now)
    await rounds.due(virtualtime.now())
    with lookups() as found:
        for _ in range(100):
            assert await rounds.due(virtualtime.now()) == []
    assert len(found) <= 100, "a round may look up only the next organisation"

    async def looked_at() -> set[ParticipantIdentifier]:
        await rounds.due(virtualtime.now())
        await asyncio.sleep(3600)
        return {one for one, _ in await rounds.due(virtualtime.now())}

    assert await looked_at() == set(MANY)
    registered(registry, *MANY[:9])
    assert await looked_at() == set(MANY[:9]), "organisations that are no longer served must be left out"
    await leases.leave({partition_of(MANY[0], AP)})
    left = {one for one in MANY[:9] if partition_of(one, AP) != partition_of(MANY[0], AP)}
    assert await looked_at() == left, "organisations whose work another process has must be left out"
    leases.renewed({}, 1e9)
    assert await looked_at() == set()


class Listed(tuple[Any, ...]):
    """Organisations of a configuration that count the iterations over them."""

    passes = 0

    def __iter__(self) -> Iterator[Any]:
        type(self).passes += 1
        return super().__iter__()


@virtualtime.in_virtual_time
async def test_organisations_of_the_configuration_are_gone_through_when_its_file_has_changed() -> None:
    Listed.passes = 0
    listed: list[Sequence[Any]] = [Listed(SimpleNamespace(identifier=one) for one in MANY)]
    taken: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(newcomers, "current_organisations", lambda config: lambda: listed[0])
        patch.setattr(newcomers, "_take_up", lambda one, roles: taken.append(one.identifier))
        looking = asyncio.create_task(
            newcomers_taken_up(cast(Any, SimpleNamespace(organisations=listed[0])), [])
        )
        await asyncio.sleep(100)
        assert (Listed.passes, taken) == (1, [])
        new = ParticipantIdentifier("0203:ny.se")
        listed[0] = Listed([*listed[0], SimpleNamespace(identifier=new)])
        before = Listed.passes
        await asyncio.sleep(100)
        looking.cancel()
    assert (Listed.passes - before, taken) == (1, [new])


@virtualtime.in_virtual_time
async def test_logs_that_were_compared_cost_nothing_until_the_night() -> None:
    compared: list[ParticipantIdentifier] = []

    async def compare(self: Reconciler, organisation: ParticipantIdentifier) -> None:
        compared.append(organisation)

    leases = Leases()
    gate = cast(Gate, SimpleNamespace(registry=registered(Registry(leases=leases), *MANY), leases=leases))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reconciler, "compare", compare)
        keeping = asyncio.create_task(Reconciler(gate, virtualtime.now).keep())
        await asyncio.sleep(timedelta(minutes=17).total_seconds())
        assert sorted(compared, key=str) == sorted(MANY, key=str)
        with lookups() as found:
            await asyncio.sleep(timedelta(hours=1).total_seconds())
        assert len(found) <= 60, "each minute only the next organisation may be looked up"
        await asyncio.sleep(timedelta(hours=23).total_seconds())
        keeping.cancel()
    assert len(compared) == 2 * len(MANY)
