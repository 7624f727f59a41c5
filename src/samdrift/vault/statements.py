"""Statements of who may what that are made on a message client's pages, in its vault; none is signed."""

from __future__ import annotations

from collections.abc import Sequence

from samdrift.contracts.statements import NumberedStatement
from samdrift.vault.people import People
from samdrift.vault.signedstatements import ASSIGNED


class StatementKeeping(People):
    """A vault with a copy of the statements: :class:`samdrift.contracts.statements.StatementCopy`."""

    async def last_statement(self) -> int:
        """Return the number of the last statement that is there, 0 for none."""
        return await self._last_of(ASSIGNED)

    async def statements_after(self, number: int, limit: int) -> Sequence[NumberedStatement]:
        """Return at most ``limit`` statements after ``number``, in order."""
        return await self._after_of(ASSIGNED, number, limit)

    async def append_statements(self, statements: Sequence[NumberedStatement]) -> int:
        """Store those that continue the copy, and return its last number then.

        Some that are there already change nothing;
        :class:`~samdrift.vault.signedstatements.StatementTaken` for one that has the number of another, or
        that leaves a gap.
        """
        await self._append_to(ASSIGNED, statements)
        return await self._last_of(ASSIGNED)
