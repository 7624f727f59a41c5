"""Availability of the access point per month, calculated as in DIGG's guidance for operators. Pure.

"AP-funktionen ska ha en tillgänglighet 24/7 räknat som ett genomsnitt per månad exkl. planerade avbrott",
99,5 %; it is unavailable when it "kontinuerligt inte går att nå på specificerat sätt under en period av 10
sekunder" (information-security-and-trust 8.2). So availability is the share of the watched time, excluding
planned outages, that is outside any outage of ten seconds or more. Time that was not watched counts neither
way, and is shown separately.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

GOAL = 0.995
SHORTEST = timedelta(seconds=10)
"""Shortest time without an answer that counts as an outage."""
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Watched:
    """A period in which the access point was watched, with the times when it did not answer."""

    span: Span
    silences: tuple[Span, ...] = ()

    def facts(self) -> dict[str, str]:
        """Return it as the facts of a log entry; silences are in seconds from the start of the period.

        Times are exact, so that a silence over the end of a period meets its continuation in the next one.
        """
        start, end = self.span
        seconds = (((each - start).total_seconds() for each in silence) for silence in self.silences)
        return {
            "since": start.isoformat(),
            "until": end.isoformat(),
            "silences": " ".join(f"{first:f}-{last:f}" for first, last in seconds),
        }

    @classmethod
    def read(cls, facts: Mapping[str, str]) -> Watched:
        """Read the facts that :meth:`facts` returns."""
        start, end = (datetime.fromisoformat(facts[name]) for name in ("since", "until"))
        pairs = (each.split("-") for each in facts["silences"].split())
        silences = (
            (start + timedelta(seconds=float(first)), start + timedelta(seconds=float(last)))
            for first, last in pairs
        )
        return cls((start, end), tuple(silences))


@dataclass(frozen=True, slots=True)
class Month:
    """Availability of the access point in one month; for the current month, until now."""

    span: Span
    watched: timedelta
    planned: timedelta
    """Watched time that was part of planned outages."""
    outages: tuple[Span, ...]
    """Outages outside planned ones, in order of time."""
    unwatched: timedelta

    @property
    def counted(self) -> timedelta:
        """Return the time that counts: watched time without planned outages."""
        return self.watched - self.planned

    @property
    def away(self) -> timedelta:
        """Return the total time of outages."""
        return _length(self.outages)

    @property
    def availability(self) -> float | None:
        """Return the share of the time that counts without outages; ``None`` if no time counts."""
        return 1 - self.away / self.counted if self.counted else None


def month_of(span: Span, watched: Iterable[Watched], planned: Iterable[Span]) -> Month:
    """Calculate one month from periods of watching and planned outages; ``span`` ends now at the latest."""
    known = list(watched)
    seen = _within(_joined(each.span for each in known), [span])
    outside = _joined(planned)
    silences = _joined(silence for each in known for silence in each.silences)
    outages = _without([each for each in silences if each[1] - each[0] >= SHORTEST], outside)
    seen_planned = _length(_within(seen, outside))
    whole = span[1] - span[0]
    return Month(span, _length(seen), seen_planned, tuple(_within(outages, seen)), whole - _length(seen))


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, merging those that touch: a silence may continue past the hour."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif end > start:
            found.append((start, end))
    return found


def _within(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return the parts of ``spans`` that are within ``others``; both are in order and do not overlap."""
    bounds = list(others)
    cut = ((max(one[0], other[0]), min(one[1], other[1])) for one in spans for other in bounds)
    return [each for each in cut if each[1] > each[0]]


def _without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return the parts of ``spans`` that are outside all ``others``."""
    left = list(spans)
    for start, end in others:
        pieces = ((one[0], min(one[1], start)) for one in left), ((max(one[0], end), one[1]) for one in left)
        left = sorted(each for some in pieces for each in some if each[1] > each[0])
    return left


def _length(spans: Iterable[Span]) -> timedelta:
    return sum((end - start for start, end in spans), timedelta())
