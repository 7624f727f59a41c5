"""Handlers of the pages about rights. Each checks the person's rights; every statement is judged again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.messageclient.administering.frame import sections
from samdrift.messageclient.assigning.signingout import SigningOut
from samdrift.messageclient.entrance.access import Access, Visit, readers_at_operator
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.permissions import (
    OF_MAILBOX,
    Assigned,
    Assignments,
    Reader,
    RightsRefused,
    SignedAlone,
    Through,
    Way,
    person_subject,
)
from samdrift.rights import (
    Effect,
    Ended,
    Given,
    Right,
    Rights,
    Scope,
    StatementError,
    Subject,
    SubjectKind,
    Substitution,
    end_of,
)
from samdrift.rights.groups import short_name
from samdrift.rights.statements import Act
from samdrift.vault.gate import Gate
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.people import Identity
from samdrift.web.forms import Form
from samdrift.web.pages import Pages
from samdrift.web.policy import file_headers
from samdrift.web.tables import BEGINNING, csv_lines
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

TEMPLATES = Path(__file__).parent / "templates"
LOCALE = Path(__file__).parent / "locale"
_ZONE = ZoneInfo("Europe/Stockholm")
_SOON, _UNUSED = timedelta(days=14), timedelta(days=90)
"""Periods for marking a right: one that ends this soon, and one that has been unused for this long."""
_FRESH = timedelta(days=2)
"""Age from which a directory's list is marked as old, since it is normally read several times an hour."""
_ORDER = (Right.READ, Right.WRITE, Right.APPROVE, Right.MANAGE)
RIGHTS = {
    Right.READ: Phrase("read"),
    Right.WRITE: Phrase("write"),
    Right.APPROVE: Phrase("approve"),
    Right.MANAGE: Phrase("manage"),
}
_REFUSED = {
    Effect.SELF: Phrase("You cannot give rights to yourself. Ask another administrator."),
    Effect.NO_AUTHORITY: Phrase("You may not give this. An administrator may."),
    Effect.OVER: Phrase("It has already ended."),
}
_UNFIT = Phrase(
    "This decision is not possible. The last day must be within a year, and the reason must be one line."
)


@dataclass(frozen=True, slots=True)
class Line:
    """A person in the list of readers, in words."""

    name: str
    rights: tuple[Phrase, ...]
    ways: tuple[WayLine, ...]
    seen_at: datetime | None
    """Time at which the person last saw a message in the mailbox."""


@dataclass(frozen=True, slots=True)
class WayLine:
    """A way in which a person has rights, in words, with the number of the decision."""

    through: Phrase
    number: str
    by: str
    why: str
    since: datetime
    until: datetime
    listed: bool = False
    """True for a group of a directory, for which ``read_at`` is shown."""
    read_at: datetime | None = None
    """Time at which the list was last read."""


