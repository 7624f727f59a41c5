"""Matters that people of an organisation have to attend to by a deadline, and the steps of reminders. Pure.

Each step is reached once. If several steps have passed since the last check, only the latest one is
notified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from samdrift.governance.coverage import WARNINGS
from samdrift.governance.reviews import ItemState, reviews
from samdrift.rights.consentfold import Stage, consents_of
from samdrift.rights.consents import ANSWERED
from samdrift.rights.fields import moment_text
from samdrift.rights.incidentfold import Incident, Incidents
from samdrift.rights.record import Record

HEARD_WITHIN = timedelta(days=14)
"""Time after a step within which a reminder is still sent; a step missed for longer is skipped."""
_DAY, _HOUR, _OVER = timedelta(days=1), timedelta(hours=1), timedelta()


class Matter(StrEnum):
    """Kinds of matters that people have to attend to."""

    CONSENT = "consent"
    """A request by the operator's staff, which lapses without a decision."""
    REVIEW = "review"
    """A review of rights, in which rights without an answer are removed."""
    EMERGENCY = "emergency"
    """An emergency for which the operator still has to give an account."""
    INCIDENT = "incident"
    """A clock of an incident."""
    OPERATORS_INCIDENT = "operators-incident"
    """A clock of one of the operator's incidents that concerns the organisation."""
    COVER = "cover"
    """The end of a function's cover by agreements."""


_CLOCK = (7 * _DAY, _DAY, 6 * _HOUR, 2 * _HOUR, _OVER)
_STEPS: Mapping[Matter, tuple[timedelta, ...]] = {
    Matter.CONSENT: (2 * _DAY, _DAY, 4 * _HOUR),
    Matter.REVIEW: (14 * _DAY, 7 * _DAY, _DAY, _OVER),
    Matter.EMERGENCY: (12 * _HOUR, _OVER),
    Matter.INCIDENT: _CLOCK,
    Matter.OPERATORS_INCIDENT: _CLOCK,
    Matter.COVER: (*(days * _DAY for days in WARNINGS), _OVER),
}
"""Times before the deadline at which people are reminded of a matter, longest first."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A matter, the moment since which it has been waiting, and its deadline."""

    matter: Matter
    of: str
    """The statement, the clock of an incident, or the function that it concerns."""
    since: datetime
    until: datetime

    def reached(self, now: datetime) -> Step | None:
        """Return the latest step that was reached, or ``None`` if there is none or it is too old.

        Steps that fall in the first half of the time from ``since`` to ``until`` are skipped.
        """
        whole = self.until - self.since
        steps = [each for each in _STEPS[self.matter] if 2 * each <= whole and self.until - now <= each]
        if not steps or now - (self.until - steps[-1]) > HEARD_WITHIN:
            return None
        return Step(self, steps[-1])

    def next_step(self, now: datetime) -> datetime | None:
        """Return the moment at which the next step is reached."""
        moments = (self.until - each for each in _STEPS[self.matter])
        return min((each for each in moments if each > now), default=None)


@dataclass(frozen=True, slots=True)
class Step:
    """A step before a matter's deadline."""

    pending: Pending
    ahead: timedelta

    @property
    def name(self) -> str:
        """A digest that identifies the step, the same each time it is computed."""
        one = self.pending
        said = f"{one.matter} {one.of} {moment_text(one.until)} {self.ahead.total_seconds():.0f}"
        return hashlib.sha256(said.encode()).hexdigest()[:32]

    def facts(self) -> dict[str, str]:
        """Return the facts of the step's log entry."""
        one = self.pending
        return {
            "item": self.name,
            "matter": one.matter.value,
            "of": one.of,
            "until": one.until.isoformat(),
            "hours_ahead": str(int(self.ahead.total_seconds()) // 3600),
        }


def pending(
    record: Record, ends: Mapping[str, datetime], now: datetime, told: Iterable[Incident] = ()
) -> tuple[Pending, ...]:
    """Return the matters that are pending in an organisation at a moment.

    ``ends`` has the end of cover by function; ``told`` are the incidents that the operator has reported
    to it.
    """
    found = [
        *_consents(record, now),
        *_reviews(record, now),
        *clocks(Matter.INCIDENT, _incidents(record).all(), now),
        *clocks(Matter.OPERATORS_INCIDENT, told, now),
        *_cover(ends, now),
    ]
    return tuple(sorted(found, key=lambda each: (each.until, each.matter, each.of)))


def _consents(record: Record, now: datetime) -> Iterator[Pending]:
    for each in consents_of(record).all():
        if not each.emergency:
            if each.stage(now) is Stage.WAITING:
                yield Pending(Matter.CONSENT, each.id, each.statement.at, each.waits_until)
        elif each.begins is not None and each.account is None:
            yield Pending(Matter.EMERGENCY, each.id, each.begins, each.begins + ANSWERED)


def _reviews(record: Record, now: datetime) -> Iterator[Pending]:
    for each in reviews(record.state, now):
        if each.closed is None and each.count(ItemState.WAITS):
            yield Pending(Matter.REVIEW, each.id, each.statement.at, each.opened.due)


def _incidents(record: Record) -> Incidents:
    return next(each for each in record.folds if isinstance(each, Incidents))


def clocks(matter: Matter, incidents: Iterable[Incident], now: datetime) -> Iterator[Pending]:
    """Yield the clocks of incidents whose addressees have not been notified, even if the time has run out."""
    for incident in incidents:
        for each in incident.running(now):
            if each.due is not None and each.told is None:
                yield Pending(matter, f"{incident.id} {each.clock}", incident.aware, each.due)


def _cover(ends: Mapping[str, datetime], now: datetime) -> Iterable[Pending]:
    year = timedelta(days=366)  # The start does not matter if it is early enough for every warning.
    return [Pending(Matter.COVER, function, end - year, end) for function, end in ends.items() if now < end]
