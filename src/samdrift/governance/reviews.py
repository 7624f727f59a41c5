"""Reviews for display: answers, items without one, rights removed by silence, and reminders due. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from samdrift.audit.events import AuditEvent
from samdrift.rights.fields import ORGANISATION, Scope, SubjectKind, moment_text
from samdrift.rights.folding import Holding, State
from samdrift.rights.record import Record
from samdrift.rights.reviews import MAX_ITEMS, ReviewOpened
from samdrift.rights.statements import Given, Rights, Statement

EVERY = timedelta(days=365)
"""Maximum time between two reviews of a right."""
SYSTEMS = "systems"


class ReviewEvent(AuditEvent):
    """An event of a review, in the organisation's log."""

    GOV_REVIEW_REMINDED = "gov:review:reminded"
    """A reminder of unanswered items; the entry has their number and the deadline."""
    GOV_REVIEW_SPARED = "gov:review:spared"
    """A review ended without an answer about the last administrator, who stays until an officer decides."""


class ItemState(StrEnum):
    """States of an item of a review."""

    WAITS = "waits"
    KEPT = "kept"
    ENDED = "ended"
    """Ended while the review was open, by a review or otherwise."""
    SILENCE = "removed-by-silence"
    SPARED = "spared"
    """Not answered, but not removed because it is the last administrator's."""
    OVER = "over"
    """Expired by itself while the review was open."""


@dataclass(frozen=True, slots=True)
class Item:
    """A right under review, and its outcome."""

    digest: str
    given: Given
    state: ItemState
    by: str
    """The subject that answered or ended it; empty if there is none."""
    why: str


@dataclass(frozen=True, slots=True)
class Review:
    """A review with its items."""

    statement: Statement
    opened: ReviewOpened
    closed: datetime | None
    items: tuple[Item, ...]

    @property
    def id(self) -> str:
        """Digest of the statement that opened it."""
        return self.statement.digest

    def count(self, state: ItemState) -> int:
        """Return the number of items in a state."""
        return sum(each.state is state for each in self.items)

    def overdue(self, moment: datetime) -> bool:
        """Return whether its time has run out without it being closed."""
        return self.closed is None and self.opened.due <= moment


def reviews(state: State, moment: datetime) -> tuple[Review, ...]:
    """Return all reviews opened until a moment, including closed ones, in their state at that moment."""
    return tuple(_review(state, each, moment) for each in state.reviews() if each.at <= moment)


def _review(state: State, opening: Statement, moment: datetime) -> Review:
    opened = opening.act
    assert isinstance(opened, ReviewOpened)
    closing = state.closed(opening.digest)
    over = closing if closing is not None and closing[0] <= moment else None
    items = tuple(_item(state, opening, each, over, moment) for each in opened.items)
    return Review(opening, opened, None if over is None else over[0], items)


def _item(
    state: State, opening: Statement, digest: str, closing: tuple[datetime, str] | None, moment: datetime
) -> Item:
    given = state.statement(digest).act
    assert isinstance(given, Given)
    until = moment if closing is None else closing[0]
    end = state.ended(digest)
    if end is not None and end[0] <= until:
        silent = closing is not None and end[1] == closing[1]
        by = state.statement(end[1])
        return Item(digest, given, ItemState.SILENCE if silent else ItemState.ENDED, str(by.by), by.why)
    answer = state.answer(opening.digest, digest, until)
    if answer is not None:
        return Item(digest, given, ItemState.KEPT, str(answer.by), answer.why)
    if given.end <= until:
        return Item(digest, given, ItemState.OVER, "", "")
    return Item(digest, given, ItemState.WAITS if closing is None else ItemState.SPARED, "", "")


def items_about(record: Record, about: str, moment: datetime) -> tuple[str, ...]:
    """Return the rights in force that a review covers: those to a mailbox, the systems' rights, or the roles.

    Rights in an open review are left out. If there are more than fit in one statement, the oldest are
    returned, and the others are left to another review.
    """
    found = [each for each in record.state.holdings(moment) if _is_about(each, about)]
    known = {each.statement.digest: each.number for each in record.entries}
    chosen = sorted((each.statements[0] for each in found), key=lambda digest: known.get(digest, 0))
    waiting = {
        item.digest for each in reviews(record.state, moment) if each.closed is None for item in each.items
    }
    return tuple(sorted([each for each in chosen if each not in waiting][:MAX_ITEMS]))