class RightsPages:
    """Pages about the rights of an organisation's people."""

    def __init__(self, pages: Pages, access: Access, assignments: Assignments, gate: Gate) -> None:
        self._pages = pages
        self._access = access
        self._assignments = assignments
        self._gate = gate

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of these pages."""
        page, form = self._access.page_endpoint, self._access.form_endpoint
        return (
            Route("/rights", page(self.overview)),
            Route("/rights/{mailbox}", page(self.readers), methods=["GET"]),
            Route("/rights/{mailbox}", form(self.readers_on), methods=["POST"]),
            Route("/rights/{mailbox}/table", form(self.table), methods=["POST"]),
            Route("/rights/{mailbox}/give", page(self.form), methods=["GET"]),
            Route("/rights/{mailbox}/give", form(self.give), methods=["POST"]),
            Route("/rights/{mailbox}/substitute", page(self.substitute_form), methods=["GET"]),
            Route("/rights/{mailbox}/substitute", form(self.substitute), methods=["POST"]),
            Route("/rights/{mailbox}/end/{decision}", page(self.end_form), methods=["GET"]),
            Route("/rights/{mailbox}/end/{decision}", form(self.end), methods=["POST"]),
        )

    async def overview(self, request: Request, visit: Visit) -> Response:
        """Show the mailboxes for which the person may see the readers."""
        found = [one for one in await self._mailboxes(visit) if _may_see(visit, one.id)]
        mailboxes = sorted(found, key=lambda one: (one.retired, one.name.casefold(), one.id))
        ends = visit.permissions.may(Right.ADMINISTRATOR)
        return self._page(request, visit, "rights.html", mailboxes=mailboxes, ends=ends)

    async def readers(self, request: Request, visit: Visit) -> Response:
        """Show who can read a mailbox, how, since when and until when, and when they last did."""
        mailbox = await self._mailbox(request, visit)
        assigned = await self._assignments.now(visit.organisation)
        return await self._readers_page(request, visit, mailbox, assigned, Form())

    async def readers_on(self, request: Request, visit: Visit) -> Response:
        """Show who could read a mailbox on another day, or will be able to."""
        form = await received(request)
        mailbox = await self._mailbox(request, visit)
        assigned = await self._assignments.now(visit.organisation)
        day = form.day("day", Phrase("Choose a day"))
        if day is None:
            return await self._readers_page(request, visit, mailbox, assigned, form, 422)
        assigned = assigned.on(end_of(day, _ZONE))
        return await self._readers_page(request, visit, mailbox, assigned, form)

    async def table(self, request: Request, visit: Visit) -> Response:
        """Return the list of readers as CSV."""
        await received(request)
        mailbox = await self._mailbox(request, visit)
        assigned = await self._assignments.now(visit.organisation)
        wording, lines = self._pages.wording(request), await self._lines(visit, mailbox, assigned)
        rows = [
            (
                line.name,
                wording.text(way.through),
                way.number,
                way.by,
                way.why,
                ", ".join(wording.text(right) for right in line.rights),
                _second(way.since),
                _second(way.until),
                "" if line.seen_at is None else _second(line.seen_at),
                "" if way.read_at is None else _second(way.read_at),
            )
            for line in lines
            for way in line.ways
        ]
        rows += [
            (wording.text(one.text), wording.text(one.more), "", "", "", "", "", _second(one.until), "", "")
            for one in readers_at_operator(visit.permissions, mailbox.id)
        ]
        head = ("name", "through", "decision", "by", "why", "may", "since", "until", "last here", "list read")
        return Response(
            BEGINNING + csv_lines([head, *rows]),
            headers=file_headers("vilka-kan-lasa.csv"),
            media_type="text/csv; charset=utf-8",
        )

    async def _readers_page(
        self,
        request: Request,
        visit: Visit,
        mailbox: MailboxRecord,
        assigned: Assigned,
        form: Form,
        status: int = 200,
    ) -> Response:
        names = {each.id: each.identity.name for each in assigned.persons}
        return self._page(
            request,
            visit,
            "who_can_read.html",
            status,
            mailbox=mailbox,
            form=form,
            lines=await self._lines(visit, mailbox, assigned),
            groups=[_way(each, names) for each in assigned.groups(mailbox.id)],
            coming=[] if assigned.another_day else _coming(assigned, mailbox.id, names),
            at_operator=readers_at_operator(visit.permissions, mailbox.id),
            may_give=_may_give(visit, mailbox.id) and not assigned.another_day,
            day=assigned.at if assigned.another_day else None,
            soon=assigned.moment + _SOON,
            unused=assigned.moment - _UNUSED,
            fresh=assigned.moment - _FRESH,
        )

    async def _lines(self, visit: Visit, mailbox: MailboxRecord, assigned: Assigned) -> list[Line]:
        async with self._gate.open(
            self._principal(visit), visit.organisation, Role.MESSAGE_CLIENT, Purpose.READ
        ) as vault:
            seen = await vault.last_readings(mailbox.id)
        names = {each.id: each.identity.name for each in assigned.persons}
        persons = [_line(each, names, seen.get(each.person)) for each in assigned.readers(mailbox.id)]
        systems = [
            Line(name, _in_order(way.rights), (_way(way, names),), None)
            for name, way in assigned.systems(mailbox.id)
        ]
        return [*persons, *systems]

    async def form(self, request: Request, visit: Visit) -> Response:
        """Show the form for giving rights."""
        mailbox = await self._mailbox(request, visit, to_give=True)
        return await self._give_page(request, visit, mailbox, Form())

    async def give(self, request: Request, visit: Visit) -> Response:
        """Give the rights chosen in the form."""
        form = await received(request)
        mailbox = await self._mailbox(request, visit, to_give=True)
        rights = frozenset(right for right in OF_MAILBOX if right.value in form.all("rights"))
        if not rights:
            form.refuse("rights", Phrase("Choose at least one right"))
        person = await self._person(visit, form)
        until, why = (
            _until(form),
            form.required("why", Phrase("Give a reason, for those who see the list later")),
        )
        if not form.errors and person is not None and until is not None:
            what = Rights(person_subject(person), Scope(mailbox.id), rights)
            await self._state(visit, form, "person", why, partial(_given, what, until))
        if form.errors:
            return await self._give_page(request, visit, mailbox, form, 422)
        return _see(mailbox)

    async def substitute_form(self, request: Request, visit: Visit) -> Response:
        """Show the form for appointing a substitute."""
        mailbox = await self._mailbox(request, visit, to_give=True)
        return await self._substitute_page(request, visit, mailbox, Form())

    async def substitute(self, request: Request, visit: Visit) -> Response:
        """Appoint the substitute chosen in the form for an absent person."""
        form = await received(request)
        mailbox = await self._mailbox(request, visit, to_give=True)
        known = {each.id for each in (await self._assignments.now(visit.organisation)).persons}
        absent, person = form["absent"], form["person"]
        for name, value in (("absent", absent), ("person", person)):
            if value not in known:
                form.refuse(name, Phrase("Choose a person"))
        if absent == person:
            form.refuse("person", Phrase("A person cannot be their own substitute"))
        since = _since(form)
        until, why = (
            _until(form),
            form.required("why", Phrase("Give a reason, for those who see the list later")),
        )
        if not form.errors and until is not None:
            what = Substitution(person_subject(person), Scope(mailbox.id), person_subject(absent))
            await self._state(visit, form, "person", why, partial(_given, what, until, since=since))
        if form.errors:
            return await self._substitute_page(request, visit, mailbox, form, 422)
        return _see(mailbox)

    async def end_form(self, request: Request, visit: Visit) -> Response:
        """Ask whether to end the rights that a decision gave."""
        mailbox = await self._mailbox(request, visit, to_give=True)
        return await self._end_page(request, visit, mailbox, Form())

    async def end(self, request: Request, visit: Visit) -> Response:
        """End the rights that a decision gave, with effect from the next request."""
        form = await received(request)
        mailbox = await self._mailbox(request, visit, to_give=True)
        digest = _decision(
            await self._assignments.now(visit.organisation), request.path_params["decision"], mailbox.id
        )
        if digest is None:
            raise HTTPException(404)
        why = form.required("why", Phrase("Give a reason, for those who see the list later"))
        if not form.errors:
            await self._state(visit, form, "why", why, partial(_ended, digest))
        if form.errors:
            return await self._end_page(request, visit, mailbox, form, 422)
        return _see(mailbox)

    async def _end_page(
        self, request: Request, visit: Visit, mailbox: MailboxRecord, form: Form, status: int = 200
    ) -> Response:
        assigned = await self._assignments.now(visit.organisation)
        number = request.path_params["decision"]
        if _decision(assigned, number, mailbox.id) is None:
            raise HTTPException(404)
        names = {each.id: each.identity.name for each in assigned.persons}
        readers = [(each.name, each.ways) for each in assigned.readers(mailbox.id)]
        later = [(names.get(who, ""), (way,)) for who, way in assigned.coming(mailbox.id)]
        whom = [name for name, ways in (*readers, *later) if name and number in {way.number for way in ways}]
        context = {"mailbox": mailbox, "form": form, "number": number, "whom": whom}
        return self._page(request, visit, "end_rights.html", status, **context)

    async def _give_page(
        self, request: Request, visit: Visit, mailbox: MailboxRecord, form: Form, status: int = 200
    ) -> Response:
        assigned = await self._assignments.now(visit.organisation)
        administrator = visit.permissions.may(Right.ADMINISTRATOR)
        return self._page(
            request,
            visit,
            "give_rights.html",
            status,
            mailbox=mailbox,
            form=form,
            persons=_persons(assigned),
            rights=[(right, RIGHTS[right]) for right in _ORDER if administrator or right is not Right.MANAGE],
            may_add=administrator,
        )

    async def _substitute_page(
        self, request: Request, visit: Visit, mailbox: MailboxRecord, form: Form, status: int = 200
    ) -> Response:
        assigned = await self._assignments.now(visit.organisation)
        absent = [(each.person, each.name) for each in assigned.readers(mailbox.id)]
        context = {"mailbox": mailbox, "form": form, "persons": _persons(assigned), "absent": absent}
        return self._page(request, visit, "substitute.html", status, **context)

    def _page(
        self, request: Request, visit: Visit, template: str, status: int = 200, **context: Any
    ) -> Response:
        ways = sections(self._pages, request, visit.permissions.held())
        return self._pages.page(request, template, status, sections=ways, **context)

    async def _person(self, visit: Visit, form: Form) -> str | None:
        """Return the chosen person, or a new one added by an administrator; otherwise refuse the field."""
        subject, name = form["subject"].strip(), form["name"].strip()
        if (subject or name) and visit.permissions.may(Right.ADMINISTRATOR):
            if not subject or not name or len(subject) > 255 or len(name) > 255:
                form.refuse("subject", Phrase("Enter both an identity and a name for a new person"))
                return None
            async with self._gate.open(
                self._principal(visit), visit.organisation, Role.MESSAGE_CLIENT, Purpose.ADMINISTER
            ) as vault:
                return await vault.know_person(Identity(visit.issuer, subject, name))
        known = {each.id for each in (await self._assignments.now(visit.organisation)).persons}
        if form["person"] not in known:
            form.refuse("person", Phrase("Choose a person"))
            return None
        return form["person"]

    async def _state(
        self, visit: Visit, form: Form, field: str, why: str, act: Callable[[datetime], Act]
    ) -> None:
        try:
            await self._assignments.state(visit.organisation, person_subject(visit.person.id), why, act)
        except SignedAlone:
            form.refuse(field, Phrase("Here, rights are given only by signed decisions."))
        except RightsRefused as refused:
            form.refuse(field, _REFUSED.get(refused.effect, _UNFIT))
        except StatementError:
            form.refuse("until", _UNFIT)

    async def _mailboxes(self, visit: Visit) -> tuple[MailboxRecord, ...]:
        async with self._gate.open(
            self._principal(visit), visit.organisation, Role.MESSAGE_CLIENT, Purpose.READ
        ) as vault:
            return await vault.mailboxes()

    async def _mailbox(self, request: Request, visit: Visit, *, to_give: bool = False) -> MailboxRecord:
        """Return a page's mailbox; one that the person may not see is treated as non-existent."""
        asked = request.path_params["mailbox"]
        may = _may_give if to_give else _may_see
        for one in await self._mailboxes(visit):
            if one.id == asked and may(visit, one.id):
                return one
        async with self._gate.open(
            self._principal(visit), visit.organisation, Role.MESSAGE_CLIENT, Purpose.READ
        ) as vault:
            vault.record(MKEvent.MK_ACCESS_DENIED, kind="rights")
        raise HTTPException(404)

    def _principal(self, visit: Visit) -> Principal:
        return Principal(PrincipalKind.USER, visit.person.id, visit.organisation.value)


