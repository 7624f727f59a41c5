"""Availability as DIGG's guidance counts it: a month less planned outages, in silences of ten seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from samdrift.console.availability import Month, Span, Watched, month_of
from samdrift.console.availabilitypage import MONTHS, spans

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONTH: Span = (START, START + timedelta(days=30))
WHOLE = Watched(MONTH)


def at(hours: float, minutes: float = 0, seconds: float = 0) -> datetime:
    return START + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def test_a_month_in_which_nothing_happened_is_whole() -> None:
    month = month_of(MONTH, [WHOLE], [])
    assert (month.availability, month.outages, month.unwatched) == (1, (), timedelta())


def test_a_silence_of_less_than_ten_seconds_is_no_outage() -> None:
    silences = (at(1), at(1, 0, 9.9)), (at(2), at(2, 0, 10))
    month = month_of(MONTH, [Watched(MONTH, silences)], [])
    assert month.outages == ((at(2), at(2, 0, 10)),)
    assert month.away == timedelta(seconds=10)


def test_the_goal_is_missed_by_what_is_over_half_a_percent() -> None:
    """0,5 % of thirty days are three hours and 36 minutes."""
    allowed = timedelta(hours=3, minutes=36)
    exactly = month_of(MONTH, [Watched(MONTH, ((at(5), at(5) + allowed),))], [])
    assert exactly.availability == 0.995
    over = month_of(MONTH, [Watched(MONTH, ((at(5), at(5) + allowed + timedelta(seconds=1)),))], [])
    assert over.availability is not None
    assert over.availability < 0.995


def test_a_planned_outage_counts_neither_way_and_what_goes_over_it_does() -> None:
    silence = Watched(MONTH, ((at(10), at(13)),))
    month = month_of(MONTH, [silence], [(at(10), at(12))])
    assert month.planned == 2 * HOUR
    assert month.counted == timedelta(days=30) - 2 * HOUR
    assert month.outages == ((at(12), at(13)),)


def test_what_was_not_watched_counts_neither_way() -> None:
    watched = Watched((at(0), at(10)), ((at(1), at(2)),))
    month = month_of(MONTH, [watched], [])
    assert month.availability == 0.9
    assert month.unwatched == timedelta(days=30) - 10 * HOUR
    assert month_of(MONTH, [], []).availability is None


def test_a_silence_over_the_end_of_an_hour_is_one_outage() -> None:
    first = Watched((at(0), at(1)), ((at(0, 59, 54), at(1)),))
    second = Watched((at(1), at(2)), ((at(1), at(1, 0, 6)),))
    month = month_of(MONTH, [first, second], [])
    assert month.outages == ((at(0, 59, 54), at(1, 0, 6)),)


def test_a_watch_is_read_back_from_the_log_as_it_was() -> None:
    watched = Watched((at(0, 0, 0.1), at(1)), ((at(0, 1), at(0, 2)), (at(0, 30, 0.000001), at(0, 30, 12.7))))
    assert Watched.read(watched.facts()) == watched
    assert Watched.read(Watched((at(0), at(1))).facts()) == Watched((at(0), at(1)))
    earlier = {"since": at(0).isoformat(), "until": at(1).isoformat(), "silences": "60-120"}
    assert Watched.read(earlier) == Watched((at(0), at(1)), ((at(0, 1), at(0, 2)),))


def some_spans() -> st.SearchStrategy[list[Span]]:
    ends = st.tuples(st.integers(0, 720), st.integers(1, 48))
    return st.lists(ends.map(lambda one: (at(one[0]), at(one[0] + one[1]))), max_size=6)


@given(some_spans(), some_spans(), some_spans())
def test_shares_are_shares_whatever_overlaps(
    seen: list[Span], silent: list[Span], planned: list[Span]
) -> None:
    """The result is compared with a count by the hour."""
    watched = [Watched(each, tuple(silent)) for each in seen]
    month: Month = month_of(MONTH, watched, planned)

    def hours(spans: list[Span]) -> set[int]:
        return {
            hour
            for start, end in spans
            for hour in range((start - START) // HOUR, (end - START) // HOUR)
            if hour < 720
        }

    counted = hours(seen) - hours(planned)
    assert month.counted == len(counted) * HOUR
    assert month.away == len(counted & hours(silent) if seen else set()) * HOUR
    assert month.unwatched == (720 - len(hours(seen))) * HOUR


def test_months_are_those_of_the_calendar_in_sweden() -> None:
    found = spans(datetime(2026, 11, 27, 2, tzinfo=UTC))
    assert len(found) == MONTHS
    assert found[0][0] == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert found[1] == (datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC))
    assert found[12][0] == datetime(2025, 10, 31, 23, tzinfo=UTC)
