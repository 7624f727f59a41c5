"""A vault as it was at one moment, for reading while other processes go on writing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from samdrift.vault.bodies import Shelf
from samdrift.vault.database.pool import Login, Pool
from samdrift.vault.database.session import Row, Session, Value
from samdrift.vault.errors import VaultError

BEGIN = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL transaction_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)
"""Statements that begin a snapshot without time limits: gigabytes of bodies may be read between queries."""


class Snapshot:
    """One read-only transaction; bodies in the object store are not part of it: see :meth:`has_body`."""

    def __init__(self, session: Session, shelf: Shelf, pool: Pool, login: Login) -> None:
        self.shelf = shelf
        self._session = session
        self._pool = pool
        self._login = login

    async def query(self, sql: str, *values: Value) -> list[Row]:
        """Return rows as they were when the snapshot was taken."""
        return (await self._session.run([(sql, values)]))[0]

    async def has_body(self, body_id: str) -> bool:
        """Return whether a body exists now: it may have been removed since the snapshot."""
        session = await self._pool.borrow(self._login)
        try:
            (rows,) = await session.run([("SELECT FROM bodies WHERE id = $1", (body_id,))])
        finally:
            self._pool.give_back(self._login, session)
        return bool(rows)


@asynccontextmanager
async def snapshot(pool: Pool, login: Login, shelf: Shelf) -> AsyncIterator[Snapshot]:
    """Take a snapshot, and keep it during the context."""
    session = await pool.borrow(login)
    try:
        await session.run([(statement, ()) for statement in BEGIN])
        yield Snapshot(session, shelf, pool, login)
    finally:
        try:
            if not session.closed:
                await session.run([("ROLLBACK", ())])
        except VaultError:
            session.close()
        finally:
            pool.give_back(login, session)
