"""Statements of rights as they travel between roles: numbered bytes, and a role's answer about its copy.

Their form and their meaning are in :mod:`samdrift.rights`. No role opens another's vault to decide: the
command that makes a statement writes it, numbered, to the vault of every role that needs it, and a role that
still lacks a number reports that rather than deciding without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from samdrift.contracts.errors import Temporary


@dataclass(frozen=True, slots=True, order=True)
class NumberedStatement:
    """The canonical bytes of a statement and its number, from 1 without a gap in one organisation."""

    number: int
    content: bytes


class StatementCopy(Protocol):
    """The copy of one organisation's statements in one role's vault; the opened vault is the scope."""

    async def last_statement(self) -> int:
        """Return the number of the last statement that is there, 0 for none."""
        ...

    async def statements_after(self, number: int, limit: int) -> Sequence[NumberedStatement]:
        """Return at most ``limit`` statements after ``number``, in order."""
        ...

    async def append_statements(self, statements: Sequence[NumberedStatement]) -> int:
        """Append the statements that continue the copy, and return its new last number.

        Statements that are already there change nothing; a different one under the same number raises.
        """
        ...


class RightsBehind(Temporary):
    """A role that cannot decide yet, since its copy of the statements lacks some that were stated
    elsewhere.
    """

    service = "rights"

    def __init__(self, has: int, wanted: int) -> None:
        super().__init__(
            f"this role has the decisions about rights up to number {has} and needs number {wanted};"
            " try again in a moment. If it lasts, unlock the organisation's vaults or update the program"
        )
        self.has = has
        self.wanted = wanted
