"""Incidents, filled from what the platform knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from samdrift.governance.incidents import CLOCKS, Known, known_incidents
from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.frame import INCIDENTS, Frame
from samdrift.web.texts import Phrase


@dataclass(frozen=True, slots=True)
class ClockLine:
    """A clock of an incident as a page shows it."""

    name: str
    due: datetime | None
    told: datetime | None
    late: bool
    left: Phrase | None


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident as a page shows it."""

    known: Known
    open: bool
    clocks: tuple[ClockLine, ...]
    late: bool


class Oversight:
    """Pages of incidents."""

    def __init__(self, frame: Frame, access: Access) -> None:
        self._frame, self._access = frame, access

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes."""
        return (("GET", INCIDENTS, self.incidents, Seen.ROLE),)

    async def incidents(self, request: Request, visit: Visit) -> Response:
        """Show incidents of the record with their clocks, the open ones first."""
        language = self._frame.wording(request).formats.language
        lines = []
        for known in known_incidents(visit.record, ()):
            incident = known.incident
            clocks = tuple(
                ClockLine(
                    CLOCKS[each.clock].of(language),
                    each.due,
                    each.told,
                    each.late,
                    _left(each.left(visit.now)),
                )
                for each in incident.running(visit.now)
            )
            late = any(each.late and each.told is None for each in clocks)
            lines.append(IncidentLine(known, incident.open_at(visit.now), clocks, late))
        lines.sort(key=lambda line: (not line.open, -line.known.incident.aware.timestamp()))
        return self._frame.page(request, visit, "incidents.html", lines=lines, now=visit.now)


def _left(left: timedelta | None) -> Phrase | None:
    """Return the time that a clock has left; ``None`` where it has run out, or has no end."""
    if left is None or left <= timedelta():
        return None
    minutes = int(left.total_seconds()) // 60
    if minutes >= 2880:
        return Phrase("%(count)s days left", {"count": minutes // 1440})
    return Phrase("%(hours)s h %(minutes)s min left", {"hours": minutes // 60, "minutes": minutes % 60})
