"""Hours in which a mailbox is manned, public holidays, and messages that have been unread too long."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from samdrift.messageclient.notices.manning import ZONE, Manning, easter, is_holiday, next_at

FRIDAY = datetime(2026, 11, 27, 15, 0, tzinfo=ZONE)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("year", "day"), [(2024, "2024-03-31"), (2025, "2025-04-20"), (2026, "2026-04-05"), (2038, "2038-04-25")]
)
def test_easter(year: int, day: str) -> None:
    assert easter(year) == date.fromisoformat(day)


def test_the_public_holidays_of_a_year() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    assert [f"{day:%m-%d}" for day in days if is_holiday(day)] == [
        *("01-01", "01-06", "04-03", "04-05", "04-06", "05-01", "05-14", "05-24", "06-06", "06-19", "06-20"),
        *("10-31", "12-24", "12-25", "12-26", "12-31"),
    ]


@pytest.mark.parametrize(
    ("since", "hours", "until"),
    [
        ("2026-11-26T10:00", 4, "2026-11-26T14:00"),
        ("2026-11-26T05:00", 4, "2026-11-26T12:00"),
        ("2026-11-27T15:00", 4, "2026-11-30T10:00"),
        ("2026-11-28T12:00", 1, "2026-11-30T09:00"),
        ("2026-12-23T16:00", 2, "2026-12-28T09:00"),
        ("2026-03-27T16:00", 2, "2026-03-30T09:00"),
        ("2026-11-27T15:00", 2, "2026-11-27T17:00"),
    ],
)
def test_manned_hours_count_and_no_others(since: str, hours: int, until: str) -> None:
    """The period includes nights, a weekend, Christmas and the change to summer time."""
    assert Manning(escalate_after=hours).overdue_at(at(since)) == at(until)


def test_days_that_the_organisation_closes_do_not_count_nor_do_holidays_where_it_says_so() -> None:
    closed = Manning(closed=frozenset({date(2026, 11, 30)}), escalate_after=4)
    assert closed.overdue_at(FRIDAY) == at("2026-12-01T10:00")
    open_at_christmas = Manning(holidays=False, escalate_after=2)
    assert open_at_christmas.overdue_at(at("2026-12-23T16:00")) == at("2026-12-24T09:00")


def test_a_mailbox_that_is_manned_never_or_has_no_limit_is_never_too_late() -> None:
    assert Manning().overdue_at(FRIDAY) is None
    assert Manning(hours=(None,) * 7, escalate_after=1).overdue_at(FRIDAY) is None


def test_day_and_night() -> None:
    """Hours are those of the clock: the night in which it is set back has one more."""
    around = Manning(hours=((0, 1440),) * 7, holidays=False, escalate_after=24)
    assert around.overdue_at(at("2026-10-24T12:00")) == at("2026-10-25T11:00")


@pytest.mark.parametrize(
    "manning",
    [
        Manning(escalate_after=1),
        Manning(escalate_after=30),
        Manning(hours=((0, 1440),) * 7, holidays=False, escalate_after=24),
        Manning(hours=((480, 720), None, (1200, 1440), None, None, None, (0, 1)), escalate_after=2),
    ],
)
def test_looked_at_from_behind_the_same_messages_have_lain_too_long(manning: Manning) -> None:
    """The period includes nights, a weekend, Christmas, and the night in which the clock is set back."""
    for start in ("2026-11-26T00:00", "2026-12-22T00:00", "2026-10-23T00:00"):
        moments = [at(start) + timedelta(minutes=37 * number) for number in range(300)]
        for now in moments[::23]:
            since = manning.overdue_before(now)
            for came in moments[::7]:
                due = manning.overdue_at(came)
                assert (due is not None and due <= now) == (since is not None and came <= since), (came, now)
    assert Manning().overdue_before(FRIDAY) is None
    assert Manning(hours=(None,) * 7, escalate_after=1).overdue_before(FRIDAY) is None


def test_it_is_kept_as_it_is() -> None:
    manning = Manning(closed=frozenset({date(2026, 11, 30)}), escalate_after=4, escalate_to="x@example.se")
    assert Manning.read(json.loads(json.dumps(manning.content()))) == manning


def test_the_next_hour_of_the_day() -> None:
    assert next_at(8, at("2026-11-26T07:59")) == at("2026-11-26T08:00")
    assert next_at(8, at("2026-11-26T08:00")) == at("2026-11-27T08:00")
    assert next_at(8, at("2026-11-26T08:00")).tzinfo is UTC
