"""An organisation's vault in the access point: transfers out, envelopes in, evidence of both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from samdrift.contracts.transfer import InboxItem, TransferEvent, TransferReason
from samdrift.vault.bodies import Body, BodyReader
from samdrift.vault.opening import Vault
from samdrift.vault.records import IncomingEnvelope, OutgoingEnvelope, Transfer


class AccessPointVault(Vault):
    """Opened with role ``ap``."""

    async def submit(
        self,
        envelope: OutgoingEnvelope,
        body: Body,
        *,
        as4_message_id: str,
        now: datetime,
        lease: timedelta | None,
    ) -> tuple[Transfer, bool]:
        """Store an envelope to be sent; the one stored before, and false, when its id is known.

        With a lease it is born claimed with its first attempt begun at ``now``;
        without one it waits in the queue.
        """
        raise NotImplementedError

    async def claim_transfers(self, *, now: datetime, lease: timedelta, limit: int) -> tuple[Transfer, ...]:
        """Take over transfers that are due, each with a new attempt begun at ``now``."""
        raise NotImplementedError

    async def outgoing_body(self, transfer_id: str) -> BodyReader:
        """The envelope of a transfer that is not final; :class:`UnknownRecord` otherwise."""
        raise NotImplementedError

    async def delivered(self, transfer_id: str, *, now: datetime, receipt: bytes, peer: str) -> bool:
        """Final: keep the peer's receipt as evidence and delete the body. False when it was final before."""
        raise NotImplementedError

    async def postpone(
        self,
        transfer_id: str,
        *,
        now: datetime,
        next_attempt: datetime,
        reason: TransferReason,
        detail: str,
        references: Sequence[bytes] = (),
    ) -> bool:
        """Give the claim back until ``next_attempt``; ``references`` is what this attempt had signed."""
        raise NotImplementedError

    async def failed(self, transfer_id: str, *, now: datetime, reason: TransferReason, detail: str) -> bool:
        """Final: given up for ``reason``; the body is deleted. False when it was final before."""
        raise NotImplementedError

    async def next_due(self) -> datetime | None:
        """When the next transfer may be claimed, or ``None`` when none waits."""
        raise NotImplementedError

    async def events(self, after: int, limit: int) -> tuple[TransferEvent, ...]:
        """What happened to transfers, with a sequence over ``after``; in the order of commit."""
        raise NotImplementedError

    async def known_receipt(self, as4_message_id: str, peer: str) -> bytes | None:
        """The receipt that was given to ``peer`` for that message, if any."""
        raise NotImplementedError

    async def accept(self, item: IncomingEnvelope, body: Body, receipt: bytes, *, now: datetime) -> bool:
        """Store an envelope that came in and the receipt for it. False when that peer's message is known."""
        raise NotImplementedError

    async def inbox(self, limit: int) -> tuple[InboxItem, ...]:
        """Envelopes that wait to be fetched, the oldest first."""
        raise NotImplementedError

    async def incoming_body(self, item_id: str) -> BodyReader | None:
        """A waiting envelope, or ``None`` when none waits under that id."""
        raise NotImplementedError

    async def acknowledge(self, item_id: str, *, now: datetime) -> str | None:
        """Delete a waiting envelope and keep its facts; gives the envelope's id, ``None`` when none waits."""
        raise NotImplementedError
