"""An organisation's signed statements in its vaults: numbered, sealed and append-only.

Their form and meaning are in :mod:`samdrift.rights`; a vault stores bytes. Every vault has them:
governance has the record itself, and every other role a copy of it, which it verifies for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from samdrift.contracts.errors import Explained
from samdrift.contracts.statements import NumberedStatement
from samdrift.vault.database.session import call
from samdrift.vault.events import VaultEvent
from samdrift.vault.opening import Vault
from samdrift.vault.sealing import Sealer


class StatementTaken(Explained):
    """A statement that has the number of another one, or leaves a gap; nothing was stored."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"number {number} of the statements about rights is taken: another statement was made at the"
            " same time; read them again, and repeat what you did"
        )
        self.number = number


@dataclass(frozen=True, slots=True)
class Statements:
    """A table of numbered statements: its name, its append query, and the place its rows are sealed for."""

    table: str
    append: str
    place: str

    @property
    def last(self) -> str:
        """Return the query for the last number."""
        return f"SELECT coalesce(max(number), 0) FROM {self.table}"  # noqa: S608

    @property
    def after(self) -> str:
        """Return the query for a page after a number."""
        return f"SELECT number, sealed FROM {self.table} WHERE number > $1 ORDER BY number LIMIT $2"  # noqa: S608

    @property
    def this(self) -> str:
        """Return the query for one row."""
        return f"SELECT sealed FROM {self.table} WHERE number = $1"  # noqa: S608

    def sealed(self, content: bytes, number: int, sealer: Sealer) -> bytes:
        """Seal a statement for its number."""
        return sealer.seal(content, f"{self.place} {number}")

    def opened(self, sealed: bytes, number: int, sealer: Sealer) -> bytes:
        """Open a statement that :meth:`sealed` has sealed for its number."""
        return sealer.open(sealed, f"{self.place} {number}")


ASSIGNED = Statements("statements", call("append_statement", 2), "statement")
"""Statements made on a message client's pages."""
SIGNED = Statements("signed_statements", call("append_signed_statement", 2), "signed statement")
"""The record of governance, or a copy of it in another vault."""


class SignedStatementKeeping(Vault):
    """A vault with the organisation's signed statements, as every vault is."""

    async def last_signed_statement(self) -> int:
        """Return the number of the last stored signed statement, 0 without any."""
        return await self._last_of(SIGNED)

    async def signed_statements_after(self, number: int, limit: int) -> Sequence[NumberedStatement]:
        """Return at most ``limit`` signed statements after ``number``, in order."""
        return await self._after_of(SIGNED, number, limit)

    async def append_signed_statements(self, statements: Sequence[NumberedStatement], **facts: str) -> int:
        """Append the statements that continue the stored ones, and return the new last number.

        Each new one is logged with its number, its SHA-256 and ``facts``. Statements that are already stored
        change nothing. Raises :class:`StatementTaken` if a statement has the number of another one, or leaves
        a gap.
        """
        for one in await self._append_to(SIGNED, statements):
            digest = sha256(one.content).hexdigest()
            self.record(VaultEvent.GOV_STATEMENT_KEPT, statement=str(one.number), sha256=digest, **facts)
        return await self._last_of(SIGNED)

    async def _last_of(self, kept: Statements) -> int:
        ((last,),) = await self._work.look(kept.last)
        return int(last)

    async def _after_of(self, kept: Statements, number: int, limit: int) -> Sequence[NumberedStatement]:
        rows = await self._work.look(kept.after, number, limit)
        return [NumberedStatement(each, kept.opened(sealed, each, self._sealer)) for each, sealed in rows]

    async def _append_to(
        self, kept: Statements, statements: Sequence[NumberedStatement]
    ) -> list[NumberedStatement]:
        """Store statements, and return those that are new."""
        new = []
        for one in sorted(statements):
            sealed = kept.sealed(one.content, one.number, self._sealer)
            ((stored,),) = await self._work.query(kept.append, one.number, sealed)
            if stored:
                new.append(one)
            elif await self._content_of(kept, one.number) != one.content:
                raise StatementTaken(one.number)
        self._work.after_commit(self._room.tell)
        return new

    async def _content_of(self, kept: Statements, number: int) -> bytes | None:
        rows = await self._work.query(kept.this, number)
        return kept.opened(rows[0][0], number, self._sealer) if rows else None