def rights_routes(pages: Pages, access: Access, assignments: Assignments, gate: Gate) -> tuple[Route, ...]:
    """Return the routes of the pages about rights."""
    signing_out = SigningOut(pages, access, gate)
    return (*RightsPages(pages, access, assignments, gate).routes(), *signing_out.routes())


def _may_see(visit: Visit, mailbox: str) -> bool:
    """Return whether a person may see a mailbox's readers.

    Its members may, and so may those who give rights or supervise them.
    """
    may = visit.permissions.may
    return (
        any(may(right, mailbox) for right in OF_MAILBOX)
        or may(Right.ADMINISTRATOR)
        or may(Right.SECURITY_OFFICER)
    )


def _may_give(visit: Visit, mailbox: str) -> bool:
    return visit.permissions.may(Right.ADMINISTRATOR) or visit.permissions.may(Right.MANAGE, mailbox)


def _given(
    what: Rights | Substitution, until: datetime, at: datetime, *, since: datetime | None = None
) -> Given:
    return Given(what, max(at, since or at), until, asked=False)


def _ended(digest: str, at: datetime) -> Ended:
    return Ended(of=digest)


def _decision(assigned: Assigned, number: str, mailbox: str) -> str | None:
    """Return the digest of a decision about a mailbox, given its number."""
    ways = [way for reader in assigned.readers(mailbox) for way in reader.ways]
    later = (way for _, way in assigned.coming(mailbox))
    for way in (*ways, *assigned.groups(mailbox), *later):
        if way.number == number:
            return way.digest
    return None


