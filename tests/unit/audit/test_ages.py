"""Age of a log for its readers (The Update Framework 1.5.2, freeze attack)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from samdrift.audit.ages import MAX_AGE, fault_of_age, fault_of_tail

NOW = datetime(2026, 12, 4, 3, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (SECONDS - MAX_AGE, ""),
        (SECONDS - MAX_AGE - 1, "of 2026-12-04 02:44:59Z, older than 900 s"),
        (SECONDS + 60, ""),
        (SECONDS + 3600, "has not come yet: 2026-12-04 04:00:00Z"),
        (1 << 60, "has not come yet"),
        (None, "its age is not known"),
    ],
)
def test_the_newest_cosigned_checkpoint_is_of_the_last_three_cadences(seen: int | None, says: str) -> None:
    found = fault_of_age(seen, NOW, MAX_AGE)
    assert (bool(found), says in found) == (bool(says), True), found
    assert fault_of_age(seen, NOW, 0) == ""


@pytest.mark.parametrize(("waited", "fault"), [(600, False), (601, True)])
def test_an_entry_waits_at_most_two_cadences_for_its_checkpoint(waited: int, fault: bool) -> None:
    oldest = NOW - timedelta(seconds=waited)
    assert bool(fault_of_tail(oldest, NOW, MAX_AGE)) is fault
    assert not fault_of_tail(oldest, NOW, 0)
    assert not fault_of_tail(None, NOW, MAX_AGE)
