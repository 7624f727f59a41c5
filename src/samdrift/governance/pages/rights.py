"""Pages of rights given by signed statements: listing, granting, substituting, and ending all at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime

from starlette.requests import Request
from starlette.responses import Response

from samdrift.governance.groups import states
from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.frame import PART, RIGHTS_PAGE, Frame, Part
from samdrift.governance.pages.signing import Signing
from samdrift.governance.pages.waiting import SOON
from samdrift.governance.pages.words import RIGHTS
from samdrift.rights.fields import LONGEST, ORGANISATION, Scope, Subject, SubjectKind, end_of
from samdrift.rights.folding import Holding
from samdrift.rights.statements import (
    OF_CONTENT,
    OF_ORGANISATION,
    Act,
    Ended,
    Given,
    Right,
    Rights,
    Substitution,
)
from samdrift.web.formats import SWEDEN
from samdrift.web.forms import Form
from samdrift.web.guards import session_of
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

_CHOICES = ("read", "write", "approve", "manage")
_TYPED = {
    SubjectKind.GROUP: Phrase("Name a group of the directory, or choose a person"),
    SubjectKind.SYSTEM: Phrase("Name a system as the message service knows it, or choose a person"),
    SubjectKind.CLAIM: Phrase("Enter the name of a claim, = and its value, or choose a person"),
}
"""Recipients of a right whose names are typed in, by form field, with the error text for each."""


class RightsPages:
    """Pages of rights."""

    def __init__(self, frame: Frame, access: Access, signing: Signing) -> None:
        self._frame, self._access, self._signing = frame, access, signing

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", RIGHTS_PAGE, self.list, Seen.ROLE),
            ("GET", f"{RIGHTS_PAGE}/give", self.ask_give, Seen.OFFICER),
            ("POST", f"{RIGHTS_PAGE}/give", self.give, Seen.OFFICER),
            ("GET", f"{RIGHTS_PAGE}/role", self.ask_role, Seen.OFFICER),
            ("POST", f"{RIGHTS_PAGE}/role", self.give_role, Seen.OFFICER),
            ("GET", f"{RIGHTS_PAGE}/end-all", self.ask_end_all, Seen.OFFICER),
            ("POST", f"{RIGHTS_PAGE}/end-all", self.end_all, Seen.OFFICER),
            ("GET", f"{RIGHTS_PAGE}/substitute", self.ask_substitute, Seen.OFFICER),
            ("POST", f"{RIGHTS_PAGE}/substitute", self.substitute, Seen.OFFICER),
        )

    async def list(self, request: Request, visit: Visit) -> Response:
        """Show all rights at a moment, ordered by place, one part of the list per page."""
        asked = request.query_params.get("on", "")
        try:
            moment = end_of(date.fromisoformat(asked), SWEDEN).astimezone(UTC) if asked else visit.now
        except (ValueError, OverflowError):
            moment, asked = visit.now, ""
        held = sorted(visit.record.state.holdings(moment), key=lambda each: self._order(visit, each))
        part = Part.asked(request, len(held))
        begins = [self._place(visit, each.given.what.scope) for each in held[::PART]]
        places: dict[Scope, list[Holding]] = {}
        for each in held[part.first - 1 : part.last]:
            places.setdefault(each.given.what.scope, []).append(each)
        numbers = {each.statement.digest: each for each in visit.record.entries}
        return self._frame.page(
            request,
            visit,
            "rights.html",
            part=part,
            begins=begins,
            places=[(scope, self._place(visit, scope), shown) for scope, shown in places.items()],
            organisation=ORGANISATION,
            moment=moment,
            asked=asked,
            soon=visit.now + SOON,
            numbers=numbers,
            labels=RIGHTS,
            is_rights=lambda what: isinstance(what, Rights),
            listed={each.group: each for each in states(visit.record, moment)},
        )

    async def ask_give(self, request: Request, visit: Visit) -> Response:
        """Show the form for granting a right."""
        return self._form(request, visit, Form((("until", _in_a_year(visit)),)), "give.html")

    async def give(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign a grant of rights to a mailbox."""
        form = await received(request)
        whose = self._receiver(request, form)
        scope, end = self._mailbox(form), self._end(form, visit)
        rights = frozenset(Right(each) for each in form.all("rights") if each in _CHOICES)
        if not rights:
            form.refuse("rights", Phrase("Choose what the person may do"))
        if whose is not None and whose.kind is not SubjectKind.PERSON and not rights <= OF_CONTENT:
            form.refuse("rights", Phrase("Only a person can manage a mailbox"))
        if whose is None or scope is None or end is None or form.errors:
            return self._form(request, visit, form, "give.html", 422)

        def act(at: datetime) -> Act:
            return Given(Rights(whose, scope, rights), at, min(end, at + LONGEST), asked=False)

        answer = await self._signing.ask(request, visit, form, act, f"{RIGHTS_PAGE}/give")
        return answer or self._form(request, visit, form, "give.html", 422)

    async def ask_role(self, request: Request, visit: Visit) -> Response:
        """Show the form for giving a person a role in the organisation."""
        return self._form(request, visit, Form((("until", _in_a_year(visit)),)), "role.html")

    async def give_role(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign a request for a role, which another officer approves."""
        form = await received(request)
        whose, end = self._whose(form), self._end(form, visit)
        role = next((each for each in OF_ORGANISATION if each == form["role"]), None)
        if role is None:
            form.refuse("role", Phrase("Choose a role"))
        if whose is None or role is None or end is None or form.errors:
            return self._form(request, visit, form, "role.html", 422)

        def act(at: datetime) -> Act:
            what = Rights(whose, ORGANISATION, frozenset({role}))
            return Given(what, at, min(end, at + LONGEST), asked=True)

        answer = await self._signing.ask(request, visit, form, act, f"{RIGHTS_PAGE}/role")
        return answer or self._form(request, visit, form, "role.html", 422)

    async def ask_substitute(self, request: Request, visit: Visit) -> Response:
        """Show the form for naming a substitute."""
        return self._form(request, visit, Form(), "substitute.html")

    async def substitute(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the naming of a substitute."""
        form = await received(request)
        whose, scope, end = self._whose(form), self._mailbox(form), self._end(form, visit)
        absent = self._whose(form, "absent")
        begin = visit.now
        if form["since"]:
            day = form.day("since", Phrase("Choose a day"))
            begin = datetime.combine(day, datetime.min.time(), SWEDEN).astimezone(UTC) if day else begin
        if whose is None or scope is None or end is None or absent is None or form.errors:
            return self._form(request, visit, form, "substitute.html", 422)

        def act(at: datetime) -> Act:
            first = max(at, begin)
            return Given(Substitution(whose, scope, absent), first, min(end, first + LONGEST), asked=False)

        answer = await self._signing.ask(request, visit, form, act, f"{RIGHTS_PAGE}/substitute")
        return answer or self._form(request, visit, form, "substitute.html", 422)

    async def ask_end_all(self, request: Request, visit: Visit) -> Response:
        """Show the form for ending all rights of a subject."""
        return self._ending(request, visit, Form())

    async def end_all(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the end of everything a subject was given; the next page lists it."""
        form = await received(request)
        whose = next((each for each in _holders(visit) if str(each) == form["subject"]), None)
        if whose is None:
            form.refuse("subject", Phrase("Choose whose rights end"))
            return self._ending(request, visit, form, 422)
        ended = Ended(subject=whose)
        answer = await self._signing.ask(request, visit, form, lambda at: ended, f"{RIGHTS_PAGE}/end-all")
        return answer or self._ending(request, visit, form, 422)

    def _ending(self, request: Request, visit: Visit, form: Form, status: int = 200) -> Response:
        holders = [(str(each), visit.names.of(each)) for each in _holders(visit)]
        return self._frame.page(request, visit, "end_all.html", status, form=form, holders=holders)

    def _form(self, request: Request, visit: Visit, form: Form, template: str, status: int = 200) -> Response:
        persons = sorted(visit.names.persons.items(), key=lambda pair: (pair[1].casefold(), pair[0]))
        return self._frame.page(
            request,
            visit,
            template,
            status,
            form=form,
            persons=[(subject, name) for subject, name in persons if subject.startswith("person:")],
            mailboxes=sorted(visit.names.mailboxes.items(), key=lambda pair: pair[1].casefold()),
            rights=[(each, RIGHTS[Right(each)]) for each in _CHOICES],
            roles=[(each, RIGHTS[each]) for each in sorted(OF_ORGANISATION)],
            directories=_directories(visit),
        )

    def _order(self, visit: Visit, holding: Holding) -> tuple[bool, str, str]:
        """Return the sort key of a right: those of the organisation first, then by name of the mailbox."""
        scope = holding.given.what.scope
        return scope != ORGANISATION, self._place(visit, scope), str(scope)

    def _place(self, visit: Visit, scope: Scope) -> str:
        return "" if scope.mailbox is None else visit.names.mailboxes.get(scope.mailbox, scope.mailbox)

    def _whose(self, form: Form, field: str = "person") -> Subject | None:
        try:
            return Subject.parse(form[field].strip())
        except ValueError:
            form.refuse(field, Phrase("Choose a person"))
            return None

    def _receiver(self, request: Request, form: Form) -> Subject | None:
        """Return the recipient of a right: either a chosen person or one typed name, but not both."""
        typed = [kind for kind in _TYPED if form[kind].strip()]
        if not typed:
            return self._whose(form)
        kind, text = typed[0], form[typed[0]].strip()
        if len(typed) == 1 and not form["person"].strip():
            with suppress(ValueError):
                if kind is not SubjectKind.CLAIM:
                    return Subject.parse(f"{kind}:{text}")
                name, _, value = (each.strip() for each in text.partition("="))
                session = session_of(request)
                if name and value and session is not None:
                    return Subject.claim(session.person.issuer, name, value)
        form.refuse(kind, _TYPED[kind])
        return None

    def _mailbox(self, form: Form) -> Scope | None:
        try:
            return Scope.parse(f"mailbox:{form['mailbox'].strip()}")
        except ValueError:
            form.refuse("mailbox", Phrase("Choose a mailbox"))
            return None

    def _end(self, form: Form, visit: Visit) -> datetime | None:
        day = form.day("until", Phrase("Choose the last day"))
        if day is None:
            return None
        end = end_of(day, SWEDEN).astimezone(UTC)
        if end <= visit.now:
            form.refuse("until", Phrase("The last day must not be before today"))
            return None
        return end


def _directories(visit: Visit) -> list[str]:
    """Return the names of the directories whose keys are enrolled."""
    keys = visit.record.keys.in_force(visit.now)
    return sorted({each.act.to.id for each in keys if each.act.to.kind is SubjectKind.DIRECTORY})


def _holders(visit: Visit) -> list[Subject]:
    """Return the subjects that have rights, ordered by name."""
    found = {each.given.what.subject for each in visit.record.state.holdings(visit.now)}
    return sorted(found, key=lambda each: (visit.names.of(each).casefold(), str(each)))


def _in_a_year(visit: Visit) -> str:
    """Return the last day until which a right can be granted."""
    last = visit.now + LONGEST
    return f"{last.astimezone(SWEDEN):%Y-%m-%d}"
