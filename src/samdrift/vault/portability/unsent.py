"""Ending of items in a restored vault that waited to be sent at the backup, as they may have been sent since.

This runs in the restored database, as its administrator, before any login may connect. Messages end, each
with its reason in the log: the writer sees that a message was not sent from here, and sends it again if it
never arrived. Receipts are sent again with their former ids, by which a sender that already has one
recognises it. Envelopes that waited to be fetched keep waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from samdrift.audit.entries import Happening
from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.vault.closing import append_log
from samdrift.vault.errors import VaultRefused
from samdrift.vault.logins import Connection
from samdrift.wire.identifiers import RECEIPT_BASE, RECEIPT_EXTENDED

_TRANSFERS = (
    "SELECT id, envelope_id FROM {}.transfers WHERE due_at IS NOT NULL AND document <> ALL (%s) ORDER BY id"
)
# A running message service asks for events after the last one it has read, which may be newer than the
# backup.
_LATER_EVENTS = "UPDATE {}.log_head SET news = news + 1000000000"
_END_TRANSFER = "SELECT {}.end_transfer(%s, %s, %s, NULL, NULL, NULL)"
_TELL = "SELECT {}.tell(%s, %s, %s, %s, %s)"
# They end at their deadline, like every message that is not handed over in time.
_MESSAGES = """
WITH waiting AS (DELETE FROM {0}.work WHERE kind = 'message' RETURNING id)
INSERT INTO {0}.work (kind, id, due_at) SELECT 'deadline', id, %s FROM waiting
ON CONFLICT (id, kind) DO UPDATE SET due_at = excluded.due_at RETURNING id
"""
_MAIL = """
UPDATE {}.messages SET stage = 'not-sent', since = %s, due_at = NULL WHERE stage IN ('window', 'outbox')
RETURNING id
"""
_DRAFTS = "UPDATE {}.drafts SET stage = 'sent', until = NULL WHERE stage = 'window'"
_NOTICES = """
UPDATE {}.notices SET due_at = NULL, outcome = 'not-sent', ended_at = %s WHERE outcome IS NULL RETURNING id
"""
_RECEIPTS = [RECEIPT_BASE.value, RECEIPT_EXTENDED.value]


@dataclass(frozen=True, slots=True)
class Unsent:
    """An item that waited, and will not be sent from here any more."""

    what: str
    """``transfer`` of the access point, ``message`` of message service or client, or ``notice`` by mail."""
    id: str


async def end_unsent(
    connection: Connection, role: Role, schema: str, why: str, event: AuditEvent, now: datetime
) -> list[Unsent]:
    """End a vault's unsent items, in the caller's transaction, and log each of them there."""
    try:
        found = await _ended(connection, role, sql.Identifier(schema), why, now)
    except psycopg.Error as error:
        raise VaultRefused(error.sqlstate) from None
    for each in found:
        facts = {"what": each.what, "message": each.id, "reason": why}
        happening = Happening(now, event, "worker:restore", Purpose.MAINTAIN, facts)
        await append_log(connection, schema, happening)
    return found


async def _ended(
    connection: Connection, role: Role, schema: sql.Identifier, why: str, now: datetime
) -> list[Unsent]:
    async def rows(question: str, *values: object) -> Sequence[tuple[Any, ...]]:
        composed = sql.SQL(question).format(schema)
        cursor = await connection.execute(composed, values)
        return await cursor.fetchall() if cursor.description is not None else []

    if role is Role.ACCESS_POINT:
        await rows(_LATER_EVENTS)
        waiting = await rows(_TRANSFERS, _RECEIPTS)
        for transfer, _ in waiting:
            await rows(_END_TRANSFER, transfer, TransferState.FAILED.value, now)
            ended = TransferState.FAILED.value, TransferReason.GIVEN_UP.value, why
            await rows(_TELL, transfer, now, *ended)
        return [Unsent("transfer", envelope) for _, envelope in waiting]
    if role is Role.MESSAGE_SERVICE:
        return [Unsent("message", message) for (message,) in await rows(_MESSAGES, now)]
    if role is Role.MESSAGE_CLIENT:
        mail = await rows(_MAIL, now)
        await rows(_DRAFTS)
        notices = await rows(_NOTICES, now)
        return [Unsent("message", one) for (one,) in mail] + [Unsent("notice", one) for (one,) in notices]
    return []
