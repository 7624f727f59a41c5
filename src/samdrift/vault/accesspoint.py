"""An organisation's vault in the access point: transfers out, envelopes in, evidence of both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from samdrift.contracts.transfer import InboxItem, TransferEvent, TransferReason, TransferState
from samdrift.vault.bodies import Body, BodyReader, body_values
from samdrift.vault.database.session import call
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.ids import new_id
from samdrift.vault.records import Attempt, IncomingEnvelope, OutgoingEnvelope, Transfer
from samdrift.vault.transferqueue import TransferQueue
from samdrift.vault.transferrows import error_text, event, submission, transfers

_BY_ENVELOPE = "SELECT * FROM transfers_tried WHERE envelope_id = $1 ORDER BY number"
_SUBMIT = call("submit", 16)
_CLAIM = "SELECT * FROM claim_transfers($1, $2, $3)"
_OUTGOING_BODY = """
SELECT b.id, b.size, b.sealed FROM transfers t JOIN bodies b ON b.id = t.body WHERE t.id = $1
"""
_END = "SELECT ended, remote FROM end_transfer($1, $2, $3, $4, $5, $6)"
_POSTPONE = call("postpone", 4)
_TELL = call("tell", 5)
_NEXT_DUE = "SELECT min(due_at) FROM transfers WHERE due_at IS NOT NULL"
_EVENTS = """
SELECT e.sequence, e.at, t.envelope_id, t.id, t.as4_message_id, e.state, e.reason, e.detail
FROM events e JOIN transfers t ON t.id = e.transfer WHERE e.sequence > $1 ORDER BY e.sequence LIMIT $2
"""
_RECEIPT = "SELECT receipt FROM incoming WHERE as4_message_id = $1 AND peer = $2"
_ACCEPT = call("accept", 15)
_INBOX = """
SELECT id, envelope_id, sender, recipient, document, conversation_id, as4_message_id, peer, received_at, size
FROM incoming
WHERE acknowledged_at IS NULL
  AND (received_at, id) > (coalesce((SELECT received_at FROM incoming WHERE id = $2), '-infinity'), $2)
