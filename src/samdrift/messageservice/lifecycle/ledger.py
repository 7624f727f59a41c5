"""Steps of a message's life, written to the vault with status and log entry in one transaction.

This includes final steps: when something awaited does not arrive in time, and when the organisation is closed
here (invariant 8).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from samdrift.contracts.errors import Temporary
from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.lifecycle import progress
from samdrift.messageservice.lifecycle.progress import Progress
from samdrift.vault.events import VaultEvent
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import ReceiptRecord
from samdrift.wire.codes import ReceiptStatus


async def advance(
    vault: MessageServiceVault,
    message_id: str,
    direction: Direction,
    step: Progress,
    now: datetime,
    *,
    ends: bool = False,
    **facts: str,
) -> bool:
    """Take one step; if the message has already advanced further, only log it and return false.

    ``facts`` are included in the log entry. If a step ``ends`` its opening, it is expected to be taken.
    """
    ids = {"message": message_id} | ({"reason": step.reason} if step.reason else {}) | facts
    if ends:
        vault.expect()
        vault.record(step.audit, **ids)
    taken = await vault.set_status(
        message_id,
        step.status,
        step.events,
        now=now,
        deadline=step.deadline,
        direction=direction,
        unless=step.overtaken_by,
    )
    if not (taken and ends):
        happened = taken or step.overtaken_by
        vault.record(step.audit if happened else MTEvent.MT_MESSAGE_LATE, **ids)
    return taken


def commitments(vault: MessageServiceVault, **digests: bytes | None) -> dict[str, str]:
    """Store digests of a message, envelope or receipt; return the commitments to them, for the log."""
    return {
        f"{what}_commitment": vault.keep_digest(digest)
        for what, digest in digests.items()
        if digest is not None
    }


async def waits(vault: MessageServiceVault, message_id: str, cause: Temporary, now: datetime) -> None:
    """Report once per outage what a scheduled message waits for, to its sender and in the log."""
    told = await vault.status_events(message_id, Direction.OUT)
    event = progress.waiting(cause, now, told)
    if event is not None:
        vault.add_event(message_id, event, direction=Direction.OUT)
        vault.record(MTEvent.MT_MESSAGE_HELD, message=message_id, reason=str(cause))


async def held(vault: MessageServiceVault, reason: str, **ids: str) -> None:
    """Log once that an incoming message waits; earlier entries are looked up by the first of ``ids``."""
    named, *_ = ids.values()
    if not await vault.find_log(named, event=MTEvent.MT_MESSAGE_HELD):
        vault.record(MTEvent.MT_MESSAGE_HELD, **ids, reason=reason)


async def receipt_delivered(vault: MessageServiceVault, record: ReceiptRecord, now: datetime) -> None:
    """Record the delivery of a receipt; a message that was accepted is now ready for the client to fetch."""
    await vault.set_receipt_state(record.id, ReceiptState.DELIVERED, now=now, deadline=None)
    vault.record(MTEvent.MT_RECEIPT_ACKNOWLEDGED, envelope=record.id, message=record.message_id)
    if record.status is ReceiptStatus.ACCEPTED:
        await advance(vault, record.message_id, Direction.IN, progress.receipt_delivered(now), now)


async def receipt_failed(vault: MessageServiceVault, record: ReceiptRecord, why: str, now: datetime) -> None:
    """End the exchange of a message whose sender cannot be informed (api-mt-mk, Meddelandestatus 6)."""
    await vault.set_receipt_state(record.id, ReceiptState.FAILED, now=now, deadline=None)
    vault.record(MTEvent.MT_RECEIPT_FAILED, envelope=record.id, message=record.message_id, reason=why)
    if record.status is ReceiptStatus.ACCEPTED:
        step = progress.failed(now, "Message receipt could not be delivered", why)
        await advance(vault, record.message_id, Direction.IN, step, now)


_OPEN = (ReceiptState.QUEUED, ReceiptState.SUBMITTED)


async def pass_deadline(vault: MessageServiceVault, record_id: str, now: datetime) -> None:
    """End the exchange of an overdue message, or of a message whose receipt was not delivered in time."""
    receipt = await vault.receipt(record_id)
    if receipt is not None and receipt.direction is Direction.OUT:
        if receipt.state in _OPEN:
            await receipt_failed(vault, receipt, "no transport receipt for the message receipt in time", now)
        return
    message = await vault.message(record_id, Direction.OUT)
    if message is not None and not message.status.final:
        await advance(vault, record_id, Direction.OUT, progress.overdue(message.status, now), now)


_AT_ONCE = 200
_EVER = timedelta(days=36500)


async def end_some(vault: MessageServiceVault, why: str, now: datetime) -> int:
    """End a batch of unfinished items, logging status and reason for each; return their number.

    Every unfinished item is found by its pending work or deadline.
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
    vault.record(VaultEvent.ORGANISATION_ENDED, what=what, message=record_id, status=status, reason=why)
