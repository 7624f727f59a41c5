"""Pages of incidents: officers open, annotate, report and close them, and see those of the operator.

There are only hours to report an incident, so all of it can be done here, without the operator's
commands. Incidents of the operator are shown from its log entries, and only the operator can add to
them.

A file that belongs to an incident, such as a section of a log with its proofs, is hashed while it is
received. The statement has its SHA-256, and the file itself is not stored: it stays with the organisation's
documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.incidentdraft import ADDRESSEES, draft
from samdrift.governance.incidents import CLOCKS, Known, known_incidents
from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.frame import INCIDENTS, Frame
from samdrift.governance.pages.signing import Signing
from samdrift.governance.pages.waiting import foreseen
from samdrift.rights.folding import Effect
from samdrift.rights.incidentfold import Incident
from samdrift.rights.incidents import (
    Clock,
    IncidentClosed,
    IncidentNoted,
    IncidentOpened,
    IncidentTold,
)
from samdrift.rights.statements import Act
from samdrift.vault.gate import Gate
from samdrift.web.formats import SWEDEN
from samdrift.web.forms import Form
from samdrift.web.policy import file_headers
from samdrift.web.texts import Phrase
from samdrift.web.uploads import FilePart, FormLimits, received

_WHEN = Phrase("Enter a day and a time.")
_FUTURE = Phrase("That is in the future.")
_MAX_TEXT = 200
_LONG = Phrase("Enter at most %(count)s characters, none of them invisible.", {"count": _MAX_TEXT})


_ONE_FILE = FormLimits(files=1)


@dataclass(slots=True)
class FileDigest:
    """The SHA-256 of one file, computed while it is received; the content is not kept."""

    value: str = ""
    """Digest in hexadecimal; empty until a whole file has been received."""
    _content: Any = field(default_factory=hashlib.sha256)

    async def open(self, part: FilePart) -> FileDigest:
        """Begin with a file; its name and type are ignored."""
        return self

    async def write(self, piece: bytes) -> None:
        """Add the next piece to the digest."""
        self._content.update(piece)

    async def close(self) -> None:
        """Store the digest of the whole file."""
        self.value = self._content.hexdigest()

    async def discard(self) -> None:
        """Ignore a file that was not received in full."""


@dataclass(frozen=True, slots=True)
class ClockLine:
    """A clock of an incident, as displayed on a page."""

    id: str
    name: str
    due: datetime | None
    told: datetime | None
    late: bool
    left: Phrase | None


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident, as displayed on a page."""

    known: Known
    open: bool
    clocks: tuple[ClockLine, ...]
    late: bool


