"""Supervision of the cluster's notification queue, as the database's administrator.

PostgreSQL keeps a notification until every listening session has passed it, in one queue for all databases of
a cluster. A listening session that stays in a transaction, or does not read what it is sent, holds the
queue's tail. Any login can do that, and any login can fill the queue behind it. A full queue stays full, even
after that session has gone, until its tail is moved, which happens when its usage is queried. So usage is
queried every few seconds, and sessions of our own logins that hold the tail are ended, since none does so in
its ordinary work. Sessions of other systems are reported to the operator, who alone may end them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import Diagnostic

from samdrift.contracts.errors import for_operator
from samdrift.scheduling.ticks import tick
from samdrift.vault.database.cluster import cause_of
from samdrift.vault.database.server import Database
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.logins import members

_LOOK_SECONDS = 5.0
_LOOKS_AWAY = 60
"""Number of failed looks, five minutes, before an outage of the database is logged here too."""
_FULL = 0.5
"""Fraction of the queue from which the server reports the session that holds its tail."""
_TRIES = 60
_BETWEEN_TRIES = 0.1
"""Seconds between tries, which together take longer than the server's pause of five seconds."""
_LONG_SECONDS = 10
"""Seconds that a session of ours may stay in one transaction, or in sending, while the queue is that full."""
_PATIENCE_MS = 5000

# This function first advances the queue's tail.
_USAGE = "SELECT pg_notification_queue_usage()"
# An idle session that the server is not sending to does not block the queue; it only advances slowly.
_SESSION = """
SELECT pid, usename FROM pg_stat_activity
WHERE pid = %s AND (state <> 'idle' OR wait_event = 'ClientWrite')
"""
_LONG = """
SELECT pid, usename FROM pg_stat_activity
WHERE usename = ANY(%s) AND (state <> 'idle' OR wait_event = 'ClientWrite')
  AND coalesce(xact_start, state_change) < now() - make_interval(secs => %s)
"""
_END = "SELECT pg_terminate_backend(%s, %s)"
_LOGGER = logging.getLogger("samdrift")


class NotifyQueue:
    """The notification queue as it was last seen, and the number of sessions ended on account of it."""

    def __init__(self, database: Database) -> None:
        self.usage = 0.0
        """Fraction of the queue that is used, from 0 to 1."""
        self.ended = 0
        """Number of sessions of our logins that were ended since the start."""
        self.others: frozenset[str] = frozenset()
        """Logins that are not ours and hold the tail of a queue that fills up."""
        self._database = database
        self._connection: AsyncConnection[tuple[Any, ...]] | None = None
        self._holder: int | None = None
        self._failures = 0
        self._blind = False

    async def keep(self) -> None:
        """Check the queue every few seconds, until cancelled."""
        try:
            while True:
                await self._look_or_complain()
                await tick(_LOOK_SECONDS)
        finally:
            await self._hang_up()

    async def look(self) -> None:
        """Move the tail; while the queue stays full, end our sessions that hold it and report other logins.

        Raises :class:`VaultError` or ``psycopg.Error`` if the administrator cannot look.
        """
        connection = await self._administrator()
        self.usage = await self._used(connection)
        if self.usage < _FULL:
            self.others = frozenset()
            return
        ours = await self._our_logins(connection)
        holders = await self._holders(connection, ours)
        await self._end([pid for pid, login in holders if login in ours])
        self._name(frozenset(str(login) for _, login in holders if login not in ours))
        self.usage = await self._used(connection)

    async def _holders(self, connection: AsyncConnection[Any], ours: Sequence[str]) -> list[tuple[int, str]]:
        """Return sessions that hold the tail: the one that the server names, or else ours that may be it.

        The server names it to a session that notifies, once in five seconds in the whole cluster, so that
        other sessions can keep it from us by notifying without pause.
        """
        self._holder = None
        for _ in range(_TRIES):
            try:
                await connection.execute("NOTIFY samdrift")
            except psycopg.OperationalError:
                if connection.broken:
                    raise
            if self._holder is not None and (holders := await self._rows(connection, _SESSION, self._holder)):
                return holders
            self._holder = None
            await asyncio.sleep(_BETWEEN_TRIES)
        return await self._rows(connection, _LONG, list(ours), _LONG_SECONDS)

    async def _end(self, sessions: Sequence[int]) -> None:
        connection = await self._administrator()
        for pid in sessions:
            await connection.execute(_END, (pid, _PATIENCE_MS))
            self.ended += 1
            _LOGGER.warning(
                "database: ended one of our sessions that blocked the notification queue, %d %% full",
                round(self.usage * 100),
            )

    def _name(self, others: frozenset[str]) -> None:
        for login in sorted(others - self.others):
            _LOGGER.warning(
                "database: a session of the login %s blocks the notification queue, %d %% full: end it",
                login,
                round(self.usage * 100),
            )
        self.others = others

    async def _used(self, connection: AsyncConnection[Any]) -> float:
        ((usage,),) = await self._rows(connection, _USAGE)
        return float(usage)

    async def _our_logins(self, connection: AsyncConnection[Any]) -> list[str]:
        database = self._database
        groups = (database.registry_group, database.vault_group, database.worker_group)
        return [login for group in groups for login in await members(connection, group)]

    async def _administrator(self) -> AsyncConnection[tuple[Any, ...]]:
        """Return the administrator's connection, opened if there is none, with whichever password works."""
        if self._connection is None or self._connection.closed:
            self._connection = await self._database.administrators_connection()
            await self._connection.execute(f"SET statement_timeout = {_PATIENCE_MS * 2}")
            self._connection.add_notice_handler(self._hear)
        return self._connection

    def _hear(self, notice: Diagnostic) -> None:
        """Read the process id of the tail's holder from the server's warning, where it is the only number."""
        if notice.source_function == "asyncQueueFillWarning":
            named = re.search(r"[0-9]+", notice.message_detail or "")
            self._holder = int(named.group()) if named else None

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
            if not self._blind and (not _is_away(error) or self._failures > _LOOKS_AWAY):
                text = "database: the notification queue cannot be monitored now: %s"
                _LOGGER.warning(text, _why(error))
                self._blind = True
            return
        if self._blind:
            _LOGGER.warning("database: the notification queue is monitored again")
        self._failures, self._blind = 0, False

    async def _hang_up(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._connection = None

    @staticmethod
    async def _rows(connection: AsyncConnection[Any], question: str, *values: object) -> list[Any]:
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
