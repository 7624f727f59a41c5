"""Supervision by the database's administrator, over a connection that is always open.

Some limits of PostgreSQL are those of the whole cluster, and any login can reach them: then nobody gets in,
not even a superuser. A connection that is open already goes on, which is why each watch keeps one.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import Diagnostic

from samdrift.contracts.errors import for_operator
from samdrift.scheduling.ticks import tick
from samdrift.vault.database.cluster import cause_of
from samdrift.vault.database.server import Database
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.logins import members

_AWAY_SECONDS = 300.0
"""Seconds of an outage of the database after which it is logged here too; it has a line of its own before."""
PATIENCE_MS = 5000
_END = "SELECT pg_terminate_backend(%s, %s)"
_LOGGER = logging.getLogger("samdrift")


class Watch(ABC):
    """One thing that is looked after, every few seconds."""

    what: ClassVar[str]
    """Its name in the log, after which 'is' or 'cannot be' fits."""
    seconds: ClassVar[float]
    """Time between two looks."""

    def __init__(self, database: Database) -> None:
        self.ended = 0
        """Number of sessions of our logins that were ended since the start."""
        self._database = database
        self._connection: AsyncConnection[tuple[Any, ...]] | None = None
        self._failures = 0
        self._blind = False

    @abstractmethod
    async def look(self) -> None:
        """Look once, and do what is due.

        Raises :class:`VaultError` or ``psycopg.Error`` if the administrator cannot look.
        """

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        try:
            while True:
                await self._look_or_complain()
                await tick(self.seconds)
        finally:
            await self._hang_up()

    async def _end(self, session: int) -> None:
        connection = await self._administrator()
        await connection.execute(_END, (session, PATIENCE_MS))
        self.ended += 1

    async def _our_logins(self) -> list[str]:
        database, connection = self._database, await self._administrator()
        groups = (database.registry_group, database.vault_group, database.worker_group)
        return [login for group in groups for login in await members(connection, group)]

    async def _administrator(self) -> AsyncConnection[tuple[Any, ...]]:
        """Return the administrator's connection, opened if there is none, with whichever password works."""
        if self._connection is None or self._connection.closed:
            self._connection = await self._database.administrators_connection()
            await self._connection.execute(f"SET statement_timeout = {PATIENCE_MS * 2}")
            self._connection.add_notice_handler(self._hear)
        return self._connection

    def _hear(self, notice: Diagnostic) -> None:
        """Take a notice of the server; by default, none says anything."""
        del notice

    async def _look_or_complain(self) -> None:
        """Look once; log a warning when that becomes impossible, and another when it works again.

        An outage of the database has a warning of its own; one that lasts is logged here too, since it may
        affect this login alone.
        """
        try:
            await self.look()
        except (VaultError, psycopg.Error) as error:
            await self._hang_up()
            self._failures += 1
            lasting = self._failures * self.seconds > _AWAY_SECONDS
            if not self._blind and (not _is_away(error) or lasting):
                _LOGGER.warning("database: %s cannot be monitored now: %s", self.what, _why(error))
                self._blind = True
            return
        if self._blind:
            _LOGGER.warning("database: %s is monitored again", self.what)
        self._failures, self._blind = 0, False

    async def _hang_up(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._connection = None

    async def _rows(self, question: str, *values: object) -> Sequence[Any]:
        connection = await self._administrator()
        return await (await connection.execute(question.encode(), values)).fetchall()


def _is_away(error: VaultError | psycopg.Error) -> bool:
    """Return whether the database itself is away, as opposed to refusing this login."""
    if isinstance(error, VaultUnavailable):
        return error.reported
    return isinstance(error, psycopg.OperationalError)


def _why(error: VaultError | psycopg.Error) -> str:
    """Return why the administrator cannot look: that the server is away, or where to read about the cause."""
    if isinstance(error, VaultError):
        return for_operator(error)
    return cause_of(error) if isinstance(error, psycopg.OperationalError) else "see docs/database.md"
