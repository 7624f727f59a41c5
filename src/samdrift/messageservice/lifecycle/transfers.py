"""Processing of the access point's reports on the transfers of messages and receipts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from samdrift.audit.operations import marks_lost
from samdrift.contracts.clock import Clock
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import TransferEvent, TransferState, UnderWay
from samdrift.messageservice.lifecycle import progress
from samdrift.messageservice.lifecycle.ledger import advance, receipt_delivered, receipt_failed
from samdrift.messageservice.settings import WORKER, MessageServiceSettings
from samdrift.vault.gate import Gate
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import ReceiptRecord
from samdrift.wire.identifiers import ParticipantIdentifier

CURSOR = "access-point-events"
_MOST_UNDER_WAY = 10_000


async def under_way(gate: Gate, organisation: ParticipantIdentifier) -> tuple[UnderWay, ...]:
    """Return the unfinished transfers, for an access point that has to be asked about each one.

    At most ``_MOST_UNDER_WAY`` are returned, ordered by deadline.
    """
    async with gate.worker(WORKER, Role.MESSAGE_SERVICE).open(organisation, Purpose.PROCESS) as vault:
        return await vault.under_way(_MOST_UNDER_WAY)


class Transfers:
    """Applies events in order; the position in their sequence is stored in the same transaction.

    Transfers concern only what we sent. An incoming receipt has an id that its sender chose, which may equal
    that of one of our messages.
    """

    def __init__(self, settings: MessageServiceSettings, gate: Gate, clock: Clock) -> None:
        self._settings = settings
        self._vaults = gate.worker(WORKER, Role.MESSAGE_SERVICE)
        self._clock = clock

    async def place(self, organisation: ParticipantIdentifier) -> int:
        """Return the sequence of the last applied event, from which to poll the access point.

        Lost marks of session keys are detected here, before anything is fetched.
        """
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            lost = await vault.look_after_marks(now=self._clock())
            place = await vault.cursor(CURSOR)
        if lost is not None:
            marks_lost()
        return place

    async def apply(self, organisation: ParticipantIdentifier, events: Sequence[TransferEvent]) -> int:
        """Apply ``events`` and return the new position in the sequence."""
        now, last = self._clock(), events[-1].sequence
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            receipts = await vault.receipts([event.envelope_id for event in events])
            each = partial(self.each, vault, events, receipts, now)
            if not await vault.suppose(each):
                await each()
        return last

    async def each(
        self,
        vault: MessageServiceVault,
        events: Sequence[TransferEvent],
        receipts: Mapping[str, ReceiptRecord],
        now: datetime,
    ) -> None:
        """Apply ``events`` in an opening and store the position of the last one, without reading anything."""
        await vault.set_cursor(CURSOR, events[-1].sequence)
        for event in events:
            receipt = receipts.get(event.envelope_id)
            if receipt is not None and receipt.direction is Direction.OUT:
                await self._of_receipt(vault, receipt, event, now)
            else:
                step = progress.of_transfer(self._settings, event)
                await advance(vault, event.envelope_id, Direction.OUT, step, now)

    async def _of_receipt(
        self, vault: MessageServiceVault, receipt: ReceiptRecord, event: TransferEvent, now: datetime
    ) -> None:
        if event.state is TransferState.DELIVERED:
            await receipt_delivered(vault, receipt, now)
        elif event.state is TransferState.FAILED:
            await receipt_failed(vault, receipt, f"{event.reason.value} {event.detail}".strip(), now)
