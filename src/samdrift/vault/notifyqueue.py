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

import psycopg
from psycopg.errors import Diagnostic

from samdrift.vault.database.server import Database
from samdrift.vault.watching import Watch

_FULL = 0.5
"""Fraction of the queue from which the server reports the session that holds its tail."""
_TRIES = 60
_BETWEEN_TRIES = 0.1
"""Seconds between tries, which together take longer than the server's pause of five seconds."""
_LONG_SECONDS = 10
"""Seconds that a session of ours may stay in one transaction, or in sending, while the queue is that full."""

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
_LOGGER = logging.getLogger("samdrift")


class NotifyQueue(Watch):
    """The notification queue as it was last seen, and the number of sessions ended on account of it."""

    what = "the notification queue"
    seconds = 5.0

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.usage = 0.0
        """Fraction of the queue that is used, from 0 to 1."""
        self.others: frozenset[str] = frozenset()
        """Logins that are not ours and hold the tail of a queue that fills up."""
        self._holder: int | None = None

    async def look(self) -> None:
        """Move the tail; while the queue stays full, end our sessions that hold it and report other logins.

        Raises :class:`VaultError` or ``psycopg.Error`` if the administrator cannot look.
        """
        self.usage = await self._used()
        if self.usage < _FULL:
            self.others = frozenset()
            return
        ours = await self._our_logins()
        holders = await self._holders(ours)
        for pid in [pid for pid, login in holders if login in ours]:
            await self._end(pid)
            _LOGGER.warning(
                "database: ended one of our sessions that blocked the notification queue, %d %% full",
                round(self.usage * 100),
            )
        self._name(frozenset(str(login) for _, login in holders if login not in ours))
        self.usage = await self._used()

    async def _holders(self, ours: Sequence[str]) -> Sequence[tuple[int, str]]:
        """Return sessions that hold the tail: the one that the server names, or else ours that may be it.

        The server names it to a session that notifies, once in five seconds in the whole cluster, so that
        other sessions can keep it from us by notifying without pause.
        """
        self._holder, connection = None, await self._administrator()
        for _ in range(_TRIES):
            try:
                await connection.execute("NOTIFY samdrift")
            except psycopg.OperationalError:
                if connection.broken:
                    raise
            if self._holder is not None and (holders := await self._rows(_SESSION, self._holder)):
                return holders
            self._holder = None
            await asyncio.sleep(_BETWEEN_TRIES)
        return await self._rows(_LONG, list(ours), _LONG_SECONDS)

    def _name(self, others: frozenset[str]) -> None:
        for login in sorted(others - self.others):
            _LOGGER.warning(
                "database: a session of the login %s blocks the notification queue, %d %% full: end it",
                login,
                round(self.usage * 100),
            )
        self.others = others

    async def _used(self) -> float:
        ((usage,),) = await self._rows(_USAGE)
        return float(usage)

    def _hear(self, notice: Diagnostic) -> None:
        """Read the process id of the tail's holder from the server's warning, where it is the only number."""
        if notice.source_function == "asyncQueueFillWarning":
            named = re.search(r"[0-9]+", notice.message_detail or "")
            self._holder = int(named.group()) if named else None
