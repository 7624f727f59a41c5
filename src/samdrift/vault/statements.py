"""An organisation's statements of who may what, in its vault: numbered, sealed, and only ever added to.

Their form and meaning are in :mod:`samdrift.rights`; a vault keeps bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from samdrift.contracts.errors import Explained
from samdrift.contracts.statements import NumberedStatement
from samdrift.vault.database.session import call
from samdrift.vault.people import People
from samdrift.vault.sealing import Sealer

_LAST = "SELECT coalesce(max(number), 0) FROM statements"
_AFTER = "SELECT number, sealed FROM statements WHERE number > $1 ORDER BY number LIMIT $2"
_THIS = "SELECT sealed FROM statements WHERE number = $1"
_APPEND = call("append_statement", 2)


class StatementTaken(Explained):
    """A statement whose number another has, or before which one is missing; nothing was stored."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"number {number} of the statements about rights is not free: somebody else stated something at"
            " the same time; read them again, and repeat what you did"
        )
        self.number = number


class StatementKeeping(People):
    """A vault with a copy of the statements: :class:`samdrift.contracts.statements.StatementCopy`."""

    async def last_statement(self) -> int:
        """Return the number of the last statement that is there, 0 for none."""
        ((last,),) = await self._work.look(_LAST)
        return int(last)

    async def statements_after(self, number: int, limit: int) -> Sequence[NumberedStatement]:
        """Return at most ``limit`` statements after ``number``, in order."""
        rows = await self._work.look(_AFTER, number, limit)
        return [
            NumberedStatement(each, opened_statement(sealed, each, self._sealer)) for each, sealed in rows
        ]

    async def append_statements(self, statements: Sequence[NumberedStatement]) -> int:
        """Store those that continue the copy, and return its last number then.

        Some that are there already change nothing; :class:`StatementTaken` for one that has the number of
        another, or that leaves a gap.
        """
        for one in sorted(statements):
            sealed = sealed_statement(one.content, one.number, self._sealer)
            ((stored,),) = await self._work.query(_APPEND, one.number, sealed)
            if not stored and await self._content(one.number) != one.content:
                raise StatementTaken(one.number)
        self._work.after_commit(self._room.tell)
        return await self.last_statement()

    async def _content(self, number: int) -> bytes | None:
        rows = await self._work.query(_THIS, number)
        return opened_statement(rows[0][0], number, self._sealer) if rows else None


def sealed_statement(content: bytes, number: int, sealer: Sealer) -> bytes:
    """Return a statement sealed for its number."""
    return sealer.seal(content, f"statement {number}")


def opened_statement(sealed: bytes, number: int, sealer: Sealer) -> bytes:
    """Return the inverse of :func:`sealed_statement`."""
    return sealer.open(sealed, f"statement {number}")
