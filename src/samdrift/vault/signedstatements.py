"""An organisation's signed statements in its vaults: numbered, sealed and append-only.

Their form and meaning are in :mod:`samdrift.rights`; a vault stores bytes. Every vault has them:
governance has the record itself, and every other role a copy of it, which it verifies for itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from samdrift.contracts.errors import Explained
from samdrift.contracts.statements import NumberedStatement
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.vault.database.session import call
from samdrift.vault.errors import SealBroken
from samdrift.vault.events import VaultEvent
from samdrift.vault.heads import Head, Heads, RecordBehind
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
    def beside(self) -> str:
        """Return the query for the last number, what is stored at a number, and at the last one."""
        return f"""
            SELECT coalesce(l.number, 0), (SELECT h.sealed FROM {self.table} h WHERE h.number = $1), l.sealed
            FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
                SELECT number, sealed FROM {self.table} ORDER BY number DESC LIMIT 1
            ) l ON true
        """  # noqa: S608

    @property
    def this(self) -> str:
        """Return the query for one row."""
        return f"SELECT sealed FROM {self.table} WHERE number = $1"  # noqa: S608

    def sealed(self, one: NumberedStatement, sealer: Sealer) -> bytes:
        """Seal a statement for its number."""
        return sealer.seal(one.stored, f"{self.place} {one.number}")

    def opened(self, sealed: bytes, number: int, sealer: Sealer) -> NumberedStatement:
        """Open a statement that :meth:`sealed` has sealed for its number."""
        return NumberedStatement.of(number, sealer.open(sealed, f"{self.place} {number}"))


ASSIGNED = Statements("statements", call("append_statement", 2), "statement")
"""Statements made on a message client's pages."""
SIGNED = Statements("signed_statements", call("append_signed_statement", 2), "signed statement")
"""The record of governance, or a copy of it in another vault."""


class SignedStatementKeeping(Vault):
    """A vault with the organisation's signed statements, as every vault is."""

    async def last_signed_statement(self) -> int:
        """Return the number of the last stored signed statement, 0 without any.

        Raises :class:`~samdrift.vault.heads.RecordBehind` if the record is behind its head.
        """
        return await self._last_of(SIGNED)

    async def stored_signed_statements(self) -> int:
        """Return the number of the last stored signed statement, also of a record that is behind its head.

        It is for storing again what is missing, and nothing is decided by it.
        """
        return await self._number_of(SIGNED)

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
        return await self._number_of(SIGNED)

    async def store_signed_again(self, rows: Sequence[tuple[int, bytes]]) -> int:
        """Append signed statements as another copy of this vault's database has them; return the last number.

        Rows that are stored already change nothing. Raises :class:`~samdrift.vault.errors.SealBroken` for one
        that this vault has not sealed, and :class:`StatementTaken` as :meth:`append_signed_statements` does.
        """
        return await self.append_signed_statements(self._opened_of(SIGNED, rows))

    def _opened_of(self, kept: Statements, rows: Sequence[tuple[int, bytes]]) -> list[NumberedStatement]:
        return [kept.opened(sealed, each, self._sealer) for each, sealed in rows]

    async def _number_of(self, kept: Statements) -> int:
        ((last,),) = await self._work.look(kept.last)
        return int(last)

    async def _last_of(self, kept: Statements) -> int:
        """Return the number of the last statement of a record that is not behind its head."""
        head = self._head_of(kept)
        at = 0 if head is None else head.number
        ((last, there, newest),) = await self._work.look(kept.beside, at)
        self._require_head(kept, head, int(last), there, newest)
        return int(last)

    @property
    def _heads(self) -> Heads:
        return Heads(self._room.keys, self._room.vault, self._sealer)

    def _head_of(self, kept: Statements) -> Head | None:
        try:
            return self._heads.of(kept.table)
        except (SealBroken, OSError):
            self._room.behind(kept.table, 0, 0)
            raise RecordBehind from None

    def _require_head(
        self, kept: Statements, head: Head | None, last: int, there: bytes | None, newest: bytes | None
    ) -> None:
        """Raise :class:`RecordBehind` unless a record has what its head says; move a head that is behind.

        ``there`` is what the record has at the head's number, and ``newest`` at ``last``, as it is stored.
        """
        if head is not None and not self._has(kept, head, there):
            self._room.behind(kept.table, last, head.number)
            raise RecordBehind
        if newest is not None and (head is None or head.number < last):
            self._move(kept, Head.of(last, kept.opened(newest, last, self._sealer).stored))

    async def _require_no_other(self, kept: Statements) -> None:
        """Raise :class:`RecordBehind` if something else was stored with the number of the head.

        A record may be behind its head while what is missing is stored again, and may not go another way.
        """
        head = self._head_of(kept)
        if head is None:
            return
        for (stored,) in await self._work.query(kept.this, head.number):
            if not self._has(kept, head, stored):
                raise RecordBehind

    def _has(self, kept: Statements, head: Head, stored: bytes | None) -> bool:
        """Return whether what is stored at the head's number is what the head names."""
        try:
            return stored is not None and head == Head.of(
                head.number, kept.opened(stored, head.number, self._sealer).stored
            )
        except SealBroken:
            return False

    def _move(self, kept: Statements, head: Head) -> None:
        """Move a head when this opening is committed; if the key store is away, the next look does it."""

        async def move() -> None:
            with contextlib.suppress(KeyStoreError, OSError):
                self._heads.move(kept.table, head)

        self._work.after_commit(move)

    async def _after_of(self, kept: Statements, number: int, limit: int) -> Sequence[NumberedStatement]:
        return self._opened_of(kept, await self._work.look(kept.after, number, limit))

    async def _append_to(
        self, kept: Statements, statements: Sequence[NumberedStatement]
    ) -> list[NumberedStatement]:
        """Store statements, and return those that are new."""
        new = []
        for one in sorted(statements):
            sealed = kept.sealed(one, self._sealer)
            ((stored,),) = await self._work.query(kept.append, one.number, sealed)
            if stored:
                new.append(one)
            elif await self._content_of(kept, one.number) != one.content:
                raise StatementTaken(one.number)
        if new:
            await self._require_no_other(kept)
            self._move(kept, Head.of(new[-1].number, new[-1].stored))
        self._work.after_commit(self._room.tell)
        return new

    async def _content_of(self, kept: Statements, number: int) -> bytes | None:
        rows = await self._work.query(kept.this, number)
        return kept.opened(rows[0][0], number, self._sealer).content if rows else None
