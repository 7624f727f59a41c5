"""What is under way at a message service ends when its organisation is closed here (invariant 8)."""

from __future__ import annotations

from datetime import datetime, timedelta

from samdrift.audit.events import AuditEvent
from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState
from samdrift.messageservice.lifecycle import progress
from samdrift.messageservice.lifecycle.ledger import advance, receipt_failed
from samdrift.vault.messageservice import MessageServiceVault

_AT_ONCE = 200
_EVER = timedelta(days=36500)
_OPEN = (ReceiptState.QUEUED, ReceiptState.SUBMITTED)


async def end_some(vault: MessageServiceVault, why: str, now: datetime) -> int:
    """End some of what has not come to its end, each with status and reason in the log; gives how many.

    All that is not final has work or a deadline to come: that is how it is found.
    """
    work = await vault.claim_work(now=now + _EVER, lease=timedelta(0), limit=_AT_ONCE)
    for record_id in dict.fromkeys(item.id for item in work):
        await _end(vault, record_id, why, now)
    for item in work:
        await vault.finish_work(item.kind, item.id)
    return len(work)


async def _end(vault: MessageServiceVault, record_id: str, why: str, now: datetime) -> None:
    receipt = await vault.receipt(record_id)
    if receipt is not None and receipt.direction is Direction.OUT:
        if receipt.state in _OPEN:
            await receipt_failed(vault, receipt, why, now)
            _record(vault, "receipt", record_id, ReceiptState.FAILED.value, why)
        return
    message = await vault.message(record_id, Direction.OUT)
    if message is not None and not message.status.final:
        step = progress.failed(now, "The organisation is closed here", why)
        await advance(vault, record_id, Direction.OUT, step, now)
        _record(vault, "message", record_id, MessageStatus.MESSAGE_EXCHANGE_ERROR.value, why)


def _record(vault: MessageServiceVault, what: str, record_id: str, status: str, why: str) -> None:
    vault.record(AuditEvent.ORGANISATION_ENDED, what=what, message=record_id, status=status, reason=why)
