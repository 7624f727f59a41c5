"""Pages of consents: what the operator's staff ask to see, are seeing now, and have seen.

An officer can decide a request from the page alone. It shows who asks, for what reason, how much of what, for
how long, who else can approve, and how many approvals are missing. An officer can also order one of the staff
to look at something, for example to get help with a message. That order counts as the first approval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.consent import Opened
from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.directory import Names
from samdrift.governance.pages.frame import CONSENTS, Frame
from samdrift.governance.pages.signing import Signing
from samdrift.governance.pages.waiting import foreseen
from samdrift.governance.pages.words import EXTENTS
from samdrift.rights.canonical import visible
from samdrift.rights.consentfold import Consent, Stage, approvers, consents_of
from samdrift.rights.consents import (
    EVERYTHING,
    LONGEST_CONSENT,
    MAX_TICKET,
    AccessAsked,
    Extent,
    ExtentKind,
    Ground,
    Level,
    is_staff,
)
from samdrift.rights.fields import Subject
from samdrift.rights.folding import Effect
from samdrift.rights.statements import Act, Approved, Ended
from samdrift.vault.gate import Gate
from samdrift.web.formats import SWEDEN
from samdrift.web.forms import Form
from samdrift.web.pages import Wording
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

_ORDER = f"{CONSENTS}/order"
_MOST_MINUTES = int(LONGEST_CONSENT.total_seconds()) // 60
_PLACES: Mapping[str, Phrase] = {
    "message": Phrase("One message"),
    "mailbox": Phrase("A mailbox"),
    "span": Phrase("A span of time"),
    "everything": Phrase("Everything"),
}
_LEVELS: Mapping[Level, Phrase] = {
    Level.METADATA: Phrase("Data, but not content"),
    Level.CONTENT: Phrase("Also content, which another officer must approve"),
}
_USES_SHOWN = 50
"""Maximum number of consents whose uses are counted for a page; the uses of older ones are in the log."""
GROUNDS: Mapping[Ground, Phrase] = {
    Ground.CASE: Phrase("The organisation’s own case"),
    Ground.OUTAGE: Phrase("An outage"),
    Ground.SECURITY: Phrase("Security"),
    Ground.LAWFUL_DEMAND: Phrase("A demand by law"),
    Ground.FEDERATION: Phrase("The federation’s support"),
}
_STAGES: Mapping[Stage, tuple[Phrase, str]] = {
    Stage.WAITING: (Phrase("Waits for a decision"), "warning"),
    Stage.LAPSED: (Phrase("Lapsed: nobody approved it in time"), "plain"),
    Stage.DECLINED: (Phrase("Refused"), "plain"),
    Stage.IN_FORCE: (Phrase("In force"), "warning"),
    Stage.REVOKED: (Phrase("Revoked"), "plain"),
    Stage.OVER: (Phrase("Over"), "plain"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A request or an emergency, as displayed on a page."""

    id: str
    who: str
    what: Phrase
    where: str
    """The mailbox, message or span of time."""
    ground: Phrase
    ticket: str
    minutes: int
    asked: datetime
    until: datetime | None
    waits_until: datetime
    state: tuple[Phrase, str]
    emergency: bool
    in_a_week: int
    """Number of emergencies in the week that an emergency ended; 0 for a request."""
    red: bool
    """True for an emergency without an account in time."""
    missing: int
    approvers: tuple[str, ...]
    approved_by: tuple[str, ...]
    may_approve: bool
    may_end: bool
    opened: Opened | None = None
    """Its uses, once it has begun."""


