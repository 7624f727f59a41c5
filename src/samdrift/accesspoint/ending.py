"""Ending of an access point's work in progress when its organisation is closed here (invariant 8)."""

from __future__ import annotations

from datetime import datetime

from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.events import VaultEvent

_AT_ONCE = 200


async def end_some(vault: AccessPointVault, why: str, now: datetime) -> int:
    """End a batch of unfinished items, each with status and reason in the log; return their number.

    A transfer fails, so that no peer receives the envelope. An envelope that waits to be fetched is dropped:
    its sender gets no message receipt and notices this when its own deadline passes.
    """
    transfers = await vault.waiting(_AT_ONCE)
    for transfer in transfers:
        await vault.failed(transfer.id, now=now, reason=TransferReason.GIVEN_UP, detail=why)
        vault.record(
            VaultEvent.ORGANISATION_ENDED,
            what="transfer",
            envelope=transfer.envelope_id,
            status=TransferState.FAILED.value,
            reason=why,
        )
    items = await vault.inbox(_AT_ONCE)
    for item in items:
        await vault.acknowledge(item.id, now=now)
        vault.record(
            VaultEvent.ORGANISATION_ENDED,
            what="envelope",
            envelope=item.envelope_id,
            status="dropped",
            reason=why,
        )
    return len(transfers) + len(items)
