"""Pages for opening a review, naming a party, entering an agreement or a notice, and releasing a duty."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from samdrift.governance.duties.catalogue import Catalogue, Duty, newest, vanished
from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.frame import AGREEMENTS, REVIEWS, Frame
from samdrift.governance.pages.signing import Signing
from samdrift.governance.pages.waiting import latest_extension, register_of, waiting
from samdrift.governance.pages.words import FUNCTIONS, PARTY_KINDS
from samdrift.governance.reviews import SYSTEMS, items_about
from samdrift.rights.agreementfold import Countersigned
from samdrift.rights.agreements import (
    AtEnd,
    Chosen,
    Extended,
    Function,
    NoticeGiven,
    Party,
    PartyKind,
    PartyNamed,
    Released,
    as_written,
)
from samdrift.rights.consentfold import officers
from samdrift.rights.fields import ORGANISATION, StatementError, Subject, end_of
from samdrift.rights.reviews import LONGEST, SHORTEST, ReviewOpened
from samdrift.rights.statements import Act
from samdrift.web.formats import SWEDEN
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

Catalogues = Callable[[], Sequence[Catalogue]]
"""Source of the catalogues of duties that apply, newest last."""
_USUAL = timedelta(days=30)
_COUNTRY = re.compile(r"[A-Z]{2}")
_MAX_WRITTEN = 64 << 10
"""Maximum size of a pasted agreement, in bytes."""


AT_END: Mapping[AtEnd, Phrase] = {
    AtEnd.STOP: Phrase("New messages stop"),
    AtEnd.CONTINUE: Phrase("New messages go on being sent"),
}


class Entering:
    """Pages with forms that lead to a statement."""

    def __init__(self, frame: Frame, access: Access, signing: Signing, catalogues: Catalogues) -> None:
        self._frame, self._access, self._signing = frame, access, signing
        self._catalogues = catalogues

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", f"{REVIEWS}/open", self.ask_review, Seen.OFFICER),
            ("POST", f"{REVIEWS}/open", self.open_review, Seen.OFFICER),
            ("GET", f"{AGREEMENTS}/party", self.ask_party, Seen.OFFICER),
            ("POST", f"{AGREEMENTS}/party", self.state_party, Seen.OFFICER),
            ("GET", f"{AGREEMENTS}/enter", self.ask_agreement, Seen.OFFICER),
            ("POST", f"{AGREEMENTS}/enter", self.enter_agreement, Seen.OFFICER),
            ("GET", f"{AGREEMENTS}/at-end", self.ask_choice, Seen.OFFICER),
            ("POST", f"{AGREEMENTS}/at-end", self.choose, Seen.OFFICER),
            ("GET", f"{AGREEMENTS}/release", self.ask_release, Seen.OFFICER),
            ("POST", f"{AGREEMENTS}/release", self.release, Seen.OFFICER),
            ("GET", f"{AGREEMENTS}/{{digest}}/extend", self.ask_extension, Seen.OFFICER),
            ("POST", f"{AGREEMENTS}/{{digest}}/extend", self.extend, Seen.OFFICER),
            ("GET", f"{AGREEMENTS}/{{digest}}/notice", self.ask_notice, Seen.OFFICER),
            ("POST", f"{AGREEMENTS}/{{digest}}/notice", self.give_notice, Seen.OFFICER),
        )

    async def ask_review(self, request: Request, visit: Visit) -> Response:
        """Show the form for opening a review: its subject, its reviewers, and its last day."""
        until = (visit.now + _USUAL).astimezone(SWEDEN)
        return self._review(request, visit, Form((("until", f"{until:%Y-%m-%d}"),)))

    async def open_review(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the opening of a review."""
        form = await received(request)
        about = next((place for place, _ in self._places(visit) if place == form["about"]), None)
        if about is None:
            form.refuse("about", Phrase("Choose what is reviewed"))
        first, second = self._officer(form, visit, "reviewer"), self._officer(form, visit, "stand-in")
        if first is not None and first == second:
            form.refuse("stand-in", Phrase("Choose someone other than the reviewer"))
        due = self._due(form, visit)
        if about is None or first is None or second is None or due is None or form.errors:
            return self._review(request, visit, form, 422)
        items = items_about(visit.record, about, visit.now)

        def act(at: datetime) -> Act:
            return ReviewOpened(about, items, first, second, due)

        answer = await self._signing.ask(request, visit, form, act, f"{REVIEWS}/open")
        return answer or self._review(request, visit, form, 422)

    async def ask_party(self, request: Request, visit: Visit) -> Response:
        """Show the form for naming a party to agreements."""
        return self._party(request, visit, Form())

    async def state_party(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the name and kind of a party."""
        form = await received(request)
        name = form.required("name", Phrase("Enter the party’s name"))
        kind = next((each for each in PartyKind if each == form["kind"]), None)
        if kind is None:
            form.refuse("kind", Phrase("Choose a kind"))
        try:
            party = Party.parse(form["number"].strip())
        except ValueError:
            form.refuse("number", Phrase("A party is written like SE:212000-0142, with its check digit"))
            party = None
        if party is None or kind is None or form.errors:
            return self._party(request, visit, form, 422)
        participant = visit.organisation.value if form["own"] else ""
        stated = PartyNamed(party, name, kind, participant)
        answer = await self._signing.ask(request, visit, form, lambda at: stated, f"{AGREEMENTS}/party")
        return answer or self._party(request, visit, form, 422)

    async def ask_agreement(self, request: Request, visit: Visit) -> Response:
        """Show the form for entering an agreement."""
        return self._agreement(request, visit, Form())

    async def enter_agreement(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the entry of an agreement, which another officer countersigns."""
        form = await received(request)
        content = form["agreement"].encode()
        try:
            if len(content) > _MAX_WRITTEN:
                raise StatementError("it is too long")
            agreed = as_written(content, visit.now)
        except StatementError as error:
            reason = {"reason": str(error)}
            form.refuse("agreement", Phrase("That is not an agreement: %(reason)s", reason))
            return self._agreement(request, visit, form, 422)
        answer = await self._signing.ask(request, visit, form, lambda at: agreed, f"{AGREEMENTS}/enter")
        return answer or self._agreement(request, visit, form, 422)

    async def ask_choice(self, request: Request, visit: Visit) -> Response:
        """Show the form for choosing what happens to new messages when cover ends."""
        chosen = register_of(visit.record, visit.now).chosen(visit.now)
        return self._choice(request, visit, Form((("sending", chosen.value),)))

    async def choose(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the choice of what happens to new messages when cover ends."""
        form = await received(request)
        sending = next((each for each in AtEnd if each == form["sending"]), None)
        if sending is None:
            form.refuse("sending", Phrase("Choose one of the two"))
            return self._choice(request, visit, form, 422)
        chosen = Chosen(sending)
        answer = await self._signing.ask(request, visit, form, lambda at: chosen, f"{AGREEMENTS}/at-end")
        return answer or self._choice(request, visit, form, 422)

    async def ask_release(self, request: Request, visit: Visit) -> Response:
        """Show the form for releasing a duty that the newest catalogue lacks."""
        return self._release(request, visit, Form())

    async def release(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the release of a duty, which another officer approves."""
        form = await received(request)
        if form["duty"] not in self._vanished(visit):
            form.refuse("duty", Phrase("Choose a duty"))
            return self._release(request, visit, form, 422)
        released = Released(form["duty"], newest(self._catalogues(), visit.now.date()).label)
        back = f"{AGREEMENTS}/release"
        answer = await self._signing.ask(request, visit, form, lambda at: released, back)
        return answer or self._release(request, visit, form, 422)

    async def ask_extension(self, request: Request, visit: Visit) -> Response:
        """Show the form for extending an agreement."""
        latest = _latest(request, visit)
        last = f"{_last_day(latest):%Y-%m-%d}"
        return self._extension(request, visit, Form((("until", last),)), latest)

    async def extend(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign the extension of an agreement, which another officer approves."""
        latest, form = _latest(request, visit), await received(request)
        end = _end_of(form, "until", Phrase("Choose the last day"))
        if end is not None and not visit.now < end <= latest:
            form.refuse("until", Phrase("The last day must be after today, and no later than the latest day"))
        if end is None or form.errors:
            return self._extension(request, visit, form, latest, 422)
        extended = Extended(request.path_params["digest"], end)
        back = f"/decide/{extended.of}"
        answer = await self._signing.ask(request, visit, form, lambda at: extended, back)
        return answer or self._extension(request, visit, form, latest, 422)

    async def ask_notice(self, request: Request, visit: Visit) -> Response:
        """Show the form for a notice of a sub-supplier, given by the performer of an agreement."""
        return self._notice(request, visit, Form(), _agreement_of(request, visit))

    async def give_notice(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign a notice of a sub-supplier, to which the organisation can object."""
        agreed, form = _agreement_of(request, visit), await received(request)
        performer = next((each for each in _known(visit) if str(each) == form["performer"]), None)
        if performer is None:
            form.refuse("performer", Phrase("Choose a party"))
        functions = frozenset(each for each in Function if each in form.all("functions"))
        if not functions:
            form.refuse("functions", Phrase("Choose what the sub-supplier performs"))
        countries = tuple(sorted({*form["countries"].upper().replace(",", " ").split()}))
        if not countries or not all(_COUNTRY.fullmatch(each) for each in countries):
            form.refuse("countries", Phrase("Enter countries by two letters, such as SE, FI"))
        closes = _end_of(form, "window", Phrase("Choose the last day for an objection"))
        begins = _end_of(form, "start", Phrase("Choose the day after which it is engaged"))
        if closes is not None and closes <= visit.now:
            form.refuse("window", Phrase("The last day must not be before today"))
        if closes is not None and begins is not None and begins < closes:
            form.refuse("start", Phrase("It can only be engaged after the objection period"))
        if performer is None or closes is None or begins is None or form.errors:
            return self._notice(request, visit, form, agreed, 422)
        given = NoticeGiven(agreed.digest, performer, functions, countries, closes, begins)
        back = f"/decide/{agreed.digest}"
        answer = await self._signing.ask(request, visit, form, lambda at: given, back)
        return answer or self._notice(request, visit, form, agreed, 422)

    def _notice(
        self, request: Request, visit: Visit, form: Form, agreed: Countersigned, status: int = 200
    ) -> Response:
        parties = register_of(visit.record, visit.now).parties
        text = self._frame.wording(request).text
        return self._frame.page(
            request,
            visit,
            "agreement_notice.html",
            status,
            form=form,
            agreed=agreed,
            parties=parties,
            known=[(str(each), parties[each].name) for each in _known(visit)],
            functions=[(each.value, text(FUNCTIONS[each])) for each in Function],
        )

    def _choice(self, request: Request, visit: Visit, form: Form, status: int = 200) -> Response:
        return self._frame.page(request, visit, "at_end.html", status, form=form, choices=[*AT_END.items()])

    def _vanished(self, visit: Visit) -> Mapping[str, Duty]:
        released = register_of(visit.record, visit.now).released
        return vanished(self._catalogues(), visit.now.date(), released)

    def _release(self, request: Request, visit: Visit, form: Form, status: int = 200) -> Response:
        asked = {
            each.entry.statement.act.duty: each.entry.statement.digest
            for each in waiting(visit.record, visit.person, visit.now)
            if isinstance(each.entry.statement.act, Released)
        }
        return self._frame.page(
            request,
            visit,
            "agreement_release.html",
            status,
            form=form,
            duties=self._vanished(visit).values(),
            asked=asked,
            newest=newest(self._catalogues(), visit.now.date()).label,
            language=self._frame.wording(request).formats.language,
        )

    def _extension(
        self, request: Request, visit: Visit, form: Form, latest: datetime, status: int = 200
    ) -> Response:
        register, digest = register_of(visit.record, visit.now), request.path_params["digest"]
        agreed = next(each for each in register.agreements if each.digest == digest)
        return self._frame.page(
            request,
            visit,
            "agreement_extend.html",
            status,
            form=form,
            agreed=agreed,
            parties=register.parties,
            latest=_last_day(latest),
        )

    def _review(self, request: Request, visit: Visit, form: Form, status: int = 200) -> Response:
        able = [(str(each), visit.names.of(each)) for each in officers(visit.record, visit.now)]
        places = self._places(visit)
        return self._frame.page(
            request,
            visit,
            "review_open.html",
            status,
            form=form,
            places=[(place, visit.names.mailboxes.get(name, name)) for place, name in places],
            able=sorted(able, key=lambda pair: pair[1].casefold()),
            organisation=str(ORGANISATION),
            systems=SYSTEMS,
        )

    def _party(self, request: Request, visit: Visit, form: Form, status: int = 200) -> Response:
        kinds = list(PARTY_KINDS.items())
        return self._frame.page(request, visit, "party.html", status, form=form, kinds=kinds)

    def _agreement(self, request: Request, visit: Visit, form: Form, status: int = 200) -> Response:
        return self._frame.page(request, visit, "agreement_enter.html", status, form=form)

    def _places(self, visit: Visit) -> list[tuple[str, str]]:
        """Return the places whose rights can be reviewed: the roles, the systems, and each mailbox.

        Only places with rights that no open review includes are returned.
        """
        mailboxes = sorted(
            {
                each.given.what.scope.mailbox
                for each in visit.record.state.holdings(visit.now)
                if each.given.what.scope.mailbox is not None
            }
        )
        places = [(str(ORGANISATION), ""), (SYSTEMS, ""), *((f"mailbox:{each}", each) for each in mailboxes)]
        return [each for each in places if items_about(visit.record, each[0], visit.now)]

    def _officer(self, form: Form, visit: Visit, field: str) -> Subject | None:
        for each in officers(visit.record, visit.now):
            if str(each) == form[field]:
                return each
        form.refuse(field, Phrase("Choose an officer"))
        return None

    def _due(self, form: Form, visit: Visit) -> datetime | None:
        day = form.day("until", Phrase("Choose the last day"))
        if day is None:
            return None
        due = end_of(day, SWEDEN).astimezone(UTC)
        if not visit.now + SHORTEST <= due <= visit.now + LONGEST:
            form.refuse("until", Phrase("A review lasts at least one day and at most 92 days"))
            return None
        return due


def _agreement_of(request: Request, visit: Visit) -> Countersigned:
    """Return the countersigned agreement that an address names, or respond with 404."""
    for each in register_of(visit.record, visit.now).agreements:
        if each.digest == request.path_params["digest"]:
            return each
    raise HTTPException(404)


def _known(visit: Visit) -> list[Party]:
    """Return the parties that are named in the record, ordered by name."""
    parties = register_of(visit.record, visit.now).parties
    return sorted(parties, key=lambda each: (parties[each].name.casefold(), str(each)))


def _end_of(form: Form, field: str, why: Phrase) -> datetime | None:
    """Return the end of the day in a field, and refuse the field if it is not a day."""
    day = form.day(field, why)
    return None if day is None else end_of(day, SWEDEN).astimezone(UTC)


def _latest(request: Request, visit: Visit) -> datetime:
    """Return the latest end to which an agreement can be extended, or respond with 404 if it cannot."""
    latest = latest_extension(visit.record, visit.person, visit.now, request.path_params["digest"])
    if latest is None:
        raise HTTPException(404)
    return latest


def _last_day(latest: datetime) -> datetime:
    """Return a moment in the last whole day before ``latest``."""
    return latest.astimezone(SWEDEN) - timedelta(days=1)
