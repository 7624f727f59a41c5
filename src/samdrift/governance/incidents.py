"""An organisation's incidents, from its own statements and from its operator's log entries. Pure.

An incident of the operator concerns several organisations. The operator's log has it with all of them. The
log of each organisation has only the part that concerns that organisation, so that it cannot see the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.governance.duties.catalogue import Text
from samdrift.governance.report import Collected
from samdrift.rights.fields import Fields, StatementError, moment_text
from samdrift.rights.incidentfold import Incident, Incidents, Running, fold_incident, overdue
from samdrift.rights.incidents import (
    Clock,
    IncidentAct,
    IncidentClosed,
    IncidentNoted,
    IncidentOpened,
    IncidentTold,
)
from samdrift.rights.record import Record


class IncidentEvent(AuditEvent):
    """An event about an incident of the operator."""

    GOV_INCIDENT_OPENED = "gov:incident:opened"
    """The operator opened an incident that concerns the organisation; the entry has its clocks."""
    GOV_INCIDENT_NOTED = "gov:incident:noted"
    GOV_INCIDENT_TOLD = "gov:incident:told"
    """A clock was stopped; the entry has the addressee that was notified, and the time."""
    GOV_INCIDENT_CLOSED = "gov:incident:closed"


_ACTS: Mapping[str, type[IncidentAct]] = {
    IncidentEvent.GOV_INCIDENT_OPENED: IncidentOpened,
    IncidentEvent.GOV_INCIDENT_NOTED: IncidentNoted,
    IncidentEvent.GOV_INCIDENT_TOLD: IncidentTold,
    IncidentEvent.GOV_INCIDENT_CLOSED: IncidentClosed,
}
EVENTS: Mapping[type[IncidentAct], IncidentEvent] = {
    act: IncidentEvent(event) for event, act in _ACTS.items()
}
"""The log event for each kind of act."""


@dataclass(frozen=True, slots=True)
class Known:
    """An incident, and whether it came from the operator, whose clocks it then has."""

    incident: Incident
    from_operator: bool


def facts_of(act: IncidentAct, why: str) -> dict[str, str]:
    """Return the facts of an act's entry in a log."""
    members = json.dumps(act.members(), sort_keys=True, ensure_ascii=False)
    return {"act": members, "why": why}


def id_of(act: IncidentOpened, at: datetime) -> str:
    """Return the id of an operator's incident: 64 hexadecimal digits, like a statement's digest."""
    content = json.dumps([act.members(), at.isoformat()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def from_log(entries: Iterable[LogEntry]) -> dict[str, Incident]:
    """Return the incidents in a log by id, ignoring entries about anything else.

    An entry that is malformed, or that does not fit the entries before it, changes nothing.
    """
    known: dict[str, Incident] = {}
    seen: set[tuple[str, str]] = set()  # The operator's log repeats an act for each organisation.
    for entry in entries:
        kind = _ACTS.get(entry.event)
        if kind is None:
            continue
        at = entry.at.replace(microsecond=0)
        try:
            members = json.loads(entry.ids["act"])
            fields = Fields(members)
            act = kind.read(fields, at)
            fields.end()
        except (KeyError, ValueError, TypeError, StatementError):
            continue
        opened = isinstance(act, IncidentOpened)
        digest = entry.ids.get("incident", "") if opened else getattr(act, "of", "")
        once = entry.ids["act"], entry.ids.get("why", "")
        if digest and (digest in known) is not opened and once not in seen:
            seen.add(once)
            fold_incident(
                known, digest, act, at, f"operator:{entry.ids.get('by', '')}", entry.ids.get("why", "")
            )
    return known


def concerned(entries: Iterable[LogEntry]) -> dict[str, set[str]]:
    """Return the organisations that each incident concerns, according to the operator's own log."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        if entry.event == IncidentEvent.GOV_INCIDENT_OPENED and entry.ids.get("organisation"):
            found.setdefault(entry.ids.get("incident", ""), set()).add(entry.ids["organisation"])
    return found


def known_incidents(record: Record, entries: Iterable[LogEntry]) -> tuple[Known, ...]:
    """Return the incidents in an organisation's record and log, in the order in which they became known."""
    own = next((each for each in record.folds if isinstance(each, Incidents)), None)
    found = [Known(each, from_operator=False) for each in (own.all() if own is not None else ())]
    found += [Known(each, from_operator=True) for each in from_log(entries).values()]
    return tuple(sorted(found, key=lambda each: (each.incident.aware, each.incident.id)))


def collected(known: Sequence[Known], now: datetime) -> Collected:
    """Return the evidence that incident clocks are kept, which is good while none has expired."""
    late = overdue((each.incident for each in known), now)
    still = [each for each in known if each.incident.open_at(now)]
    text = Text(
        f"{len(still)} öppna incidenter, {len(late)} klockor har gått ut",
        f"{len(still)} open incidents, {len(late)} clocks have run out",
    )
    return Collected(now, not late, text, silent=not known)


def document(known: Known, moment: datetime) -> dict[str, Any]:
    """Return an incident in machine-readable form, with the state of its clocks at a moment."""
    incident = known.incident
    return {
        "incident": incident.id,
        "title": incident.title,
        "from_operator": known.from_operator,
        "began": moment_text(incident.began),
        "aware": moment_text(incident.aware),
        "open": incident.open_at(moment),
        "closed": None if incident.closed is None else moment_text(incident.closed),
        "clocks": [_clock(each, moment) for each in incident.running(moment)],
        "notes": [
            {"at": moment_text(at), "by": by, "text": text, "file": file}
            for at, by, text, file in incident.notes
        ],
    }


def _clock(running: Running, moment: datetime) -> dict[str, Any]:
    left = running.left(moment)
    return {
        "clock": running.clock.value,
        "due": None if running.due is None else moment_text(running.due),
        "told": None if running.told is None else moment_text(running.told),
        "late": running.late,
        "left_seconds": None if left is None else int(left.total_seconds()),
    }


def spoken(left: timedelta) -> str:
    """Return the remaining time in words, or the time by which it has been exceeded."""
    minutes = abs(int(left.total_seconds())) // 60
    size = f"{minutes // 1440} d" if minutes >= 2880 else f"{minutes // 60} h {minutes % 60} min"
    return f"{size} left" if left > timedelta() else f"{size} over"


CLOCKS: Mapping[Clock, Text] = {
    Clock.CONCERNED: Text("berörda, inom 6 timmar", "those concerned, within 6 hours"),
    Clock.EARLY_WARNING: Text("varning till MCF, inom 24 timmar", "early warning to MCF, within 24 hours"),
    Clock.NOTIFICATION: Text("anmälan till MCF, inom 72 timmar", "notification to MCF, within 72 hours"),
    Clock.PERSONAL_DATA: Text("anmälan till IMY, inom 72 timmar", "notification to IMY, within 72 hours"),
    Clock.FINAL_REPORT: Text("slutrapport till MCF, inom en månad", "final report to MCF, within a month"),
    Clock.FEDERATION: Text("rapport till Digg", "report to DIGG"),
}
"""The clocks in words, for people."""