ORDER BY received_at, id LIMIT $1
"""
_INCOMING_BODY = """
SELECT b.id, b.size, b.sealed FROM incoming i JOIN bodies b ON b.id = i.body
WHERE i.id = $1 AND i.acknowledged_at IS NULL
"""
_KEEP_CERTIFICATE = call("keep_certificate", 2)
_CERTIFICATE = "SELECT certificate FROM peer_certificates WHERE sha256 = $1"
_ACKNOWLEDGE = "SELECT envelope, remote FROM acknowledge($1, $2)"


class AccessPointVault(TransferQueue):
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

        ``body`` is the envelope as AS4 sends it, with its digest.
        With a lease it is born claimed with its first attempt begun at ``now``;
        without one it waits in the queue.
        """
        if body.sha256 is None:
            raise ValueError("a transfer needs the digest of its body")
        attempts = () if lease is None else (Attempt(now),)
        transfer = Transfer(
            new_id(),
            envelope,
            as4_message_id,
            now,
            TransferState.QUEUED,
            attempts,
            body.size,
            body.sha256,
        )
        claimed_until = None if lease is None else now + lease
        values = submission(transfer, claimed_until, body)
        ((created,),) = await self._work.query(_SUBMIT, *values)
        if created:
            self._keep(body)
            return transfer, True
        (known,) = transfers(await self._work.query(_BY_ENVELOPE, envelope.envelope_id))
        return known, False

    async def claim_transfers(self, *, now: datetime, lease: timedelta, limit: int) -> tuple[Transfer, ...]:
        """Take over transfers that are due, each with a new attempt begun at ``now``."""
        return tuple(transfers(await self._work.query(_CLAIM, now, now + lease, limit)))

    async def outgoing_body(self, transfer_id: str) -> BodyReader:
        """The envelope of a transfer that is not final; :class:`UnknownRecord` otherwise."""
        body = await self._body(_OUTGOING_BODY, transfer_id)
        if body is None:
            raise UnknownRecord
        return body

    async def delivered(self, transfer_id: str, *, now: datetime, receipt: bytes, peer: str) -> bool:
        """Final: keep the peer's receipt as evidence and delete the body. False when it was final before."""
        state = TransferState.DELIVERED
        ((ended, body),) = await self._work.query(_END, transfer_id, state.value, now, receipt, peer, None)
        if ended:
            self._drop_object(body)
            self._tell(transfer_id, now, state, TransferReason.NONE, "")
        return bool(ended)

    async def failed(self, transfer_id: str, *, now: datetime, reason: TransferReason, detail: str) -> bool:
        """Final: given up for ``reason``; the body is deleted. False when it was final before."""
        state, error = TransferState.FAILED, error_text(reason, detail)
        ((ended, body),) = await self._work.query(_END, transfer_id, state.value, now, None, None, error)
        if ended:
            self._drop_object(body)
            self._tell(transfer_id, now, state, reason, detail)
        return bool(ended)

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
        """Give the claim back until ``next_attempt``; ``references`` is what this attempt had signed.

        False when the transfer is final.
        """
        signed, error = list(references) or None, error_text(reason, detail)
        ((waits,),) = await self._work.query(_POSTPONE, transfer_id, next_attempt, signed, error)
        if waits:
            self._tell(transfer_id, now, TransferState.QUEUED, reason, detail)
        return bool(waits)

    async def next_due(self) -> datetime | None:
        """When the next transfer may be claimed, or ``None`` when none waits."""
        due: datetime | None = (await self._work.query(_NEXT_DUE))[0][0]
        return due

    async def events(self, after: int, limit: int) -> tuple[TransferEvent, ...]:
        """What happened to transfers, with a sequence over ``after``; in the order of commit."""
        return tuple(map(event, await self._work.query(_EVENTS, after, limit)))

    async def known_receipt(self, as4_message_id: str, peer: str) -> bytes | None:
        """The receipt that was given to ``peer`` for that message, if any."""
        rows = await self._work.query(_RECEIPT, as4_message_id, peer)
        return rows[0][0] if rows else None

    async def accept(self, item: IncomingEnvelope, body: Body, receipt: bytes, *, now: datetime) -> bool:
        """Store an envelope that came in and the receipt for it. False when that peer's message is known."""
        ((stored,),) = await self._work.query(
            _ACCEPT,
            new_id(),
            item.peer,
            item.as4_message_id,
            item.envelope_id,
            item.conversation_id,
            item.sender,
            item.recipient,
            item.document,
            item.certificate,
            now,
            receipt,
            *body_values(body),
        )
        if stored:
            self._keep(body)
        return bool(stored)

    def keep_certificate(self, certificate: bytes, *, now: datetime) -> None:
        """Keep a peer's certificate, in DER, for as long as the log that names it by its SHA-256.

        Each is stored once, however often its peer sends or receives.

        Clauses: component-accesspoint 3.4.1 sentence 1, sentence 2.
        """
        self._work.later(_KEEP_CERTIFICATE, certificate, now)

    async def certificate(self, sha256: str) -> bytes | None:
        """Return the peer's certificate, in DER, that the log names by that SHA-256, if it is kept."""
        rows = await self._work.query(_CERTIFICATE, sha256)
        return rows[0][0] if rows else None

    async def inbox(self, limit: int, past: str = "") -> tuple[InboxItem, ...]:
        """Envelopes that wait to be fetched, the oldest first, from the one after the item ``past``.

        All of them when no item ever had that id.
        """
        return tuple(InboxItem(*row) for row in await self._work.query(_INBOX, limit, past))

    async def incoming_body(self, item_id: str) -> BodyReader | None:
        """A waiting envelope, or ``None`` when none waits under that id."""
        return await self._body(_INCOMING_BODY, item_id)

    async def acknowledge(self, item_id: str, *, now: datetime) -> str | None:
        """Delete a waiting envelope and keep its facts; gives the envelope's id, ``None`` when none waits."""
        ((envelope_id, body),) = await self._work.query(_ACKNOWLEDGE, item_id, now)
        self._drop_object(body)
        return None if envelope_id is None else str(envelope_id)

    def _tell(
        self, transfer_id: str, now: datetime, state: TransferState, reason: TransferReason, detail: str
    ) -> None:
        self._work.last(_TELL, transfer_id, now, state.value, reason.value, detail)
