"""The watch over sessions: the administrator ends those of our logins that exceed a bound.

It looks every second, at what fills a lock table of the embedded server's size in more time than that. The
bounds, and why there are any, are in :mod:`samdrift.vault.sessionbounds`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from samdrift.audit.operations import ids_spent, session_ended
from samdrift.vault.database.server import Database
from samdrift.vault.sessionbounds import Bound, IdsUsed, Taken, crowding, exceeding
from samdrift.vault.watching import Watch

_QUIET_SECONDS = 60.0
"""Seconds without a session over its bound after which all is in order again."""
_NEARLY_FULL = 0.9
_OVER = "sessions of a login exceed a bound ({}) and are ended; the log says whose"
_FULL = "the lock table is nearly full: nobody can connect; see docs/database.md#bounds-of-a-session"

_TAKEN = """
SELECT a.pid, a.usename::text, coalesce(l.locks, 0)::int,
  coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float,
  a.state LIKE 'idle in transaction%%', a.backend_xid IS NOT NULL, coalesce(b.waiting, 0)::int
FROM pg_stat_activity a
LEFT JOIN (SELECT pid, count(*) AS locks FROM pg_locks GROUP BY pid) l USING (pid)
LEFT JOIN (
  SELECT blocker AS pid, count(*) AS waiting
  FROM pg_stat_activity w, LATERAL unnest(pg_blocking_pids(w.pid)) AS blocker
  WHERE w.wait_event_type = 'Lock' GROUP BY blocker
) b USING (pid)
WHERE a.backend_type = 'client backend' AND a.usename IS NOT NULL AND a.pid <> pg_backend_pid()
"""
_SHARED = """
SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
  (SELECT count(*) FROM pg_locks WHERE NOT fastpath)
    / (current_setting('max_locks_per_transaction')::float * current_setting('max_connections')::int)
"""
_WHOSE = """
SELECT organisation, role FROM registry.registrations WHERE login = %s OR reader = %s
"""


class SessionWatch(Watch):
    """Sessions of our logins that exceeded a bound, as they were last seen and ended."""

    what = "the sessions of vaults"
    seconds = 1.0

    def __init__(
        self,
        database: Database,
        noted: Callable[[str], None] = lambda reason: None,
        filled: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """``noted`` gets the reason while sessions are over a bound, and ``filled`` while locks run out.

        Both get an empty text when it is over.
        """
        super().__init__(database)
        self.by_bound: Counter[Bound] = Counter()
        """Number of sessions of our logins that were ended since the start, by bound."""
        self._noted, self._filled = noted, filled
        self._ids = IdsUsed()
        self._last: tuple[Bound, float] | None = None

    async def look(self) -> None:
        """End each session of ours that exceeds a bound.

        Raises :class:`VaultError` or ``psycopg.Error`` if the administrator cannot look.
        """
        taken = [Taken(*row) for row in await self._rows(_TAKEN)]
        ((number, filled),) = await self._rows(_SHARED)
        now = time.monotonic()
        spender = self._ids.look(number, now, taken)
        if spender is not None or crowding(taken) or any(each.exceeds() for each in taken):
            await self._end_those(taken, spender, now)
        self._filled(_FULL if filled > _NEARLY_FULL else "")
        if self._last is not None and now - self._last[1] > _QUIET_SECONDS:
            self._last = None
        self._noted("" if self._last is None else _OVER.format(self._last[0].value))

    async def _end_those(self, taken: Sequence[Taken], spender: str | None, now: float) -> None:
        ours = await self._our_logins()
        if spender is not None and spender not in ours:
            ids_spent(spender)
        for each, bound in exceeding(taken, ours, spender):
            await self._end(each.pid)
            self.by_bound[bound] += 1
            self._last = bound, now
            session_ended(await self._whose(each.login), bound.value)

    async def _whose(self, login: str) -> str:
        """Return the organisation and role of a login, or the login where it belongs to none."""
        found = await self._rows(_WHOSE, login, login)
        return f"{found[0][0]} ({found[0][1]})" if found else login
