"""The pages on planned outages: list, announcement to organisations, and withdrawal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from samdrift.console.frame import MAINTENANCE, Frame, Visit
from samdrift.console.opened import Open
from samdrift.console.operatorslog import OperatorsLog
from samdrift.console.outages import (
    WORKING_DAYS,
    PlannedOutage,
    announce_outage,
    planned_outages,
    withdraw_outage,
    working_days,
)
from samdrift.web.formats import SWEDEN
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.wire.identifiers import ParticipantIdentifier

_MAX_TEXT = 300
_LONGEST = timedelta(days=7)


class MaintenancePages:
    """The pages on planned outages."""

    def __init__(self, frame: Frame, opened: Open, log: OperatorsLog) -> None:
        self._frame = frame
        self._opened = opened
        self._log = log

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show all planned outages, past and future."""
        return self._frame.page(
            request,
            "maintenance.html",
            outages=await self._known(),
            now=visit.now,
            notice=_NOTICES.get(request.query_params.get("done", "")),
            days=WORKING_DAYS,
        )

    async def ask(self, request: Request, visit: Visit) -> Response:
        """Show the form for announcing an outage."""
        return await self._form(request, Form())

    async def announce(self, request: Request, visit: Visit, form: Form) -> Response:
        """Announce an outage in the log of each organisation; a late one needs confirmation."""
        installation = await self._opened()
        starts = form.moment("starts", SWEDEN, Phrase("Enter when it begins: a day and a time."))
        ends = form.moment("ends", SWEDEN, Phrase("Enter when it ends: a day and a time."))
        text = form.required("text", Phrase("Describe what will not work, and why."))
        if len(text) > _MAX_TEXT or not text.isprintable():
            form.refuse("text", Phrase("At most %(most)s characters on one line.", {"most": _MAX_TEXT}))
        if starts is not None and starts <= visit.now:
            form.refuse("starts", Phrase("It begins in the past."))
        if starts is not None and ends is not None and not starts < ends <= starts + _LONGEST:
            form.refuse("ends", Phrase("It ends after it begins, and within a week."))
        named = _organisations(form, await self._served())
        if not named:
            form.refuse("organisations", Phrase("Choose the organisations concerned."))
        late = starts is not None and working_days(visit.now, starts) < WORKING_DAYS
        if late and not form.errors and form["late"] != "yes":
            late_days = Phrase(
                "It is fewer than %(days)s working days ahead, and will count as unplanned.",
                {"days": WORKING_DAYS},
            )
            form.refuse("late", late_days)
        if form.errors or starts is None or ends is None:
            return await self._form(request, form, 422)
        await announce_outage(installation, visit.name, visit.proof, starts, ends, text, named)
        return RedirectResponse(f"{MAINTENANCE}?done=announced", 303)

    async def withdraw(self, request: Request, visit: Visit, form: Form) -> Response:
        """Withdraw an outage that has not ended, in the log of each organisation."""
        found = {each.id: each for each in await self._known()}.get(request.path_params["outage"])
        if found is None:
            raise HTTPException(404)
        if found.withdrawn is None and visit.now < found.ends:
            await withdraw_outage(await self._opened(), visit.name, visit.proof, found)
        return RedirectResponse(f"{MAINTENANCE}?done=withdrawn", 303)

    async def _known(self) -> list[PlannedOutage]:
        return planned_outages(await self._log.entries())

    async def _served(self) -> list[ParticipantIdentifier]:
        registry = (await self._opened()).gate.registry
        return sorted({one.organisation for one in registry.all()}, key=str)

    async def _form(self, request: Request, form: Form, status: int = 200) -> Response:
        return self._frame.page(
            request,
            "announce.html",
            status,
            form=form,
            organisations=[(str(each), str(each)) for each in await self._served()],
            days=WORKING_DAYS,
        )


_NOTICES = {
    "announced": Phrase("It is announced, and in the log of each organisation that could be reached."),
    "withdrawn": Phrase("It is withdrawn, and the log of each organisation that could be reached says so."),
}


def _organisations(form: Form, served: Sequence[ParticipantIdentifier]) -> list[ParticipantIdentifier]:
    chosen = set(form.all("organisations"))
    return [each for each in served if str(each) in chosen]
