"""Pages of reviews: each right is shown with its use and answered, and the review is closed, on one page.

A reviewer need not be an officer: a person who manages a mailbox reviews its rights, and sees only that
review.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from samdrift.governance.pages.access import Access, RouteOf, Seen, Visit
from samdrift.governance.pages.frame import REVIEWS, Frame
from samdrift.governance.pages.signing import Signing
from samdrift.governance.pages.uses import Use, UseReader
from samdrift.governance.pages.waiting import answers_in, foreseen
from samdrift.governance.pages.words import RIGHTS, Telling
from samdrift.governance.reviews import Item, ItemState, Review, reviews
from samdrift.rights.folding import Effect
from samdrift.rights.record import Entry
from samdrift.rights.reviews import ReviewClosed
from samdrift.rights.statements import Act, Outcome, Reviewed, Rights
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

STATES: Mapping[ItemState, tuple[Phrase, str]] = {
    ItemState.WAITS: (Phrase("Waits for an answer"), "warning"),
    ItemState.KEPT: (Phrase("Kept"), "good"),
    ItemState.ENDED: (Phrase("Ended"), "plain"),
    ItemState.SILENCE: (Phrase("Removed, since nobody answered"), "bad"),
    ItemState.SPARED: (Phrase("Not answered, and kept: the last administrator"), "bad"),
    ItemState.OVER: (Phrase("Came to its own end"), "plain"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A right under review, as displayed on the page."""

    item: Item
    entry: Entry
    """The statement that grants it."""
    use: Use
    asked: bool
    """True when the person viewing the page can answer for it."""
    own: bool
    """True when it is the person's own right, so that another person has to answer."""


class ReviewPages:
    """Pages of reviews."""

    def __init__(self, frame: Frame, access: Access, signing: Signing, uses: UseReader) -> None:
        self._frame, self._access, self._signing, self._uses = frame, access, signing, uses

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        one = f"{REVIEWS}/{{number:int}}"
        return (
            ("GET", REVIEWS, self.show_all, Seen.ROLE),
            ("GET", one, self.show, Seen.SIGNED_IN),
            ("POST", one, self.answer, Seen.SIGNED_IN),
        )

    async def show_all(self, request: Request, visit: Visit) -> Response:
        """Show reviews, open ones first, with the outcome for each right."""
        found = sorted(
            reviews(visit.record.state, visit.now),
            key=lambda each: (each.closed is not None, -each.statement.at.timestamp()),
        )
        return self._frame.page(
            request,
            visit,
            "reviews.html",
            found=found,
            numbers={each.statement.digest: each.number for each in visit.record.entries},
            **self._words(request, visit),
        )

    async def show(self, request: Request, visit: Visit) -> Response:
        """Show one review, with the rights that still need an answer first."""
        review = _asked_for(request, visit)
        return await self._page(request, visit, review, Form(), signed="signed" in request.query_params)

    async def answer(self, request: Request, visit: Visit) -> Response:
        """Ask the person to sign an answer about a right, or the end of the review."""
        review, form = _asked_for(request, visit), await received(request)
        act = _act(form, review, visit)
        if isinstance(act, Reviewed) and _own(visit, review, act.of):
            form.refuse("why", Phrase("You have this right yourself: another person must answer for it."))
        back = f"{REVIEWS}/{request.path_params['number']}"

        def stated(at: datetime) -> Act:
            return act

        signing = None if form.errors else await self._signing.ask(request, visit, form, stated, back)
        return signing or await self._page(request, visit, review, form, 422)

    async def _page(
        self,
        request: Request,
        visit: Visit,
        review: Review,
        form: Form,
        status: int = 200,
        *,
        signed: bool = False,
    ) -> Response:
        given = [each.given.what for each in review.items]
        uses = await self._uses.read(visit.organisation, given, visit.now, visit.record.state.memberships)
        entries = {each.statement.digest: each for each in visit.record.entries}
        open_still = review.closed is None
        reviewer = open_still and answers_in(review, visit.person)
        lines = [
            Line(
                each,
                entries[each.digest],
                uses.of(each.given.what),
                reviewer and each.state is ItemState.WAITS and not _has(visit, each),
                _has(visit, each),
            )
            for each in review.items
        ]
        lines.sort(key=lambda line: (not line.asked, line.item.state is not ItemState.WAITS))
        # A statement takes effect in the second after it, both the closing and an answer that was just
        # signed.
        soon = visit.now + timedelta(seconds=1)
        closing = foreseen(visit.record, visit.person, soon, ReviewClosed(review.id))
        return self._frame.page(
            request,
            visit,
            "review.html",
            status,
            review=review,
            title=Telling(visit.record, visit.names, self._frame.wording(request)).reviewed(review.opened),
            lines=lines,
            number=request.path_params["number"],
            form=form,
            signed=signed,
            reviewer=reviewer,
            may_close=open_still and closing is Effect.TAKEN,
            early=open_still and closing is Effect.TOO_EARLY,
            silent=review.count(ItemState.WAITS),
            **self._words(request, visit),
        )

    def _words(self, request: Request, visit: Visit) -> dict[str, Any]:
        return {
            "states": STATES,
            "now": visit.now,
            "labels": RIGHTS,
            "is_rights": lambda what: isinstance(what, Rights),
            "telling": Telling(visit.record, visit.names, self._frame.wording(request)),
            "waits": ItemState.WAITS,
        }


def _asked_for(request: Request, visit: Visit) -> Review:
    """Return the review that an address names, for people with a role and for its reviewers."""
    number = request.path_params["number"]
    opening = {each.statement.digest for each in visit.record.entries if each.number == number}
    for each in reviews(visit.record.state, visit.now):
        if each.id in opening and (visit.seen is not Seen.SIGNED_IN or answers_in(each, visit.person)):
            return each
    raise HTTPException(404)


def _act(form: Form, review: Review, visit: Visit) -> Reviewed | ReviewClosed:
    """Return the act in a form; respond with 404 for a person who may not make it."""
    reviewer = review.closed is None and answers_in(review, visit.person)
    if form["answer"] == "close" and (reviewer or visit.seen is Seen.OFFICER):
        return ReviewClosed(review.id)
    for outcome in Outcome:
        if form["answer"] == outcome and reviewer and any(each.digest == form["of"] for each in review.items):
            return Reviewed(form["of"], outcome)
    raise HTTPException(404)


def _own(visit: Visit, review: Review, digest: str) -> bool:
    """Return whether a person holds the right that a statement grants."""
    return any(each.digest == digest and _has(visit, each) for each in review.items)


def _has(visit: Visit, item: Item) -> bool:
    return visit.record.state.memberships.has(visit.person, item.given.what.subject, visit.now)
