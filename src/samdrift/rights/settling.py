"""The act that ends all unsigned rights, and the moment from which none of them counts.

Before statements were signed, rights were stated on the pages of the message client. Officers restate the
rights that are to stay, with their signatures. Then one of them asks for the end of the rest, and another
approves. The act has the number of unsigned statements and a digest over them, so that questions about the
past are answered from the same list that the officers looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from samdrift.rights.canonical import Json
from samdrift.rights.fields import Fields, StatementError, Subject

_MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class SettlementAsked:
    """A request to end the ``number`` unsigned statements whose digest is ``listing``.

    No other unsigned statements count from then on.
    """

    kind: ClassVar[str] = "settle"

    number: int
    listing: str

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {"number": self.number, "listing": self.listing}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        number = fields.take("number")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MOST:
            raise StatementError("expected the number of unsigned statements", "number")
        return cls(number, fields.digest("listing"))


@dataclass(frozen=True, slots=True)
class Settled:
    """The moment from which unsigned statements do not count, and those that counted until then."""

    since: datetime
    number: int
    listing: str
    by: Subject
    """The officer who made the request."""
    digest: str
    """Digest of the statement that makes the request."""


def listing(digests: Iterable[str]) -> str:
    """Return the digest over the digests of statements, in order."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
