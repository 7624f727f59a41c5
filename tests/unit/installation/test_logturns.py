"""Each log has a turn once in a cadence, at a moment of its own, however the clock is set."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from samdrift.contracts.principals import Role
from samdrift.installation.logturns import LogPlace, LogTurns
from samdrift.wire.identifiers import ParticipantIdentifier

CADENCE = timedelta(minutes=5)
LOGS = [LogPlace(ParticipantIdentifier(f"0203:a{number}.se"), Role.ACCESS_POINT) for number in range(200)]


def test_each_log_has_one_turn_in_a_cadence_and_they_are_spread() -> None:
    turns = LogTurns(CADENCE)
    turns.follow(LOGS, 1e9)
    seen, most = Counter[LogPlace](), 0
    for second in range(3 * 300):
        found = turns.due(1e9 + second)
        seen.update(found)
        most = max(most, len(found))
    assert set(seen) == set(LOGS)
    assert set(seen.values()) <= {2, 3}
    assert most < 10


def test_a_wait_ends_with_the_next_turn() -> None:
    turns, now = LogTurns(CADENCE), 1e9
    assert turns.wait(now, 5) == 5
    turns.follow(LOGS[:3], now)
    for _ in range(6):
        wait = turns.wait(now, 1000)
        assert not turns.due(now + wait - 0.001)
        now += wait + 0.001
        assert turns.due(now)


def test_what_is_new_and_what_is_gone_is_returned_and_has_turns_or_none() -> None:
    turns = LogTurns(CADENCE)
    assert turns.follow(LOGS[:2], 1e9) == (set(LOGS[:2]), set())
    assert turns.follow(LOGS[1:3], 1e9) == ({LOGS[2]}, {LOGS[0]})
    assert set(turns.due(1e9 + 300)) == set(LOGS[1:3])


def test_a_clock_that_is_set_keeps_no_log_waiting_and_gives_none_two_turns() -> None:
    turns = LogTurns(CADENCE)
    turns.follow(LOGS, 1e9)
    ahead = turns.due(1e9 + 400 * 86_400)
    assert sorted(map(str, ahead)) == sorted(map(str, LOGS)), "each log must be due only once"
    assert turns.due(1e9) == []
    assert set(turns.due(1e9 + 300)) == set(LOGS), "no log may wait until the former time comes again"


def test_a_log_has_rested_when_it_was_not_opened_for_a_cadence_and_not_when_it_is_new() -> None:
    turns, now = LogTurns(CADENCE), 1e9
    log, other, unknown = LOGS[:3]
    assert not turns.rested(log, now)
    turns.follow([log, other], now)
    assert not turns.rested(log, now + 299), "new logs must wait for their turns, as a start may have many"
    assert turns.rested(log, now + 300)
    turns.opened(log, now + 300)
    assert not turns.rested(log, now + 599)
    assert turns.rested(other, now + 599)
    turns.opened(unknown, now)
    assert not turns.rested(unknown, now + 600)


def test_a_log_rests_for_a_cadence_again_when_the_clock_was_set_back() -> None:
    turns, now = LogTurns(CADENCE), 1e9
    turns.follow(LOGS[:1], now)
    turns.due(now)
    turns.due(now - 86_400)
    assert not turns.rested(LOGS[0], now - 86_400 + 299)
    assert turns.rested(LOGS[0], now - 86_400 + 300)