class ConsentPages:
    """Pages of consents."""

    def __init__(self, frame: Frame, access: Access, signing: Signing, gate: Gate) -> None:
        self._frame, self._access, self._signing = frame, access, signing
        self._vaults = gate.worker("pages", Role.GOVERNANCE)

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes; a request is decided on the page of its statement."""
        return (
            ("GET", CONSENTS, self.show, Seen.ROLE),
            ("GET", _ORDER, self.ask_order, Seen.OFFICER),
            ("POST", _ORDER, self.order, Seen.OFFICER),
        )

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show all requests, with those that are waiting for a decision first."""
        by_stage: dict[Stage, list[Line]] = {}
        asked, wording = tuple(reversed(consents_of(visit.record).all())), self._frame.wording(request)
        opened = await self._opened(visit, [each for each in asked if each.begins is not None])
        for each in asked:
            line = replace(line_of(each, visit, wording), opened=opened.get(each.id))
            by_stage.setdefault(each.stage(visit.now), []).append(line)
        waiting, running = by_stage.pop(Stage.WAITING, []), by_stage.pop(Stage.IN_FORCE, [])
        past = sorted(
            (one for rows in by_stage.values() for one in rows), key=lambda one: one.asked, reverse=True
        )
        return self._frame.page(request, visit, "consents.html", waiting=waiting, running=running, past=past)

    async def ask_order(self, request: Request, visit: Visit) -> Response:
        """Show the form for an order: which of the staff is to see what, why, and for how long."""
        usual = ("ground", Ground.CASE.value), ("level", Level.METADATA.value), ("minutes", "60")
        return self._ordering(request, visit, Form(usual))

    async def order(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the order.

        Metadata can be seen as soon as it is signed, and content once another officer approves it.
        """
        form = await received(request)
        to = next((each for each in _staff(visit) if str(each) == form["to"]), None)
        if to is None:
            form.refuse("to", Phrase("Choose one of the operator’s staff"))
        extent = _extent(form, visit)
        level = next((each for each in Level if each == form["level"]), None)
        if level is None:
            form.refuse("level", Phrase("Choose how much is seen"))
        ground = next((each for each in Ground if each == form["ground"]), None)
        if ground is None:
            form.refuse("ground", Phrase("Choose a reason"))
        minutes, ticket = _minutes(form), _ticket(form)
        if to is None or extent is None or level is None or ground is None or form.errors:
            return self._ordering(request, visit, form, 422)
        asked = AccessAsked(to, ground, ticket, extent, level, minutes)

        def act(at: datetime) -> Act:
            return asked

        answer = await self._signing.ask(request, visit, form, act, _ORDER)
        return answer or self._ordering(request, visit, form, 422)

    def _ordering(self, request: Request, visit: Visit, form: Form, status: int = 200) -> Response:
        text = self._frame.wording(request).text

        def told(phrases: Mapping[Any, Phrase]) -> list[tuple[str, str]]:
            return [(str(each), text(phrase)) for each, phrase in phrases.items()]

        return self._frame.page(
            request,
            visit,
            "consent_order.html",
            status,
            form=form,
            staff=[(str(each), visit.names.of(each)) for each in _staff(visit)],
            places=told(_PLACES),
            mailboxes=sorted(visit.names.mailboxes.items(), key=lambda pair: pair[1].casefold()),
            levels=told(_LEVELS),
            grounds=told(GROUNDS),
            most=_MOST_MINUTES,
        )

    async def _opened(self, visit: Visit, begun: Sequence[Consent]) -> dict[str, Opened]:
        """Return the uses of the newest of some consents, from the log of governance."""
        async with self._vaults.open(visit.organisation, Purpose.READ) as vault:
            return {each.id: Opened.of(await vault.find_log(each.id)) for each in begun[:_USES_SHOWN]}


def line_of(consent: Consent, visit: Visit, wording: Wording) -> Line:
    """Return a request as text, with the actions that the person can take on it."""
    act, names, now = consent.act, visit.names, visit.now
    officer = visit.seen is Seen.OFFICER
    approval = foreseen(visit.record, visit.person, now, Approved(consent.id))
    ending = foreseen(visit.record, visit.person, now, Ended(of=consent.id))
    return Line(
        consent.id,
        names.of(act.to),
        EXTENTS[act.extent.kind, act.level],
        where(consent, names, wording),
        GROUNDS[act.ground],
        act.ticket,
        int(act.lasts.total_seconds() // 60),
        consent.statement.at,
        consent.end if consent.stage(now) is Stage.IN_FORCE else None,
        consent.waits_until,
        _STAGES[consent.stage(now)],
        consent.emergency,
        consents_of(visit.record).emergencies(consent.begins) if consent.emergency and consent.begins else 0,
        consent.unanswered(now),
        consent.missing,
        tuple(names.of(each) for each in approvers(visit.record, consent, now)),
        tuple(names.of(who) for who, _, _ in consent.approvals),
        officer and approval in (Effect.TAKEN, Effect.WAITING),
        officer and ending is Effect.TAKEN,
    )


def where(consent: Consent, names: Names, wording: Wording) -> str:
    """Return the mailbox by its name, the message by its id, or the span of time as text."""
    extent = consent.act.extent
    match extent.kind:
        case ExtentKind.MAILBOX:
            return names.mailboxes.get(extent.id, extent.id)
        case ExtentKind.MESSAGE:
            return extent.id
    times = {"until": wording.formats.longer(extent.end), "since": wording.formats.longer(extent.start)}
    if extent.start == EVERYTHING:
        return wording.text(Phrase("Everything until %(until)s", times))
    return wording.text(Phrase("From %(since)s until %(until)s", times))


def _staff(visit: Visit) -> list[Subject]:
    """Return the operator's staff who have keys in the record; others cannot be shown anything."""
    found = dict.fromkeys(each.act.to for each in visit.record.keys.in_force(visit.now))
    return [each for each in found if is_staff(each)]


def _extent(form: Form, visit: Visit) -> Extent | None:
    """Return the extent that the form asks for, or ``None`` if a field is refused."""
    match form["extent"]:
        case "everything":
            return Extent.everything(visit.now)
        case "message":
            why = Phrase("Enter the message id shown on the message’s tracking page")
            return _parsed(form, "message", why)
        case "mailbox":
            return _parsed(form, "mailbox", Phrase("Choose a mailbox"))
        case "span":
            when = Phrase("Enter a day and a time.")
            start, end = form.moment("since", SWEDEN, when), form.moment("until", SWEDEN, when)
            if start is None or end is None:
                return None
            if start >= end:
                form.refuse("until", Phrase("It must end after it begins."))
                return None
            return Extent.span(start, end)
    form.refuse("extent", Phrase("Choose what is seen"))
    return None


def _parsed(form: Form, kind: str, why: Phrase) -> Extent | None:
    try:
        return Extent.parse(f"{kind}:{form[kind].strip()}")
    except ValueError:
        form.refuse(kind, why)
        return None


def _minutes(form: Form) -> int:
    text = form["minutes"].strip()
    minutes = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 0 < minutes <= _MOST_MINUTES:
        form.refuse("minutes", Phrase("Between 1 and %(most)s minutes", {"most": _MOST_MINUTES}))
    return minutes


def _ticket(form: Form) -> str:
    ticket = form.required("ticket", Phrase("Enter the ticket, or how you agreed on it"))
    if len(ticket) > MAX_TICKET or not visible(ticket):
        most = {"count": MAX_TICKET}
        form.refuse("ticket", Phrase("Enter at most %(count)s characters, none of them invisible.", most))
    return ticket
