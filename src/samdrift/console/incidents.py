"""The page on the operator's incidents and their clocks: who must be notified, and by when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from samdrift.console.frame import Frame, Visit
from samdrift.console.operatorslog import OperatorsLog
from samdrift.console.words import lasting
from samdrift.governance.incidents import CLOCKS, concerned, from_log
from samdrift.rights.incidentfold import Incident, Running
from samdrift.web.pages import Wording
from samdrift.web.texts import Phrase
from samdrift.web.views import Kind


@dataclass(frozen=True, slots=True)
class ClockLine:
    """A clock of an incident as shown: its name, its state, and the style of the state."""

    name: str
    state: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident as the page shows it."""

    incident: Incident
    open: bool
    clocks: tuple[ClockLine, ...]
    organisations: tuple[str, ...]


class IncidentsPage:
    """The page on incidents."""

    def __init__(self, frame: Frame, log: OperatorsLog) -> None:
        self._frame = frame
        self._log = log

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show the operator's incidents, the open ones first."""
        entries = await self._log.entries()
        known, whose = from_log(entries), concerned(entries)
        wording = self._frame.wording(request)
        lines = [
            IncidentLine(
                each,
                each.open_at(visit.now),
                tuple(_clock(one, visit.now, wording) for one in each.running(visit.now)),
                tuple(sorted(whose.get(each.id, ()))),
            )
            for each in known.values()
        ]
        lines.sort(key=lambda line: (not line.open, -line.incident.aware.timestamp()))
        return self._frame.page(request, "incidents.html", lines=lines)


def _clock(running: Running, now: datetime, wording: Wording) -> ClockLine:
    name, formats = CLOCKS[running.clock].of(wording.formats.language), wording.formats
    if running.told is not None:
        when = {"time": formats.longer(running.told)}
        if running.late:
            return ClockLine(name, wording.text(Phrase("notified %(time)s, too late", when)), Kind.BAD)
        return ClockLine(name, wording.text(Phrase("notified %(time)s", when)), Kind.GOOD)
    left = running.left(now)
    if left is None or running.due is None:
        return ClockLine(name, wording.text(Phrase("not notified yet")), Kind.WARNING)
    values = {"time": wording.text(lasting(abs(left))), "until": formats.longer(running.due)}
    if running.late:
        return ClockLine(name, wording.text(Phrase("%(time)s over, was %(until)s", values)), Kind.BAD)
    return ClockLine(name, wording.text(Phrase("%(time)s left, until %(until)s", values)), Kind.WARNING)