def _since(form: Form) -> datetime | None:
    """Return the start of the first day; ``None`` to start immediately."""
    if not form["since"]:
        return None
    day = form.day("since", Phrase("Choose the first day, or leave it empty"))
    return None if day is None else datetime.combine(day, time(), _ZONE)


def _until(form: Form) -> datetime | None:
    day = form.day("until", Phrase("Choose the last day"))
    return None if day is None else end_of(day, _ZONE)


def _persons(assigned: Assigned) -> list[tuple[str, str]]:
    found = [(each.id, each.identity.name or each.identity.subject) for each in assigned.persons]
    return sorted(found, key=lambda pair: pair[1].casefold())


def _coming(assigned: Assigned, mailbox: str, names: dict[str, str]) -> list[Line]:
    """Return rights that start later, with their recipients; for a group, the way contains its name."""
    return [
        Line(
            names.get(who, who if way.through is Through.ASSIGNMENT else ""),
            _in_order(way.rights),
            (_way(way, names),),
            None,
        )
        for who, way in assigned.coming(mailbox)
    ]


def _line(reader: Reader, names: dict[str, str], seen_at: datetime | None) -> Line:
    ways = tuple(_way(each, names) for each in reader.ways)
    return Line(reader.name, _in_order(reader.rights), ways, seen_at)


def _in_order(rights: frozenset[Right]) -> tuple[Phrase, ...]:
    return tuple(RIGHTS[right] for right in _ORDER if right in rights)


def _way(way: Way, names: dict[str, str]) -> WayLine:
    through = {
        Through.ASSIGNMENT: Phrase("Assigned"),
        Through.GROUP: Phrase("Group %(group)s", {"group": way.group.rpartition("#")[2]}),
        Through.DIRECTORY: Phrase("Group %(group)s of the directory", {"group": _short(way)}),
        Through.SUBSTITUTION: Phrase("Substitute for %(name)s", {"name": names.get(way.absent, "")}),
    }[way.through]
    listed = way.through is Through.DIRECTORY
    author = names.get(way.by.id, "")
    return WayLine(through, way.number, author, way.why, way.since, way.until, listed, way.read_at)


def _short(way: Way) -> str:
    return short_name(Subject(SubjectKind.GROUP, way.group)) if way.through is Through.DIRECTORY else ""


def _second(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _see(mailbox: MailboxRecord) -> Response:
    return RedirectResponse(f"/rights/{mailbox.id}", 303)
