"""The page on availability per month, compared with the goal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from samdrift.console.availability import GOAL, Month, Span, Watched, month_of
from samdrift.console.events import ConsoleEvent
from samdrift.console.frame import Frame, Visit
from samdrift.console.operatorslog import OperatorsLog
from samdrift.console.outages import planned_outages
from samdrift.console.watching import Watch
from samdrift.console.words import lasting
from samdrift.contracts.errors import Explained
from samdrift.web.formats import SWEDEN

MONTHS = 13
"""Number of months shown: a year and the current month."""


class AvailabilityPage:
    """The page on availability, and the current month's figure for the first page."""

    def __init__(self, frame: Frame, log: OperatorsLog, watch: Watch, *, watched: bool) -> None:
        """Prepare the page; ``watched`` is true if there is an access point here to watch."""
        self._frame = frame
        self._log = log
        self._watch = watch
        self._watched = watched

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show each month that was watched, the current one first."""
        found = await self._months(spans(visit.now))
        months = [each for each in found if each.watched]
        return self._frame.page(
            request,
            "availability.html",
            months=months,
            goal=GOAL,
            watched=self._watched,
            lasting=lasting,
            now=visit.now,
        )

    async def current(self, now: datetime) -> Month | None:
        """Return the current month; ``None`` when it is not known."""
        try:
            (month,) = await self._months(spans(now)[:1])
        except Explained:
            return None
        return month

    async def _months(self, wanted: Sequence[Span]) -> list[Month]:
        entries = await self._log.entries()
        recorded = [
            Watched.read(each.ids) for each in entries if each.event == ConsoleEvent.AVAILABILITY_MEASURED
        ]
        planned = [each.window for each in planned_outages(entries) if each.in_time]
        return [month_of(each, [*recorded, *self._watch.now()], planned) for each in wanted]


def spans(now: datetime) -> list[Span]:
    """Return the current month and those before it, newest first, by the Swedish calendar."""
    local, found = now.astimezone(SWEDEN), list[Span]()
    year, month, end = local.year, local.month, now
    for _ in range(MONTHS):
        start = datetime(year, month, 1, tzinfo=SWEDEN).astimezone(now.tzinfo)
        found.append((start, end))
        end = start
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return found
