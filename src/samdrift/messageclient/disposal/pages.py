"""Disposal pages: the rules of the mailboxes that a person manages, proposals, and records of disposals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from samdrift.messageclient.administering.frame import DISPOSAL, Frame, Office, OpenOffice, Routes, see
from samdrift.messageclient.administering.service import Profiles
from samdrift.messageclient.disposal.desk import (
    MAX_DECISION,
    SHOWN,
    Decided,
    DisposalDesk,
    MailboxDisposal,
    SecondPerson,
    UnderWay,
)
from samdrift.messageclient.mail import Line
from samdrift.messageclient.pages.shown import Shown
from samdrift.vault.maildisposal import DisposedRecord
from samdrift.web.forms import Form
from samdrift.web.pages import Pages
from samdrift.web.policy import file_headers
from samdrift.web.tables import csv_lines
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received
from samdrift.web.views import Row
from samdrift.wire.identifiers import ParticipantIdentifier

TEMPLATES = Path(__file__).parent / "templates"
LOCALE = Path(__file__).parent / "locale"
MAX_DAYS = 36_500
SINCE = {
    "done": Phrase("From when they were marked as done"),
    "registered": Phrase("From when they were registered in our own records"),
}
STAGES = {
    "proposed": Phrase("Awaiting a decision"),
    "agreed": Phrase("In progress"),
    "done": Phrase("Disposed of"),
    "dropped": Phrase("Not carried out"),
}

STAYS_THERE = Phrase(
    "The message service keeps its own copies, for as long as its own rules say: the organisation has not "
    "chosen to have anything deleted there."
)
GOES_THERE = Phrase(
    "The message service’s copies are deleted there too, once a verified backup has been made and where no "
    "other client reads the address."
)

Notify = Callable[[ParticipantIdentifier], None]
"""Callback that starts the approved disposals of an organisation."""


class DisposalPages:
    """Handlers of the disposal pages, for the mailboxes that the person manages."""

    def __init__(self, frame: Frame, notify: Notify, profiles: Profiles) -> None:
        self._frame = frame
        self._notify = notify
        self._profiles = profiles

    def routes(self) -> Routes:
        """Return the routes of these pages."""
        box = f"{DISPOSAL}/{{mailbox}}"
        one = f"{box}/{{disposal}}"
        return (
            ("GET", DISPOSAL, self.overview),
            ("GET", box, self.mailbox),
            ("POST", f"{box}/rule", self.rule),
            ("POST", f"{box}/propose", self.propose),
            ("GET", one, self.disposal),
            ("POST", one, self.decide),
            ("GET", f"{one}/record", self.record),
        )

    async def overview(self, request: Request, office: Office) -> Response:
        """Show the mailboxes that a person manages, with their rules."""
        found = await DisposalDesk(office.scope).overview()
        return self._frame.page(request, office, "disposal.html", mailboxes=found, since=SINCE, stages=STAGES)

    async def mailbox(self, request: Request, office: Office) -> Response:
        """Show a mailbox's rule, the conversations it covers now, and earlier disposals."""
        return await self._mailbox(request, office, None)

    async def rule(self, request: Request, office: Office) -> Response:
        """Set the rule of a mailbox."""
        form = await received(request)
        days = form["days"].strip()
        if not (days.isascii() and days.isdecimal() and 0 < len(days) < 6 and 1 <= int(days) <= MAX_DAYS):
            form.refuse("days", Phrase("Enter a number of days, at least 1"))
        if form["since"] not in SINCE:
            form.refuse("since", Phrase("Choose when the time begins"))
        decision = form.required("decision", Phrase("Enter the decision that the disposal rests on"))
        if len(decision) > MAX_DECISION or not decision.isprintable():
            form.refuse("decision", Phrase("The decision is one line of at most 300 characters"))
        if form.errors:
            return await self._mailbox(request, office, form, 422)
        mailbox = request.path_params["mailbox"]
        await DisposalDesk(office.scope).set_rule(mailbox, form["since"], int(days), decision)
        return see(f"{DISPOSAL}/{mailbox}")

    async def propose(self, request: Request, office: Office) -> Response:
        """Propose to dispose of everything that is due."""
        await received(request)
        mailbox = request.path_params["mailbox"]
        try:
            disposal = await DisposalDesk(office.scope).propose(mailbox)
        except UnderWay:
            notice = Phrase("Nothing was proposed: a disposal is under way already, or nothing is due.")
            return await self._mailbox(request, office, None, 409, notice)
        return see(f"{DISPOSAL}/{mailbox}/{disposal}")

    async def disposal(self, request: Request, office: Office) -> Response:
        """Show a disposal: its conversations, who proposed it, and its progress."""
        return await self._disposal(request, office)

    async def decide(self, request: Request, office: Office) -> Response:
        """Approve a disposal, or drop it."""
        form = await received(request)
        params, act = request.path_params, form["act"]
        if act not in ("agree", "drop"):
            return await self._disposal(request, office, 422, Phrase("Choose what is to be done"))
        desk = DisposalDesk(office.scope)
        try:
            await desk.decide(params["mailbox"], params["disposal"], agreed=act == "agree")
        except SecondPerson:
            notice = Phrase("You proposed this. Another manager of the mailbox has to agree.")
            return await self._disposal(request, office, 409, notice)
        except Decided:
            notice = Phrase("Someone has already decided about this. Nothing was done: please look again.")
            return await self._disposal(request, office, 409, notice)
        if act == "agree":
            self._notify(office.scope.organisation)
        return see(f"{DISPOSAL}/{params['mailbox']}/{params['disposal']}")

    async def record(self, request: Request, office: Office) -> Response:
        """Return the record of the disposal as CSV."""
        params = request.path_params
        found = await DisposalDesk(office.scope).record(params["mailbox"], params["disposal"])
        return StreamingResponse(
            _table(found), headers=file_headers("gallrat.csv"), media_type="text/csv; charset=utf-8"
        )

    async def _mailbox(
        self,
        request: Request,
        office: Office,
        form: Form | None,
        status: int = 200,
        notice: Phrase | None = None,
    ) -> Response:
        one, due = await DisposalDesk(office.scope).mailbox(request.path_params["mailbox"])
        context: dict[str, Any] = {"one": one, "due": due, "notice": notice, "form": form or _form(one)}
        context["rows"] = self._rows(request, office, due.lines if due else ())
        return self._frame.page(
            request, office, "disposal_of.html", status, since=SINCE, stages=STAGES, shown=SHOWN, **context
        )

    async def _disposal(
        self, request: Request, office: Office, status: int = 200, notice: Phrase | None = None
    ) -> Response:
        desk, params = DisposalDesk(office.scope), request.path_params
        one, found, due = await desk.disposal(params["mailbox"], params["disposal"])
        return self._frame.page(
            request,
            office,
            "one_disposal.html",
            status,
            one=one,
            found=found,
            rows=self._rows(request, office, due.lines),
            needs_another=desk.needs_another(found),
            elsewhere=self._elsewhere(office, found.stage),
            notice=notice,
            since=SINCE,
            stages=STAGES,
            shown=SHOWN,
        )

    def _elsewhere(self, office: Office, stage: str) -> Phrase | None:
        """Return a text on what happens to the copies at the message service, if there is one."""
        profile = self._profiles.get(office.scope.organisation)
        if profile is None or profile.service is None or stage == "dropped":
            return None
        return STAYS_THERE if profile.service.deletion is None else GOES_THERE

    def _rows(self, request: Request, office: Office, lines: tuple[Line, ...]) -> tuple[Row, ...]:
        shown = Shown(self._frame.pages.wording(request), office.scope.person)
        return tuple(shown.row(line) for line in lines)


