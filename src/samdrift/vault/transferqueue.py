"""Transfers that wait, and what an operator does about them, without any way to an envelope's bytes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from samdrift.audit.entries import LogEntry
from samdrift.contracts.transfer import TransferState
from samdrift.vault import logbook
from samdrift.vault.database.session import Row, call
from samdrift.vault.opening import Vault
from samdrift.vault.records import Attempt, Backlog, TransferStatus
from samdrift.vault.transferrows import reason_and_detail

_STATUS = """
SELECT t.id, t.envelope_id, t.as4_message_id, t.recipient, t.document, t.created_at, t.state, t.due_at,
       t.attempts, a.at, a.error
FROM transfers t LEFT JOIN attempts a ON a.transfer = t.id AND a.number = t.attempts
"""
_WAITING = f"{_STATUS} WHERE t.due_at IS NOT NULL ORDER BY t.due_at, t.id LIMIT $1"
_NAMED = f"{_STATUS} WHERE t.id = $1 UNION {_STATUS} WHERE t.envelope_id = $1"
_BACKLOG = "SELECT count(*), min(created_at) FROM transfers WHERE due_at IS NOT NULL"
_ATTEMPTS = "SELECT at, NULL::bytea[], error FROM attempts WHERE transfer = $1 ORDER BY number"
_PROOF = "SELECT receipt FROM transfers WHERE id = $1 AND state = 'delivered'"
_HASTEN = call("hasten", 2)
_GIVE_UP = "SELECT stood, remote FROM give_up($1, $2, $3)"


class Standing(StrEnum):
    """How a transfer stands when somebody wants to act on it."""

    WAITING = "waiting"
    UNDER_WAY = "under-way"
    """Somebody attempts it now."""
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"


class TransferQueue(Vault):
    """The part of the access point's vault that is about transfers as such."""

    async def waiting(self, limit: int) -> tuple[TransferStatus, ...]:
        """Transfers that are not final, the next one to be attempted first."""
        return tuple(map(_status, await self._work.query(_WAITING, limit)))

    async def backlog(self) -> Backlog:
        """How many transfers are not final, and since when."""
        ((number, oldest),) = await self._work.query(_BACKLOG)
        return Backlog(number, oldest)

    async def status(self, identifier: str) -> TransferStatus | None:
        """A transfer by its own id or its envelope's, whatever its state."""
        rows = await self._work.query(_NAMED, identifier)
        return _status(rows[0]) if rows else None

    async def attempts(self, transfer_id: str) -> tuple[Attempt, ...]:
        """Every attempt at a transfer, the first one first, without what was signed."""
        return tuple(Attempt(*row) for row in await self._work.query(_ATTEMPTS, transfer_id))

    async def proof(self, transfer_id: str) -> bytes | None:
        """The receipt that the peer signed for a delivered transfer: evidence, kept when the body is gone."""
        rows = await self._work.query(_PROOF, transfer_id)
        return rows[0][0] if rows else None

    async def hasten(self, transfer_id: str, *, now: datetime) -> Standing:
        """Have a transfer attempted now if it waits; gives how it stood."""
        ((stood,),) = await self._work.query(_HASTEN, transfer_id, now)
        return Standing(stood or Standing.UNKNOWN)

    async def give_up(self, transfer_id: str, *, now: datetime, why: str) -> Standing:
        """Final, if it waits: failed with ``GIVEN_UP``, its body deleted; gives how it stood."""
        ((stood, body),) = await self._work.query(_GIVE_UP, transfer_id, now, why)
        self._drop_object(body)
        return Standing(stood or Standing.UNKNOWN)

    async def refused(self, limit: int) -> tuple[LogEntry, ...]:
        """What the log says of envelopes that were refused, the latest first."""
        return tuple(map(logbook.entry, await self._work.query(logbook.REFUSED, limit)))


def _status(row: Row) -> TransferStatus:
    transfer, envelope, as4, recipient, document, created_at, state, due, attempts, tried_at, error = row
    return TransferStatus(
        transfer,
        envelope,
        as4,
        recipient,
        document,
        created_at,
        TransferState(state),
        due,
        attempts,
        tried_at,
        *reason_and_detail(error),
    )