def _is_about(holding: Holding, about: str) -> bool:
    what = holding.given.what
    if about == SYSTEMS:
        return what.subject.kind is SubjectKind.SYSTEM
    if about == str(ORGANISATION):
        return isinstance(what, Rights) and what.scope == ORGANISATION
    return what.scope == Scope.parse(about)


def never_reviewed(record: Record, moment: datetime) -> dict[str, datetime]:
    """Return, for each scope of rights in force, since when a right has gone without a review.

    That is the earliest moment for any right of the scope: its last review that kept it or, without
    one, its beginning.
    """
    looked: dict[str, datetime] = {}
    for each in reviews(record.state, moment):
        for item in each.items:
            if item.state is ItemState.KEPT:
                looked[item.digest] = max(looked.get(item.digest, each.statement.at), each.statement.at)
    oldest: dict[str, datetime] = {}
    for holding in record.state.holdings(moment):
        since = looked.get(holding.statements[0], max(holding.given.start, holding.begins[0]))
        scope = str(holding.given.what.scope)
        oldest[scope] = min(oldest.get(scope, since), since)
    return oldest


def document(review: Review, record: Record, used: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a review in machine-readable form; ``used`` has the use of rights by statement number."""
    numbers = {each.statement.digest: each.number for each in record.entries}
    return {
        "review": review.id,
        "number": numbers[review.id],
        "about": review.opened.about,
        "opened": moment_text(review.statement.at),
        "by": str(review.statement.by),
        "reviewer": str(review.opened.reviewer),
        "stand_in": str(review.opened.stand_in),
        "due": moment_text(review.opened.due),
        "closed": None if review.closed is None else moment_text(review.closed),
        "items": [_item_document(each, numbers[each.digest], used) for each in review.items],
    }


def _item_document(item: Item, number: int, used: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    what = item.given.what
    known = used.get(f"S{number}", {})
    return {
        "statement": number,
        "who": str(what.subject),
        "can": sorted(what.rights) if isinstance(what, Rights) else [f"substitute for {what.absent}"],
        "where": str(what.scope),
        "until": moment_text(item.given.end),
        "used": known.get("used"),
        "unused": bool(known.get("unused", False)),
        "state": item.state.value,
        "by": item.by,
        "why": item.why,
    }


def matching(found: Iterable[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Return the reviews that contain a text, such as a person, a mailbox or a reason."""
    wanted = text.casefold()
    return [each for each in found if not wanted or wanted in repr(each).casefold()]


def reminders(
    found: Review, record: Record, now: datetime, ahead: timedelta
) -> Sequence[tuple[ReviewEvent, dict[str, str], str]]:
    """Return the reminders that are due for a review, as log events with their facts and a line of text.

    A reminder is due if answers are missing and the review ends within ``ahead``, or if it ended
    without an answer about the last administrator.
    """
    number = next(e.number for e in record.entries if e.statement.digest == found.id)
    waits, spared = found.count(ItemState.WAITS), found.count(ItemState.SPARED)
    due = f"{found.opened.due:%Y-%m-%d %H:%M} UTC"
    facts = {"review": str(number), "until": found.opened.due.isoformat()}
    if found.closed is None and waits and found.opened.due - now <= ahead:
        those = f"{found.opened.reviewer}, or {found.opened.stand_in}"
        whose = {"reviewer": str(found.opened.reviewer), "stand_in": str(found.opened.stand_in)}
        line = f"review {number}: {waits} without an answer until {due}: {those}"
        return [(ReviewEvent.GOV_REVIEW_REMINDED, facts | whose | {"waiting": str(waits)}, line)]
    standing = [each for each in found.items if each.state is ItemState.SPARED]
    if any(record.state.ended(each.digest) is None and each.given.end > now for each in standing):
        line = f"review {number}: {spared} administrator without an answer stays, since there is no other"
        return [(ReviewEvent.GOV_REVIEW_SPARED, facts | {"spared": str(spared)}, line)]
    return []
