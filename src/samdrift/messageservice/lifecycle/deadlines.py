"""What happens when something awaited does not come in time (invariant 8)."""

from __future__ import annotations

from datetime import datetime

from samdrift.contracts.messages import Direction, ReceiptState
from samdrift.messageservice.lifecycle import progress
from samdrift.messageservice.lifecycle.ledger import advance, receipt_failed
from samdrift.vault.messageservice import MessageServiceVault

_OPEN = (ReceiptState.QUEUED, ReceiptState.SUBMITTED)


async def pass_deadline(vault: MessageServiceVault, record_id: str, now: datetime) -> None:
    """End the exchange of a message, or of the message whose receipt was not delivered in time."""
    receipt = await vault.receipt(record_id)
    if receipt is not None and receipt.direction is Direction.OUT:
        if receipt.state in _OPEN:
            await receipt_failed(vault, receipt, "no transport receipt for the message receipt in time", now)
        return
    message = await vault.message(record_id, Direction.OUT)
    if message is not None and not message.status.final:
        await advance(vault, record_id, Direction.OUT, progress.overdue(message.status, now), now)
