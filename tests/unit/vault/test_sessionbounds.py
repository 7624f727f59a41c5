"""Which sessions exceed a bound, and which login uses up transaction ids."""

from __future__ import annotations

from dataclasses import replace

import pytest

from samdrift.vault.sessionbounds import MAX_IDS, MAX_LOCKS, MAX_SECONDS, Bound, IdsUsed, Taken, exceeding

CALM = Taken(1, "habo", locks=200, seconds=0.1, idle=False, writes=True)


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        ({}, None),
        ({"locks": MAX_LOCKS}, None),
        ({"locks": MAX_LOCKS + 1}, Bound.LOCKS),
        ({"seconds": MAX_SECONDS + 1}, Bound.AGE),
        ({"seconds": 36_000, "writes": False}, None),  # A snapshot, from which an organisation is exported.
        ({"seconds": 6, "idle": True}, None),
        ({"seconds": 6, "idle": True, "blocks": 1}, Bound.WAITING),
        ({"seconds": 19, "blocks": 1}, None),
        ({"seconds": 21, "blocks": 1}, Bound.WAITING),
        ({"seconds": 21, "blocks": 1, "writes": False}, Bound.WAITING),
        ({"seconds": 1, "idle": True, "blocks": 9}, None),
    ],
)
def test_a_session_exceeds_a_bound(changes: dict[str, float], bound: Bound | None) -> None:
    assert replace(CALM, **changes).exceeds() is bound


def test_only_our_sessions_are_ended() -> None:
    theirs, mine = replace(CALM, locks=5000), replace(CALM, pid=2, login="vaggeryd", locks=5000)
    assert list(exceeding([theirs, mine], {"vaggeryd"})) == [(mine, Bound.LOCKS)]


def used(looks: int, ids: float, *taken: Taken) -> str | None:
    """Return who is over after a number of looks, a second apart, in each of which so many ids are used."""
    found, watch = None, IdsUsed()
    for look in range(looks + 1):
        found = watch.look(int(look * ids), float(look), taken)
    return found


def test_the_login_that_has_a_transaction_id_most_often_is_over() -> None:
    busy = [replace(CALM, login="vaggeryd"), replace(CALM, pid=3, login="vaggeryd"), CALM]
    assert used(8, MAX_IDS + 1, *busy) == "vaggeryd"
    assert used(7, MAX_IDS + 1, *busy) is None, "one look says little"
    assert used(20, MAX_IDS, *busy) is None, "the cluster may use that many"
    assert used(20, MAX_IDS * 2, replace(CALM, writes=False)) is None


def test_who_uses_too_many_has_only_the_sessions_ended_that_use_them() -> None:
    reading = replace(CALM, pid=4, writes=False)
    assert list(exceeding([CALM, reading], {"habo"}, "habo")) == [(CALM, Bound.IDS)]
    assert list(exceeding([CALM], set(), "habo")) == []


def test_a_clock_that_stands_still_divides_by_nothing() -> None:
    watch = IdsUsed()
    assert [watch.look(number, 1.0, [CALM]) for number in (1, 10**9)] == [None, None]


def test_many_sessions_that_each_stay_below_the_bound_exceed_it_together() -> None:
    """Attack: thirty-two connections with nearly a thousand locks each."""
    many = [Taken(pid, "habo", MAX_LOCKS, 0.1, idle=True, writes=True) for pid in range(9)]
    reading, other = replace(CALM, pid=50, locks=20), replace(CALM, pid=51, login="vaggeryd")
    ended = list(exceeding([*many, reading, other], {"habo", "vaggeryd"}))
    assert ended == [(each, Bound.LOCKS) for each in many]
    assert list(exceeding([*many[:7], reading, other], {"habo", "vaggeryd"})) == []
