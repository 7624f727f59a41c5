"""Statements of rights as they travel between roles: numbered bytes, and a role's copy of them.

Their form and meaning are defined in :mod:`samdrift.rights`. No role opens another's vault to decide: the
command that makes a statement writes it, numbered, to the vault of every role that needs it, and a role that
lacks a number reports this instead of deciding without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, Self

from samdrift.contracts.errors import Temporary


@dataclass(frozen=True, slots=True, order=True)
class NumberedStatement:
    """The canonical bytes of a statement, and its number in its organisation's gapless sequence from 1."""

    number: int
    content: bytes
    logged: datetime | None = None
    """Moment in whole seconds at which governance logged a signed statement, whose author states another."""

    @property
    def stored(self) -> bytes:
        """The statement as a vault stores it: the moment at which it was logged, and its bytes."""
        moment = "" if self.logged is None else self.logged.astimezone(UTC).isoformat()
        return moment.encode() + b"\n" + self.content

    @classmethod
    def of(cls, number: int, stored: bytes) -> Self:
        """Return a statement that :attr:`stored` has written."""
        moment, _, content = stored.partition(b"\n")
        return cls(number, content, datetime.fromisoformat(moment.decode()) if moment else None)


class StatementCopy(Protocol):
    """The copy of one organisation's statements in one role's vault, within the opened vault."""

    async def last_statement(self) -> int:
        """Return the number of the last statement in the copy, or 0 if it is empty."""
        ...

    async def statements_after(self, number: int, limit: int) -> Sequence[NumberedStatement]:
        """Return at most ``limit`` statements after ``number``, in order."""
        ...

    async def append_statements(self, statements: Sequence[NumberedStatement]) -> int:
        """Append the statements that continue the copy, and return its new last number.

        Statements already in the copy are ignored; a different one under the same number is an error.
        """
        ...


class RightsBehind(Temporary):
    """A role cannot decide yet, because its copy lacks statements that were made elsewhere."""

    service = "rights"

    def __init__(self, has: int, wanted: int) -> None:
        super().__init__(
            f"this role has the decisions about rights up to number {has} and needs number {wanted};"
            " try again in a moment. If it lasts, unlock the organisation's vaults or update the program"
        )
        self.has = has
        self.wanted = wanted
