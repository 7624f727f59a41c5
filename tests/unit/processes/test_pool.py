"""Workers of one installation are seen from outside as one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from samdrift.installation.doors import Door
from samdrift.installation.health import Condition
from samdrift.processes.pool import WorkerStart, together

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_dependency_is_gone_when_one_worker_finds_it_gone_and_since_the_first_did() -> None:
    there = Condition("database", there_since=NOW - HOUR)
    gone = Condition("database", gone_since=NOW, reason="no answer")
    before = Condition("database", gone_since=NOW - HOUR, reason="refused")
    assert together([there, gone, before]) == [before]
    assert together([before, gone, there]) == [before]


def test_dependencies_of_one_kind_at_several_places_are_several() -> None:
    here = Condition("smp", "smp.example.se", there_since=NOW)
    elsewhere = Condition("smp", "smp.example.org", gone_since=NOW, reason="no answer")
    assert together([here, elsewhere, here]) == [elsewhere, here]


def test_the_last_outage_that_any_worker_has_seen_is_known() -> None:
    seen = Condition("scanner", there_since=NOW, last_gone=NOW - HOUR, last_reason="no answer")
    never = Condition("scanner", there_since=NOW - HOUR)
    assert together([never, seen]) == together([seen, never]) == [seen]


def test_what_a_worker_is_handed_is_read_as_it_was_written_and_shows_no_passphrase() -> None:
    start = WorkerStart((Door.A, Door.METRICS), {"0203:a.se": "the officer's own"})
    assert WorkerStart.read(start.line()) == start
    assert "officer" not in repr(start)
