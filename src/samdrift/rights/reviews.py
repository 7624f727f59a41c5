"""Acts about reviews: what is looked at again, by whom, until when; and the end, at which silence removes.

A reviewer answers each item by a statement about it (:class:`~samdrift.rights.statements.Reviewed`): to
remove ends it at once, to keep leaves it. What nobody has answered when the review is closed ends then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Self, TypeAlias

from samdrift.rights.canonical import Json
from samdrift.rights.fields import Fields, StatementError, Subject, SubjectKind, is_digest, moment_text

MAX_ITEMS = 200
"""Most items of one review: all of them are in the statement that a person signs."""
SHORTEST, LONGEST = timedelta(days=1), timedelta(days=92)
_MAX_ABOUT = 280


@dataclass(frozen=True, slots=True)
class ReviewOpened:
    """A review of what the statements ``items`` give, until ``due``, by ``reviewer`` or ``stand_in``."""

    kind: ClassVar[str] = "review-open"

    about: str
    """A mailbox, the roles of the organisation, or its systems: a word for people."""
    items: tuple[str, ...]
    reviewer: Subject
    stand_in: Subject
    due: datetime

    def members(self) -> dict[str, Json]:
        """Return the act in the form that statements have."""
        return {
            "about": self.about,
            "items": list(self.items),
            "reviewer": str(self.reviewer),
            "stand-in": str(self.stand_in),
            "until": moment_text(self.due),
        }

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Read the act of a statement of ``at``; :class:`StatementError` with the field at fault."""
        about, items = fields.text("about", _MAX_ABOUT), _items(fields)
        reviewer, stand_in = fields.subject("reviewer"), fields.subject("stand-in")
        if {reviewer.kind, stand_in.kind} != {SubjectKind.PERSON} or reviewer == stand_in:
            raise StatementError("two persons review, one in place of the other", "stand-in")
        due = fields.moment("until")
        if not at + SHORTEST <= due <= at + LONGEST:
            raise StatementError(f"it lasts a day at least, and at most {LONGEST.days} days", "until")
        return cls(about, items, reviewer, stand_in, due)


@dataclass(frozen=True, slots=True)
class ReviewClosed:
    """The end of the review ``of``: what nobody has answered ends."""

    kind: ClassVar[str] = "review-close"

    of: str

    def members(self) -> dict[str, Json]:
        """Return the act in the form that statements have."""
        return {"of": self.of}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Read the act of a statement; :class:`StatementError` with the field at fault."""
        return cls(fields.digest("of"))


ReviewAct: TypeAlias = ReviewOpened | ReviewClosed
REVIEW_ACTS = (ReviewOpened, ReviewClosed)


def _items(fields: Fields) -> tuple[str, ...]:
    value = fields.take("items")
    found = [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
    if not found or found != value or len(found) > MAX_ITEMS or found != sorted(set(found)):
        raise StatementError(f"a list of 1 to {MAX_ITEMS} digests, sorted and none twice, is wanted", "items")
    if not all(map(is_digest, found)):
        raise StatementError("a digest is 64 digits in hexadecimal", "items")
    return tuple(found)
