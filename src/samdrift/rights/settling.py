"""The end of rights that nobody signed: an act that names all of them, and the moment from which none counts.

Before statements were signed, rights were stated on the pages of the message client. Officers state again,
with their signatures, what is to stay; then one of them asks that the rest ends, and another approves. The
act names the number of unsigned statements and a digest over them, so that the list that was looked at is the
one that the past is answered from.
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
    """The ``number`` unsigned statements with the digest ``listing`` end, and no further one counts."""

    kind: ClassVar[str] = "settle"

    number: int
    listing: str

    def members(self) -> dict[str, Json]:
        """Return the act in the form that statements have."""
        return {"number": self.number, "listing": self.listing}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Read the act of a statement; :class:`StatementError` with the field at fault."""
        number = fields.take("number")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MOST:
            raise StatementError("expected the number of unsigned statements", "number")
        return cls(number, fields.digest("listing"))


@dataclass(frozen=True, slots=True)
class Settled:
    """The moment from which unsigned statements do not count, and the ones that did."""

    since: datetime
    number: int
    listing: str
    by: Subject
    """The officer who asked."""
    digest: str
    """Digest of the statement that asks."""


def listing(digests: Iterable[str]) -> str:
    """Return the digest over the digests of statements in order."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
