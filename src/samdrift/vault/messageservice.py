"""An organisation's vault in the message service: messages, receipts, and what is to be done about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState, WorkKind
from samdrift.vault.bodies import Body, BodyReader
from samdrift.vault.opening import Vault
from samdrift.vault.records import KeySet, MessageRecord, Received, ReceiptRecord, StatusEvent, WorkItem


class MessageServiceVault(Vault):
    """Opened with role ``mt``.

    A message id is unique per direction: an organisation that writes to itself
    has both. Where ``direction`` is left out, the message that was sent is
    meant if there is one, else the one that came in.
    """

    def keys(self) -> KeySet:
        """The organisation's own keys."""
        raise NotImplementedError

    async def create_outgoing(
        self, record: MessageRecord, body: Body, *, now: datetime, lease: timedelta | None
    ) -> bool:
        """Store a message to be sent, with its work (born claimed with a lease). False when its id is known."""
        raise NotImplementedError

    async def receive(
        self,
        record: MessageRecord | None,
        body: Body | None,
        receipt: ReceiptRecord | None,
        receipt_body: bytes | None,
        *,
        item_id: str,
        now: datetime,
        lease: timedelta | None,
    ) -> Received:
        """Store what came in and mark the access point's item as processed, all or nothing.

        ``record`` without a body is a message that was rejected: its facts.
        No record and a receipt: a second message with a known id is answered.
        The receipt is stored with its work (born claimed with a lease).
        """
        raise NotImplementedError

    async def was_processed(self, item_id: str) -> bool:
        raise NotImplementedError

    async def mark_processed(self, item_id: str, *, now: datetime) -> None:
        """Remember that the access point's item needs nothing more."""
        raise NotImplementedError

    async def message(self, message_id: str, direction: Direction | None = None) -> MessageRecord | None:
        raise NotImplementedError

    async def body(self, message_id: str, direction: Direction | None = None) -> BodyReader:
        """The content; :class:`UnknownRecord` when there is no such message or it was stored without."""
        raise NotImplementedError

    async def messages(
        self,
        *,
        direction: Direction | None = None,
        statuses: Collection[MessageStatus] = (),
        sender_address: str | None = None,
        recipient_address: str | None = None,
        start: datetime | None = None,
        stop: datetime | None = None,
        limit: int = 100,
        before: tuple[datetime, str] | None = None,
    ) -> tuple[MessageRecord, ...]:
        """Messages that fit every given filter, the newest first; ``before`` is the last one of the page before.

        ``start`` and ``stop`` are bounds of the creation time, both included.
        """
        raise NotImplementedError

    async def set_status(
        self,
        message_id: str,
        status: MessageStatus,
        events: Sequence[StatusEvent],
        *,
        now: datetime,
        deadline: datetime | None,
        direction: Direction | None = None,
    ) -> None:
        """Move a message on. Its deadline is what is given here: ``None`` takes it away."""
        raise NotImplementedError

    async def status_events(
        self, message_id: str, direction: Direction | None = None
    ) -> tuple[StatusEvent, ...]:
        """The steps of a message's life, the newest first."""
        raise NotImplementedError

    async def delete(self, message_id: str, direction: Direction | None = None) -> bool:
        """Delete a message with body, events and receipt; its id stays known. False when there is none."""
        raise NotImplementedError

    async def receipt(self, receipt_id: str) -> ReceiptRecord | None:
        raise NotImplementedError

    async def receipt_for_message(
        self, message_id: str, direction: Direction | None = None
    ) -> ReceiptRecord | None:
        """The receipt for a message; ``direction`` is the receipt's own."""
        raise NotImplementedError

    async def receipt_body(self, receipt_id: str) -> bytes:
        """The receipt document; :class:`UnknownRecord` when there is none."""
        raise NotImplementedError

    async def store_received_receipt(self, receipt: ReceiptRecord, body: bytes, *, now: datetime) -> bool:
        """Keep a receipt that came in. False when its id is known."""
        raise NotImplementedError

    async def set_receipt_state(
        self, receipt_id: str, state: ReceiptState, *, now: datetime, deadline: datetime | None
    ) -> None:
        """Move a receipt on. Its deadline is what is given here: ``None`` takes it away."""
        raise NotImplementedError

    async def claim_work(self, *, now: datetime, lease: timedelta, limit: int) -> tuple[WorkItem, ...]:
        """Take over work that is due."""
        raise NotImplementedError

    async def schedule(self, kind: WorkKind, record_id: str, at: datetime) -> None:
        """Have something done at ``at``, instead of any earlier such plan."""
        raise NotImplementedError

    async def reschedule(self, kind: WorkKind, record_id: str, *, next_attempt: datetime) -> None:
        """Give claimed work back until ``next_attempt``."""
        raise NotImplementedError

    async def finish_work(self, kind: WorkKind, record_id: str) -> None:
        raise NotImplementedError

    async def next_due(self) -> datetime | None:
        """When the next work may be claimed, or ``None`` when none waits."""
        raise NotImplementedError

    async def cursor(self, name: str) -> int:
        """A position that was remembered under ``name``, 0 at first."""
        raise NotImplementedError

    async def set_cursor(self, name: str, value: int) -> None:
        raise NotImplementedError
