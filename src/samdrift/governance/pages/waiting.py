"""Pending decisions of a record, and things that end soon. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.governance.reviews import ItemState, Review, reviews
from samdrift.rights.agreementfold import Agreements, Register
from samdrift.rights.agreements import LONGEST_EXTENSION, Agreed, Extended, NoticeGiven
from samdrift.rights.consentfold import Stage, consents_of
from samdrift.rights.enrolment import Enrolment
from samdrift.rights.fields import Subject
from samdrift.rights.folding import Effect, Holding
from samdrift.rights.keyacts import Scheme
from samdrift.rights.record import Entry, Record
from samdrift.rights.statements import Act, Approved, Ended, Statement

SOON = timedelta(days=30)
"""Time before an end within which people have to decide what follows it."""
AGREEMENTS_SOON = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending request, and what a person may do about it."""

    entry: Entry
    approval: Effect
    """The effect that the person's approval would have."""

    @property
    def decides(self) -> bool:
        """True when the person can decide it."""
        return self.approval in (Effect.TAKEN, Effect.WAITING)


def waiting(record: Record, person: Subject, now: datetime) -> list[Waiting]:
    """Return everything that is waiting for a second person at a moment, oldest first."""
    decided = set()
    for each in record.entries:
        act = each.statement.act
        if (isinstance(act, Ended) and act.of is not None) or (
            isinstance(act, Approved) and each.effect is Effect.TAKEN
        ):
            decided.add(act.of)
        elif getattr(act, "kind", "") == "lose":
            decided.add(getattr(act, "of", ""))
    found = []
    for entry in record.entries:
        statement = entry.statement
        if entry.effect is not Effect.WAITING or isinstance(statement.act, Approved):
            continue
        end = getattr(statement.act, "end", None)
        if statement.digest in decided or (isinstance(end, datetime) and end <= now):
            continue
        approval = foreseen(record, person, now, Approved(statement.digest))
        asked = consents_of(record).find(statement.digest)
        lapsed = asked is not None and asked.stage(now) is not Stage.WAITING
        if approval is not Effect.OVER and not lapsed:
            found.append(Waiting(entry, approval))
    return found


def foreseen(record: Record, person: Subject, now: datetime, act: Act) -> Effect:
    """Return the effect that an act by a person would have at a moment."""
    return record.foresee(Statement(record.organisation, person, now, "?", act))


def answers_in(review: Review, person: Subject) -> bool:
    """Return whether a person may answer in a review: its reviewer or the stand-in."""
    return person in (review.opened.reviewer, review.opened.stand_in)


def open_reviews(
    record: Record, person: Subject, now: datetime, *, officer: bool
) -> list[tuple[int, Review]]:
    """Return the open reviews that wait for a person, with their statements' numbers, in order of due date.

    A review waits for its reviewers while it has rights that the person can answer for. Once all rights
    have an answer, or the time has run out, it waits for everyone who can close it.
    """
    numbers = {each.statement.digest: each.number for each in record.entries}
    found = []
    for each in reviews(record.state, now):
        mine, over = answers_in(each, person), each.overdue(now) or not each.count(ItemState.WAITS)
        waits = any(
            item.state is ItemState.WAITS
            and not record.state.memberships.has(person, item.given.what.subject, now)
            for item in each.items
        )
        if each.closed is None and ((mine and (waits or over)) or (officer and over)):
            found.append((numbers[each.id], each))
    return sorted(found, key=lambda pair: pair[1].opened.due)


def open_notices(record: Record, now: datetime) -> Iterator[tuple[str, NoticeGiven, bool]]:
    """Yield the notices that can still be objected to: digest, notice, and whether there is an objection."""
    for notice in register_of(record, now).notices:
        if now < notice.given.window:
            yield notice.digest, notice.given, notice.objected


def ending_rights(record: Record, now: datetime) -> list[Holding]:
    """Return the rights that end soon, in order of their end."""
    found = [each for each in record.state.holdings(now) if each.given.end <= now + SOON]
    return sorted(found, key=lambda each: each.given.end)


def ending_keys(record: Record, now: datetime) -> list[Enrolment]:
    """Return the keys in force that end soon, in order of their end."""
    found = [
        each
        for each in record.keys.in_force(now)
        if each.act.end <= now + SOON and each.key.scheme is not Scheme.PAPER
    ]
    return sorted(found, key=lambda each: each.act.end)


def latest_extension(record: Record, person: Subject, now: datetime, digest: str) -> datetime | None:
    """Return the latest end to which a person can ask to extend an agreement, or ``None`` if they cannot."""
    soonest = Extended(digest, now + timedelta(seconds=1))
    if foreseen(record, person, now, soonest) is not Effect.WAITING:
        return None
    agreed = next(each.statement.act for each in record.entries if each.statement.digest == digest)
    assert isinstance(agreed, Agreed)
    return max(agreed.end, now) + LONGEST_EXTENSION


def register_of(record: Record, now: datetime) -> Register:
    """Return the register of agreements in a record at a moment."""
    return agreements_of(record).at(now)


def agreements_of(record: Record) -> Agreements:
    """Return the fold of agreements in a record."""
    return next(each for each in record.folds if isinstance(each, Agreements))
