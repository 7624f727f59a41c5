"""Peers to which no attempt is made for a while: for how long, and which transfer tries again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from samdrift.accesspoint import breaker as module
from samdrift.accesspoint.breaker import AFTER, Breaker
from tests.vaults import NOW

LONGEST = timedelta(seconds=40)
PEER, OTHER = ("0203:a.se", "https://peer.test/as4"), ("0203:b.se", "https://peer.test/as4")


def _silent(times: int = AFTER) -> Breaker:
    found = Breaker(LONGEST)
    for _ in range(times):
        assert found.open(PEER, NOW) == ""
        found.missed(PEER, "connection refused", NOW)
    return found


def test_a_few_attempts_that_met_nobody_stop_no_other() -> None:
    assert _silent(AFTER - 1).open(PEER, NOW) == ""


def test_those_that_follow_are_told_why_and_one_tries_when_the_time_is_over() -> None:
    found = _silent()
    hold = LONGEST / 4
    assert found.open(PEER, NOW + hold - timedelta(microseconds=1)) == "connection refused"
    asked = [found.open(PEER, NOW + hold) for _ in range(3)]
    assert asked == ["", "connection refused", "connection refused"]


def test_the_time_doubles_up_to_the_longest_as_each_that_tries_meets_nobody() -> None:
    found, now, holds = _silent(), NOW, []
    for _ in range(4):
        wait = next(each for each in range(1, 100) if not found.open(PEER, now + timedelta(seconds=each)))
        holds.append(wait)
        now += timedelta(seconds=wait)
        found.missed(PEER, "timeout", now)
    assert holds == [10, 20, 40, 40]
    assert found.open(PEER, now) == "timeout"


def test_one_that_was_silent_while_the_clock_was_ahead_is_tried_when_it_is_right() -> None:
    found = _silent()
    right = NOW - timedelta(hours=24)
    asked = [found.open(PEER, right) for _ in range(2)]
    assert asked == ["", "connection refused"]
    assert found.until(PEER) == right + LONGEST / 4


def test_those_that_were_silent_while_the_clock_was_ahead_are_forgotten_when_it_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST", AFTER)
    found = _silent()
    for _ in range(AFTER):
        found.missed(OTHER, "timeout", NOW)
    right = NOW - timedelta(hours=24)
    found.missed("https://a.test", "timeout", right)
    found.missed("https://b.test", "timeout", right)
    assert found.until(PEER) is None


def test_one_that_answers_is_met_by_all_again() -> None:
    found = _silent()
    found.answered(PEER)
    found.missed(PEER, "timeout", NOW)
    assert found.open(PEER, NOW) == ""


def test_how_another_organisation_fares_with_a_peer_is_not_told() -> None:
    assert _silent().open(OTHER, NOW) == ""


def test_peers_without_number_are_forgotten_but_those_that_are_silent_now() -> None:
    found = _silent()
    for number in range(3 * module._MOST):
        found.missed(f"https://{number}.test", "no such host", NOW)
    assert len(found._silent) <= module._MOST + 1
    assert found.open(PEER, NOW) == "connection refused"
