"""Incidents, folded from statements: when each became known, its running clocks, and reports to addressees.

An incident is opened by an officer of the organisation, by the operator's staff or by a custodian, because
the person who finds it has hours, not days. Any of them may also state that an addressee was notified, but
only an officer can close an incident. A clock that applies is never removed. Notifying its addressee stops
it, but a late notification remains late.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from samdrift.rights.fields import SubjectKind
from samdrift.rights.folding import Effect, State
from samdrift.rights.incidents import (
    INCIDENT_ACTS,
    Clock,
    IncidentAct,
    IncidentClosed,
    IncidentNoted,
    IncidentOpened,
    IncidentTold,
)
from samdrift.rights.statements import Statement

_SWEDEN = ZoneInfo("Europe/Stockholm")
_MONTHS = 12
_HOURS: Mapping[Clock, int] = {
    Clock.CONCERNED: 6,
    Clock.EARLY_WARNING: 24,
    Clock.NOTIFICATION: 72,
    Clock.PERSONAL_DATA: 72,
}
_OF_OPERATOR = frozenset({SubjectKind.OPERATOR, SubjectKind.CUSTODIAN})


@dataclass(frozen=True, slots=True)
class Running:
    """A clock of an incident at a moment."""

    clock: Clock
    due: datetime | None
    """Deadline for notifying the addressee; ``None`` if the rules set none."""
    told: datetime | None
    late: bool

    def left(self, moment: datetime) -> timedelta | None:
        """Return the remaining time, negative if it has run out, or ``None`` once the addressee was notified.

        It is also ``None`` for a clock without a deadline.
        """
        return None if self.due is None or self.told is not None else self.due - moment


@dataclass(slots=True)
class Incident:
    """An incident, from statements or from log entries."""

    id: str
    title: str
    began: datetime
    aware: datetime
    stated: datetime
    clocks: dict[Clock, datetime]
    """Clocks that apply, with the moment at which that was stated."""
    told: dict[Clock, tuple[datetime, str, datetime]] = field(default_factory=dict)
    """Stopped clocks: when the addressee was notified, the reference, and when that was stated."""
    notes: list[tuple[datetime, str, str, str]] = field(default_factory=list)
    """Notes: the moment, the author, the text, and the SHA-256 of a file or an empty string."""
    closed: datetime | None = None

    def running(self, moment: datetime) -> tuple[Running, ...]:
        """Return the state of its clocks at a moment, in the order of :class:`Clock`."""
        return tuple(
            self._at(clock, moment)
            for clock in Clock
            if self.clocks.get(clock, moment) <= moment and clock in self.clocks
        )

    def open_at(self, moment: datetime) -> bool:
        """Return whether it was open at a moment: not closed, or with a deadline still to be met."""
        return self.stated <= moment and (
            self.closed is None
            or self.closed > moment
            or any(each.told is None and each.due is not None for each in self.running(moment))
        )

    def _at(self, clock: Clock, moment: datetime) -> Running:
        told = self.told.get(clock)
        at = told[0] if told is not None and told[2] <= moment else None
        due = self._due(clock)
        return Running(clock, due, at, due is not None and (at or moment) > due)

    def _due(self, clock: Clock) -> datetime | None:
        if clock is Clock.FINAL_REPORT:
            notified = self.told.get(Clock.NOTIFICATION)
            latest = self.aware + timedelta(hours=_HOURS[Clock.NOTIFICATION])
            return month_after(min(notified[0], latest) if notified is not None else latest)
        hours = _HOURS.get(clock)
        return None if hours is None else self.aware + timedelta(hours=hours)


class Incidents:
    """The incidents of one organisation, folded from its statements."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._all: dict[str, Incident] = {}

    def concerns(self, statement: Statement) -> bool:
        """Return whether a statement is about incidents."""
        return isinstance(statement.act, INCIDENT_ACTS)

    def judge(self, statement: Statement) -> Effect:
        """Return the effect that a statement would have, without changing anything."""
        officer = statement.by.kind is SubjectKind.PERSON and self._state.is_officer(
            statement.by, statement.at
        )
        allowed = officer or statement.by.kind in _OF_OPERATOR
        match statement.act:
            case IncidentOpened():
                return Effect.TAKEN if allowed else Effect.NO_AUTHORITY
            case IncidentNoted(of=of) | IncidentTold(of=of) | IncidentClosed(of=of):
                incident = self._all.get(of)
                if incident is None:
                    return Effect.NAMES_NOTHING
                return self._judge(statement, incident, officer=officer, allowed=allowed)
            case _:
                return Effect.NAMES_NOTHING

    def _judge(self, statement: Statement, incident: Incident, *, officer: bool, allowed: bool) -> Effect:
        match statement.act:
            case IncidentTold(clock=clock, told=told):
                if clock not in incident.clocks or told < incident.began:
                    return Effect.NAMES_NOTHING
                over = clock in incident.told
            case IncidentClosed():
                allowed, over = officer, incident.closed is not None
            case _:
                over = False
        if not allowed:
            return Effect.NO_AUTHORITY
        return Effect.OVER if over else Effect.TAKEN

    def take(self, statement: Statement) -> None:
        """Fold in a statement; one without an effect changes nothing."""
        if self.concerns(statement) and self.judge(statement) is Effect.TAKEN:
            by, at, why = str(statement.by), statement.at, statement.why
            act = statement.act
            assert isinstance(act, INCIDENT_ACTS)
            fold_incident(self._all, statement.digest, act, at, by, why)

    def all(self) -> tuple[Incident, ...]:
        """Return the incidents in the order in which they were opened."""
        return tuple(self._all.values())


def fold_incident(
    known: dict[str, Incident], digest: str, act: IncidentAct, at: datetime, by: str, why: str
) -> None:
    """Fold in an act that has an effect."""
    match act:
        case IncidentOpened(title, began, aware, clocks):
            known[digest] = Incident(digest, title, began, aware, at, dict.fromkeys(clocks, at))
            known[digest].notes.append((at, by, why, ""))
        case IncidentNoted(of, clocks, file):
            for clock in clocks:
                known[of].clocks.setdefault(clock, at)
            known[of].notes.append((at, by, why, file))
        case IncidentTold(of, clock, told, reference):
            known[of].told.setdefault(clock, (told, reference, at))
            known[of].notes.append((at, by, why, ""))
        case IncidentClosed(of):
            known[of].closed = known[of].closed or at
            known[of].notes.append((at, by, why, ""))


def overdue(incidents: Iterable[Incident], moment: datetime) -> list[tuple[Incident, Running]]:
    """Return the clocks that have run out without being stopped by a moment, with their incidents."""
    return [
        (incident, each)
        for incident in incidents
        if incident.stated <= moment
        for each in incident.running(moment)
        if each.late and each.told is None
    ]


def month_after(moment: datetime) -> datetime:
    """Return the same time of day in Sweden a month later, on the last day of that month if it is shorter."""
    local = moment.astimezone(_SWEDEN)
    year, month = local.year + local.month // _MONTHS, local.month % _MONTHS + 1
    day = min(local.day, monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day).astimezone(UTC)