class Oversight:
    """Pages of incidents."""

    def __init__(self, frame: Frame, access: Access, signing: Signing, gate: Gate) -> None:
        self._frame, self._access, self._signing = frame, access, signing
        self._vaults = gate.worker("pages", Role.GOVERNANCE)

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        one = f"{INCIDENTS}/{{digest}}"
        return (
            ("GET", INCIDENTS, self.incidents, Seen.ROLE),
            ("GET", f"{INCIDENTS}/open", self.ask_open, Seen.OFFICER),
            ("POST", f"{INCIDENTS}/open", self.open, Seen.OFFICER),
            ("GET", one, self.incident, Seen.ROLE),
            ("POST", one, self.state, Seen.OFFICER),
            ("GET", f"{one}/file", self.ask_file, Seen.OFFICER),
            ("POST", f"{one}/file", self.attach, Seen.OFFICER),
            ("GET", f"{one}/draft/{{clock}}", self.draft, Seen.ROLE),
        )

    async def incidents(self, request: Request, visit: Visit) -> Response:
        """Show incidents with their clocks, open ones first."""
        lines = [self._line(request, visit, each) for each in await self._known(visit)]
        lines.sort(key=lambda line: (not line.open, -line.known.incident.aware.timestamp()))
        return self._frame.page(request, visit, "incidents.html", lines=lines)

    async def ask_open(self, request: Request, visit: Visit) -> Response:
        """Show the form for opening an incident: what has happened, and since when it is known."""
        now = f"{visit.now.astimezone(SWEDEN):%Y-%m-%dT%H:%M}"
        return self._opening(request, visit, Form((("aware", now), ("clocks", Clock.CONCERNED.value))))

    async def open(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the opening of an incident, whose clocks run from when it became known."""
        form = await received(request)
        title = _line(form, "title", Phrase("Describe in a few words what has happened"))
        aware = _past(form, "aware", visit)
        began = _past(form, "began", visit) if form["began"] else aware
        if aware is not None and began is not None and began > aware:
            form.refuse("began", Phrase("It cannot have begun after it became known."))
        clocks = _clocks(form)
        if aware is None or began is None or form.errors:
            return self._opening(request, visit, form, 422)
        opened = IncidentOpened(title, began, aware, clocks)
        asked = await self._signing.ask(request, visit, form, lambda at: opened, f"{INCIDENTS}/open")
        return asked or self._opening(request, visit, form, 422)

    async def incident(self, request: Request, visit: Visit) -> Response:
        """Show one incident: its clocks, the statements about it, and the forms for further ones."""
        known = await self._asked_for(request, visit)
        return self._page(request, visit, known, Form(), signed="signed" in request.query_params)

    async def state(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign a note, a report to an addressee, or the end of the incident."""
        known, form = await self._own(request, visit), await received(request)
        act = self._act(form, known.incident, visit)
        if act is None:
            return self._page(request, visit, known, form, 422)
        back = f"{INCIDENTS}/{known.incident.id}"
        asked = await self._signing.ask(request, visit, form, lambda at: act, back)
        return asked or self._page(request, visit, known, form, 422)

    async def ask_file(self, request: Request, visit: Visit) -> Response:
        """Show the form for a file that belongs to an incident."""
        return self._attaching(request, visit, await self._own(request, visit), Form())

    async def attach(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign a note with the SHA-256 of a file."""
        digest = FileDigest()
        known, form = await self._own(request, visit), await received(request, digest.open, _ONE_FILE)
        if not digest.value:
            form.refuse("file", Phrase("Choose a file"))
            return self._attaching(request, visit, known, form, 422)
        noted = IncidentNoted(known.incident.id, frozenset(), digest.value)
        back = f"{INCIDENTS}/{known.incident.id}"
        asked = await self._signing.ask(request, visit, form, lambda at: noted, back)
        return asked or self._attaching(request, visit, known, form, 422)

    async def draft(self, request: Request, visit: Visit) -> Response:
        """Return a draft of the report to a clock's addressee, as a file."""
        known = await self._asked_for(request, visit)
        clock = next((each for each in known.incident.clocks if each == request.path_params["clock"]), None)
        if clock is None:
            raise HTTPException(404)
        text = draft(visit.organisation.value, known.incident, clock, None, visit.now)
        return PlainTextResponse(text, headers=file_headers(f"{clock}.txt"))

    def _act(self, form: Form, incident: Incident, visit: Visit) -> Act | None:
        """Return the act in a form about an incident, or ``None`` if a field is refused."""
        match form["decision"]:
            case "note":
                return IncidentNoted(incident.id, _clocks(form))
            case "close":
                return IncidentClosed(incident.id)
            case "tell":
                clock = next((each for each in incident.clocks if each == form["clock"]), None)
                if clock is None:
                    form.refuse("clock", Phrase("Choose who was notified"))
                told = _past(form, "told", visit)
                reference = _line(form, "reference", Phrase("Enter how, such as their case number"))
                if clock is None or told is None or form.errors:
                    return None
                return IncidentTold(incident.id, clock, told, reference)
        raise HTTPException(404)

    async def _known(self, visit: Visit) -> tuple[Known, ...]:
        async with self._vaults.open(visit.organisation, Purpose.READ) as vault:
            entries = await vault.reported_incidents()
        return known_incidents(visit.record, entries)

    async def _asked_for(self, request: Request, visit: Visit) -> Known:
        for each in await self._known(visit):
            if each.incident.id == request.path_params["digest"]:
                return each
        raise HTTPException(404)

    async def _own(self, request: Request, visit: Visit) -> Known:
        """Return an incident of the organisation itself; respond with 404 for one of the operator's."""
        known = await self._asked_for(request, visit)
        if known.from_operator:
            raise HTTPException(404)
        return known

    def _line(self, request: Request, visit: Visit, known: Known) -> IncidentLine:
        language = self._frame.wording(request).formats.language
        clocks = tuple(
            ClockLine(
                each.clock.value,
                CLOCKS[each.clock].of(language),
                each.due,
                each.told,
                each.late,
                _left(each.left(visit.now)),
            )
            for each in known.incident.running(visit.now)
        )
        late = any(each.late and each.told is None for each in clocks)
        return IncidentLine(known, known.incident.open_at(visit.now), clocks, late)

    def _opening(self, request: Request, visit: Visit, form: Form, status: int = 200) -> Response:
        return self._frame.page(
            request, visit, "incident_open.html", status, form=form, clocks=self._names(request, Clock)
        )

    def _attaching(
        self, request: Request, visit: Visit, known: Known, form: Form, status: int = 200
    ) -> Response:
        return self._frame.page(
            request,
            visit,
            "incident_file.html",
            status,
            incident=known.incident,
            form=form,
            most=_ONE_FILE.file_bytes >> 20,
        )

    def _page(
        self,
        request: Request,
        visit: Visit,
        known: Known,
        form: Form,
        status: int = 200,
        *,
        signed: bool = False,
    ) -> Response:
        incident = known.incident
        officer = visit.seen is Seen.OFFICER and not known.from_operator
        now = f"{visit.now.astimezone(SWEDEN):%Y-%m-%dT%H:%M}"
        # A statement takes effect in the second after it.
        ending = foreseen(
            visit.record, visit.person, visit.now + timedelta(seconds=1), IncidentClosed(incident.id)
        )
        running = [each.clock for each in incident.running(visit.now) if each.told is None]
        others = [each for each in Clock if each not in incident.clocks]
        return self._frame.page(
            request,
            visit,
            "incident.html",
            status,
            line=self._line(request, visit, known),
            adds=officer,
            may_close=officer and ending is Effect.TAKEN,
            untold=self._names(request, running),
            further=self._names(request, others),
            addressees=ADDRESSEES,
            form=form if form.fields else Form((("told", now),)),
            signed=signed,
        )

    def _names(self, request: Request, clocks: Sequence[Clock] | type[Clock]) -> list[tuple[str, str]]:
        language = self._frame.wording(request).formats.language
        return [(each.value, CLOCKS[each].of(language)) for each in clocks]


def _clocks(form: Form) -> frozenset[Clock]:
    return frozenset(each for each in Clock if each in form.all("clocks"))


def _line(form: Form, field: str, why: Phrase) -> str:
    text = form.required(field, why)
    if len(text) > _MAX_TEXT or not text.isprintable():
        form.refuse(field, _LONG)
    return text


def _past(form: Form, field: str, visit: Visit) -> datetime | None:
    """Return the moment in a field, and refuse the field if it is in the future."""
    moment = form.moment(field, SWEDEN, _WHEN)
    if moment is not None and moment > visit.now:
        form.refuse(field, _FUTURE)
        return None
    return moment


def _left(left: timedelta | None) -> Phrase | None:
    """Return the time that a clock has left, or ``None`` if it has expired or has no limit."""
    if left is None or left <= timedelta():
        return None
    minutes = int(left.total_seconds()) // 60
    if minutes >= 2880:
        return Phrase("%(count)s days left", {"count": minutes // 1440})
    return Phrase("%(hours)s h %(minutes)s min left", {"hours": minutes // 60, "minutes": minutes % 60})
