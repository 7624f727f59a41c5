"""Work that ended processes have left is looked for once in each vault that may have some, and no other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from samdrift.scheduling.claims import Claimant, Leftovers
from samdrift.wire.identifiers import ParticipantIdentifier

A, B, C = (ParticipantIdentifier(f"0203:{name}.se") for name in ("a", "b", "c"))
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LEASE = timedelta(minutes=5)
MOMENTS = {A: NOW - LEASE, B: NOW + LEASE, C: NOW + 2 * LEASE}


async def due(until: datetime) -> Iterable[tuple[ParticipantIdentifier, datetime]]:
    """Return the answer of a registry in which something is due in three vaults."""
    return [(organisation, when) for organisation, when in MOMENTS.items() if when <= until]


async def test_each_vault_that_may_have_a_claim_of_an_ended_process_gets_a_turn_at_the_start() -> None:
    left = Leftovers(Claimant("this", frozenset({"killed", "stopped"})), LEASE, lambda: NOW)
    assert await left.asked(due, NOW) == [(A, NOW), (B, NOW)]
    assert left.of(A) == left.of(B) == ["killed", "stopped"]
    assert await left.asked(due, NOW) == [(A, MOMENTS[A])]


async def test_claims_are_released_once_in_each_vault() -> None:
    left = Leftovers(Claimant("this", frozenset({"killed"})), LEASE, lambda: NOW)
    left.done(A)
    assert (left.of(A), left.of(B)) == ([], ["killed"])


async def test_a_look_that_fails_is_made_again() -> None:
    async def down(until: datetime) -> Iterable[tuple[ParticipantIdentifier, datetime]]:
        raise ConnectionError

    left = Leftovers(Claimant("this", frozenset({"killed"})), LEASE, lambda: NOW)
    try:
        await left.asked(down, NOW)
    except ConnectionError:
        assert await left.asked(due, NOW) == [(A, NOW), (B, NOW)]


async def test_where_nothing_has_ended_nobody_gets_a_turn_for_it() -> None:
    left = Leftovers(Claimant("this"), LEASE, lambda: NOW)
    assert await left.asked(due, NOW) == [(A, MOMENTS[A])]
    assert left.of(A) == []


def test_each_start_has_a_name_of_its_own() -> None:
    assert Claimant().name != Claimant().name