def disposal_routes(
    pages: Pages, open_office: OpenOffice, notify: Notify, profiles: Profiles
) -> tuple[Route, ...]:
    """Return the routes; ``notify`` is called to carry out what was approved."""
    frame = Frame(pages, open_office)
    return tuple(
        Route(
            path,
            frame.form_endpoint(handler) if method == "POST" else frame.page_endpoint(handler),
            methods=[method],
        )
        for method, path, handler in DisposalPages(frame, notify, profiles).routes()
    )


def _form(one: MailboxDisposal) -> Form:
    if one.rule is None:
        return Form((("since", "done"),))
    rule = one.rule
    return Form((("since", rule.since), ("days", str(rule.days)), ("decision", rule.decision)))


async def _table(found: AsyncIterator[DisposedRecord]) -> AsyncIterator[bytes]:
    """Yield the record as CSV, in which cells that could be formulas in spreadsheets are made text."""
    columns = ("message", "conversation", "direction", "at", "gone_at", "registered", "sha256", "files")
    yield "\ufeff".encode() + csv_lines([columns])
    async for each in found:
        content = each.content
        files = " ".join(f"{file['sha256']}:{file['size']}" for file in content["files"])
        yield csv_lines(
            [
                (
                    content["message_id"],
                    content["conversation_id"],
                    each.direction,
                    each.at.isoformat(),
                    each.gone_at.isoformat(),
                    content["registered"],
                    content["sha256"],
                    files,
                )
            ]
        )
