"""Acts about reviews: the opening, with its items, reviewers and due date, and the closing.

A reviewer answers each item with a statement about it (:class:`~samdrift.rights.statements.Reviewed`), which
either ends it immediately or keeps it. Items without an answer end when the review is closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Self, TypeAlias

from samdrift.rights.canonical import Json
from samdrift.rights.fields import Fields, StatementError, Subject, SubjectKind, is_digest, moment_text

MAX_ITEMS = 200
"""Maximum number of items in a review; all of them are in the statement that a person signs."""
SHORTEST, LONGEST = timedelta(days=1), timedelta(days=92)
_MAX_ABOUT = 280


@dataclass(frozen=True, slots=True)
class ReviewOpened:
    """A review of what the statements ``items`` give, by ``reviewer`` or ``stand_in``, until ``due``."""

    kind: ClassVar[str] = "review-open"

    about: str
    """The subject of the review for display: a mailbox, the roles of the organisation, or its systems."""
    items: tuple[str, ...]
    reviewer: Subject
    stand_in: Subject
    due: datetime

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {
            "about": self.about,
            "items": list(self.items),
            "reviewer": str(self.reviewer),
            "stand-in": str(self.stand_in),
            "until": moment_text(self.due),
        }

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act of a statement made at ``at``; raise :class:`StatementError` if it is invalid."""
        about, items = fields.text("about", _MAX_ABOUT), _items(fields)
        reviewer, stand_in = fields.subject("reviewer"), fields.subject("stand-in")
        if {reviewer.kind, stand_in.kind} != {SubjectKind.PERSON} or reviewer == stand_in:
            raise StatementError("the two reviewers must be different persons", "stand-in")
        due = fields.moment("until")
        if not at + SHORTEST <= due <= at + LONGEST:
            raise StatementError(f"it must last at least a day, and at most {LONGEST.days} days", "until")
        return cls(about, items, reviewer, stand_in, due)


@dataclass(frozen=True, slots=True)
class ReviewClosed:
    """The closing of the review ``of``, which ends the items without an answer."""

    kind: ClassVar[str] = "review-close"

    of: str

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {"of": self.of}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        return cls(fields.digest("of"))


ReviewAct: TypeAlias = ReviewOpened | ReviewClosed
REVIEW_ACTS = (ReviewOpened, ReviewClosed)


def _items(fields: Fields) -> tuple[str, ...]:
    value = fields.take("items")
    found = [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
    if not found or found != value or len(found) > MAX_ITEMS or found != sorted(set(found)):
        raise StatementError(f"expected 1 to {MAX_ITEMS} digests, sorted and without repeats", "items")
    if not all(map(is_digest, found)):
        raise StatementError("a digest is 64 digits in hexadecimal", "items")
    return tuple(found)
