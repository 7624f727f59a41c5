"""Rounds name the organisations with due work, and all others occasionally, spread over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest

from samdrift.contracts.principals import Role
from samdrift.scheduling.rounds import EVERY, Rounds
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import MINUTE, NOW

MANY = [ParticipantIdentifier(f"0203:a{number}.se") for number in range(120)]


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Registry:
    """A registry of the moments of vaults."""

    def __init__(self, **moments: datetime) -> None:
        self.moments = {ParticipantIdentifier(f"0203:{name}.se"): when for name, when in moments.items()}

    async def due(self, until: datetime) -> Sequence[tuple[ParticipantIdentifier, datetime]]:
        return [(each, when) for each, when in self.moments.items() if when <= until]


async def test_who_has_something_due_is_named_in_the_first_round_and_nobody_else() -> None:
    rounds = Rounds(Registry(a1=NOW, a2=NOW + MINUTE).due, lambda: MANY, Clock())
    assert await rounds.due(NOW + MINUTE / 2) == [(MANY[1], NOW)]


async def test_who_is_not_served_is_not_named() -> None:
    rounds = Rounds(Registry(elsewhere=NOW, a1=NOW).due, lambda: MANY, Clock())
    assert await rounds.due(NOW) == [(MANY[1], NOW)]


@pytest.mark.parametrize("step", [timedelta(seconds=30), timedelta(minutes=7), timedelta(hours=3)])
async def test_each_is_looked_at_once_in_a_round_and_few_at_once(step: timedelta) -> None:
    clock = Clock()
    rounds = Rounds(Registry().due, lambda: MANY, clock)
    seen, most = Counter[ParticipantIdentifier](), 0
    turns = max(2, int(2 * EVERY / step)) + 1
    for _ in range(turns):
        named = [each for each, _ in await rounds.due(clock.now)]
        most = max(most, len(named))
        seen.update(named)
        clock.now += step
    assert set(seen) == set(MANY)
    assert max(seen.values()) - min(seen.values()) <= 1
    assert most <= min(len(MANY), len(MANY) * (step / EVERY) + 1)


async def test_a_clock_that_is_set_back_or_far_ahead_names_nobody_twice() -> None:
    clock = Clock()
    rounds = Rounds(Registry().due, lambda: MANY, clock)
    await rounds.due(clock.now)
    clock.now -= timedelta(days=1)
    assert await rounds.due(clock.now) == []
    clock.now += timedelta(days=400)
    assert len({each for each, _ in await rounds.due(clock.now)}) == len(MANY)


async def test_who_joins_gets_its_turn_and_who_leaves_has_none() -> None:
    clock, served = Clock(), MANY[:2]
    rounds = Rounds(Registry().due, lambda: served, clock)
    await rounds.due(clock.now)
    clock.now += EVERY / 2
    await rounds.due(clock.now)
    served = MANY[1:4]
    seen = set()
    for _ in range(6):
        clock.now += EVERY / 2
        seen |= {each for each, _ in await rounds.due(clock.now)}
    assert seen == set(MANY[1:4])


async def test_a_look_that_is_half_due_goes_along_with_whatever_opened_the_vault() -> None:
    """The next look is a whole round later, and no sooner."""
    clock = Clock()
    rounds = Rounds(Registry().due, lambda: MANY[:1], clock)
    await rounds.due(clock.now)
    turns: list[ParticipantIdentifier] = []

    async def opened(role: Role) -> AsyncIterator[tuple[ParticipantIdentifier, Role]]:
        yield MANY[0], role
        yield MANY[1], role

    async def open_in(role: Role) -> None:
        await rounds.go_along(opened(role), Role.MESSAGE_SERVICE, turns.append)

    clock.now += EVERY / 2 - MINUTE
    await open_in(Role.MESSAGE_SERVICE)
    assert turns == [], "half of a round has not passed yet"
    clock.now += MINUTE
    await open_in(Role.ACCESS_POINT)
    assert turns == [], "opening another role's vault must not trigger a look"
    await open_in(Role.MESSAGE_SERVICE)
    await open_in(Role.MESSAGE_SERVICE)
    assert turns == [MANY[0]], "only one look, and only at an organisation that is served"
    clock.now += EVERY - MINUTE
    assert await rounds.due(clock.now) == []
    clock.now += MINUTE
    assert await rounds.due(clock.now) == [(MANY[0], clock.now)]
