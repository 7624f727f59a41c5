"""The *Today* page (pending decisions, and rights that end soon) and the pages on which people decide."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.frame import OWN_KEYS, TODAY, Frame
from samdrift.governance.pages.signing import Signing
from samdrift.governance.pages.waiting import (
    AGREEMENTS_SOON,
    answers_in,
    ending_keys,
    ending_rights,
    foreseen,
    latest_extension,
    open_notices,
    open_reviews,
    register_of,
    waiting,
)
from samdrift.governance.pages.words import RIGHTS, Telling, kind_of, receiver, refusal
from samdrift.governance.reviews import ItemState, reviews
from samdrift.rights.folding import Effect
from samdrift.rights.record import Entry
from samdrift.rights.settling import SettlementAsked
from samdrift.rights.statements import Act, Approved, Ended, Objected, Outcome, Reviewed, Rights
from samdrift.web.forms import Form
from samdrift.web.uploads import received

Copied = Callable[[Visit], Awaitable[Sequence[tuple[str, datetime]]]]
_ACTS: Mapping[str, Callable[..., Act]] = {
    "approve": Approved,
    "refuse": Ended,
    "end": Ended,
    "object": Objected,
    "keep": partial(Reviewed, outcome=Outcome.KEEP),
    "remove": partial(Reviewed, outcome=Outcome.REMOVE),
}


class Deciding:
    """Pages for deciding about statements in the record."""

    def __init__(self, frame: Frame, access: Access, signing: Signing, copied: Copied) -> None:
        """``copied`` returns the people whose key may have been copied, and since when that is known."""
        self._frame, self._access, self._signing, self._copied = frame, access, signing, copied

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", TODAY, self.today, Seen.SIGNED_IN),
            ("GET", "/decide/{digest}", self.show, Seen.ROLE),
            ("POST", "/decide/{digest}", self.decide, Seen.OFFICER),
            ("GET", "/record/{number:int}", self.entry, Seen.SIGNED_IN),
        )

    async def today(self, request: Request, visit: Visit) -> Response:
        """Show what is waiting for a decision, and what ends soon."""
        if visit.seen is Seen.SIGNED_IN:
            return RedirectResponse(OWN_KEYS, 303)
        record, now = visit.record, visit.now
        telling = Telling(record, visit.names, self._frame.wording(request))
        register = register_of(record, now)
        open_ones = waiting(record, visit.person, now)
        return self._frame.page(
            request,
            visit,
            "today.html",
            copied=await self._copied(visit),
            mine=[each for each in open_ones if each.decides],
            others=[each for each in open_ones if not each.decides],
            offered=visit.offered,
            reviews=open_reviews(record, visit.person, now, officer=visit.seen is Seen.OFFICER),
            waits=ItemState.WAITS,
            now=now,
            notices=list(open_notices(record, now)),
            rights=ending_rights(record, now),
            keys=ending_keys(record, now),
            agreements=[
                each for each in register.agreements if each.covers(now) and each.end <= now + AGREEMENTS_SOON
            ],
            kind_of=kind_of,
            receiver=receiver,
            telling=telling,
            names_of_rights=RIGHTS,
            is_rights=lambda what: isinstance(what, Rights),
        )

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show a statement in the record, and the decisions that can be made about it."""
        return self._page(request, visit, _entry_of(request, visit), Form())

    async def decide(self, request: Request, visit: Visit) -> Response:
        """Ask the officer to sign a decision about a statement."""
        entry, form = _entry_of(request, visit), await received(request)
        made = _ACTS.get(form["decision"])
        if made is None:
            raise HTTPException(404)

        def act(at: datetime) -> Act:
            return made(of=entry.statement.digest)

        asked = await self._signing.ask(request, visit, form, act, f"/decide/{entry.statement.digest}")
        return asked or self._page(request, visit, entry, form, 422)

    async def entry(self, request: Request, visit: Visit) -> Response:
        """Show a statement in the record by its number, with its signature.

        A person without a role can see only statements made by them or that give them something.
        """
        number = request.path_params["number"]
        if not 0 < number <= visit.record.number:
            raise HTTPException(404)
        entry = visit.record.entries[number - 1]
        own = visit.person in (entry.statement.by, receiver(entry.statement))
        if visit.seen is Seen.SIGNED_IN and not own:
            raise HTTPException(404)
        signed = "signed" in request.query_params and entry.statement.by == visit.person
        return self._page(request, visit, entry, Form(), signed=signed)

    def _page(
        self,
        request: Request,
        visit: Visit,
        entry: Entry,
        form: Form,
        status: int = 200,
        *,
        signed: bool = False,
    ) -> Response:
        record, digest = visit.record, entry.statement.digest
        officer = visit.seen is Seen.OFFICER
        waits = any(each.entry is entry for each in waiting(record, visit.person, visit.now))
        approval = foreseen(record, visit.person, visit.now, Approved(digest)) if waits else Effect.OVER
        ending = foreseen(record, visit.person, visit.now, Ended(of=digest))
        objection = foreseen(record, visit.person, visit.now, Objected(digest))
        telling = Telling(record, visit.names, self._frame.wording(request))
        follow = [each for each in record.entries if getattr(each.statement.act, "of", None) == digest]
        return self._frame.page(
            request,
            visit,
            "decide.html",
            status,
            entry=entry,
            lines=telling.lines(entry.statement),
            content=entry.statement.content.decode(),
            by_passkey=not isinstance(entry.signed.signature, bytes),
            waits=waits,
            may_approve=officer and approval in (Effect.TAKEN, Effect.WAITING),
            why_not=refusal(approval) if waits and officer else None,
            may_end=officer and ending is Effect.TAKEN,
            may_object=officer
            and objection is Effect.TAKEN
            and not isinstance(entry.statement.act, Objected),
            extends=officer and latest_extension(record, visit.person, visit.now, digest) is not None,
            notifies=officer
            and any(each.digest == digest for each in register_of(record, visit.now).agreements),
            settles=isinstance(entry.statement.act, SettlementAsked),
            reviewed=officer and _waits_for_review(visit, digest),
            follow=follow,
            telling=telling,
            form=form,
            signed=signed,
        )


def _entry_of(request: Request, visit: Visit) -> Entry:
    digest = request.path_params["digest"]
    for each in visit.record.entries:
        if each.statement.digest == digest:
            return each
    raise HTTPException(404)


def _waits_for_review(visit: Visit, digest: str) -> bool:
    """Return whether a review is waiting for this person's answer about what a statement grants."""
    memberships = visit.record.state.memberships
    return any(
        item.digest == digest
        and item.state is ItemState.WAITS
        and not memberships.has(visit.person, item.given.what.subject, visit.now)
        for each in reviews(visit.record.state, visit.now)
        if answers_in(each, visit.person)
        for item in each.items
    )
