"""What waits to be done for an organisation in the message service, and how far it has read elsewhere."""

from __future__ import annotations

from datetime import datetime, timedelta

from samdrift.contracts.messages import WorkKind
from samdrift.vault.database.session import call
from samdrift.vault.opening import Vault
from samdrift.vault.records import WorkItem

_PLAN = call("plan_work", 4)
_POSTPONE = call("postpone_work", 3)
_CLAIM = "SELECT kind, id, attempts FROM claim_work($1, $2, $3)"
_FINISH = call("finish_work", 2)
_NEXT_DUE = "SELECT min(due_at) FROM work"
_CURSOR = "SELECT value FROM cursors WHERE name = $1"
_SET_CURSOR = call("set_cursor", 2)


class WorkQueue(Vault):
    """The part of the message service's vault that is about work."""

    async def claim_work(self, *, now: datetime, lease: timedelta, limit: int) -> tuple[WorkItem, ...]:
        """Take over work that is due."""
        rows = await self._work.query(_CLAIM, now, now + lease, limit)
        return tuple(WorkItem(WorkKind(kind), record_id, attempts) for kind, record_id, attempts in rows)

    async def schedule(self, kind: WorkKind, record_id: str, at: datetime) -> None:
        """Have something done at ``at``, instead of any earlier such plan."""
        self._work.later(_PLAN, kind.value, record_id, at, 0)

    async def reschedule(self, kind: WorkKind, record_id: str, *, next_attempt: datetime) -> None:
        """Give claimed work back until ``next_attempt``; nothing happens when it is finished."""
        self._work.later(_POSTPONE, kind.value, record_id, next_attempt)

    async def finish_work(self, kind: WorkKind, record_id: str) -> None:
        """What was to be done is done; nothing happens when nothing was planned."""
        self._work.later(_FINISH, kind.value, record_id)

    async def next_due(self) -> datetime | None:
        """When the next work may be claimed, or ``None`` when none waits."""
        due: datetime | None = (await self._work.query(_NEXT_DUE))[0][0]
        return due

    async def cursor(self, name: str) -> int:
        """A position that was remembered under ``name``, 0 at first."""
        rows = await self._work.query(_CURSOR, name)
        return int(rows[0][0]) if rows else 0

    async def set_cursor(self, name: str, value: int) -> None:
        """Remember a position."""
        self._work.later(_SET_CURSOR, name, value)

    def _plan(self, kind: WorkKind, record_id: str, now: datetime, lease: timedelta | None) -> None:
        """Have something done now: by the caller, who has a lease, or by whoever claims it."""
        if lease is None:
            self._work.later(_PLAN, kind.value, record_id, now, 0)
        else:
            self._work.later(_PLAN, kind.value, record_id, now + lease, 1)
