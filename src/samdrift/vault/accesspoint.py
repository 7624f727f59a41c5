"""An organisation's vault in the access point: transfers out, envelopes in, and the evidence of both."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import InboxItem, TransferEvent, TransferReason, TransferState
from samdrift.vault import logbook
from samdrift.vault.bodies import Body, BodyReader, body_values, new_id
from samdrift.vault.coverkeeping import CoverKeeping
from samdrift.vault.database.session import Row, Statement, Texts, Value, call
from samdrift.vault.errors import SealBroken, UnknownRecord
from samdrift.vault.forgetting import ForgettingVault
from samdrift.vault.grounds import JudgingVault
from samdrift.vault.holdings import HoldingsVault
from samdrift.vault.records import (
    Attempt,
    Backlog,
    IncomingEnvelope,
    OutgoingEnvelope,
    Transfer,
    TransferStatus,
)
from samdrift.vault.transferrows import error_text, event, reason_and_detail, submission, transfers
from samdrift.wire.identifiers import ParticipantIdentifier

_BY_ENVELOPE = """
SELECT tried.*, coalesce(t.spared, 0) FROM transfers_tried tried JOIN transfers t ON t.id = tried.id
WHERE tried.envelope_id = $1 ORDER BY tried.number
"""
_SUBMIT = call("submit", 16)
_CLAIM = """
SELECT claimed.*, coalesce(t.spared, 0) FROM claim_in_turn($1, $2, $3, $4, $5, $6) claimed
JOIN transfers t ON t.id = claimed.id ORDER BY claimed.created_at, claimed.id, claimed.number
"""
_RELEASE = call("release_transfers", 4)
_CUT_SHORT = error_text(TransferReason.NONE, "interrupted when its process ended; does not count")
_CUT_OFF = error_text(TransferReason.NONE, "interrupted by an outage; does not count")
_PARDONED = 5
"""Number of consecutive attempts cut short by the end of their process that do not count."""
_OUTGOING_BODY = """
SELECT b.id, b.size, b.sealed FROM transfers t JOIN bodies b ON b.id = t.body WHERE t.id = $1
"""
_END = "SELECT ended, remote FROM end_transfer($1, $2, $3, $4, $5, $6)"
_END_IN_ROW = "SELECT ended AND remote IS NULL FROM end_transfer($1, $2, $3, $4, $5, $6)"
"""The same for a transfer whose body is in its row, so that there is no object to remove."""
_POSTPONE = call("postpone", 4)
_SPARE = call("spare", 4)
_TELL = call("tell", 5)
_NEXT_DUE = "SELECT min(due_at) FROM transfers WHERE due_at IS NOT NULL"
_DUE_AFTER = "SELECT min(due_at) FROM transfers WHERE due_at > $1"
_EVENTS = """
SELECT e.sequence, e.at, t.envelope_id, t.id, t.as4_message_id, e.state, e.reason, e.detail
FROM events e JOIN transfers t ON t.id = e.transfer WHERE e.sequence > $1 ORDER BY e.sequence LIMIT $2
"""
_RECEIPT = "SELECT receipt FROM incoming WHERE as4_message_id = $1 AND peer = $2"
_ACCEPT = call("accept", 15)
_ITEM = """
id, envelope_id, sender, recipient, document, conversation_id, as4_message_id, peer, received_at, size
"""
_WAITS = """
FROM incoming
WHERE acknowledged_at IS NULL
  AND (received_at, id) > (coalesce((SELECT received_at FROM incoming WHERE id = $2), '-infinity'), $2)
ORDER BY received_at, id LIMIT $1
"""
_INBOX = f"SELECT {_ITEM} {_WAITS}"
_INBOX_WITH_BODIES = f"""
WITH waiting AS (SELECT {_ITEM}, body {_WAITS}),
    small AS (
        SELECT id AS item, body, sum(size) OVER (ORDER BY received_at, id) AS together
        FROM waiting WHERE size <= $3
    )
SELECT waiting.*, b.size, b.sealed FROM waiting
LEFT JOIN small ON small.item = waiting.id AND small.together <= $4
LEFT JOIN bodies b ON b.id = small.body AND b.sealed IS NOT NULL
ORDER BY waiting.received_at, waiting.id
"""  # noqa: S608
_FACTS = _ITEM.count(",") + 1
"""Number of columns of an inbox item without its envelope."""
_BODIES_TOGETHER = 1 << 20
"""Maximum total size, in bytes, of the envelopes returned together with inbox items."""
_INCOMING_BODY = """
SELECT b.id, b.size, b.sealed FROM incoming i JOIN bodies b ON b.id = i.body
WHERE i.id = $1 AND i.acknowledged_at IS NULL
"""
_KEEP_CERTIFICATE = call("keep_certificate", 2)
_CERTIFICATE = "SELECT certificate FROM peer_certificates WHERE sha256 = $1"
_ACKNOWLEDGE = "SELECT envelope, remote FROM acknowledge($1, $2)"
_ACKNOWLEDGE_EACH = """
SELECT gone.envelope, gone.remote FROM unnest($1::text[]) AS taken (item)
CROSS JOIN LATERAL acknowledge(taken.item, $2) AS gone WHERE gone.envelope IS NOT NULL
"""
_ACKNOWLEDGE_THESE = """
SELECT bool_and(gone.envelope IS NOT DISTINCT FROM taken.envelope AND gone.remote IS NULL)
FROM unnest($1::text[], $3::text[]) AS taken (item, envelope)
CROSS JOIN LATERAL acknowledge(taken.item, $2) AS gone
"""
"""The same, returning whether each envelope was waiting and stored in its row."""
_STATUS = """
SELECT t.id, t.envelope_id, t.as4_message_id, t.recipient, t.document, t.created_at, t.state, t.due_at,
       t.attempts - coalesce(t.spared, 0), coalesce(t.spared, 0), a.at, a.error
FROM transfers t LEFT JOIN attempts a ON a.transfer = t.id AND a.number = t.attempts
"""
_WAITING = f"{_STATUS} WHERE t.due_at IS NOT NULL ORDER BY t.due_at, t.id LIMIT $1"
_NAMED = f"{_STATUS} WHERE t.id = $1 UNION {_STATUS} WHERE t.envelope_id = $1"
_HAS_TRANSFER = "SELECT EXISTS (SELECT FROM transfers WHERE id = $1 OR envelope_id = $1)"
_BACKLOG = "SELECT count(*), min(created_at) FROM transfers WHERE due_at IS NOT NULL"
_ATTEMPTS = "SELECT at, NULL::bytea[], error FROM attempts WHERE transfer = $1 ORDER BY number"
_PROOF = "SELECT receipt FROM transfers WHERE id = $1 AND state = 'delivered'"
_HASTEN = call("hasten", 2)
_GIVE_UP = "SELECT stood, remote FROM give_up($1, $2, $3)"


class Standing(StrEnum):
    """The state of a transfer when the operator wants to act on it."""

    WAITING = "waiting"
    UNDER_WAY = "under-way"
    """An attempt is in progress."""
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class News:
    """News for a message service, and the ids of envelopes that it has taken over."""

    acknowledged: tuple[str, ...]
    """Ids of the envelopes that were deleted because the message service has them."""
    events: tuple[TransferEvent, ...]
    inbox: tuple[InboxItem, ...]


class AccessPointVault(JudgingVault, CoverKeeping, ForgettingVault, HoldingsVault):
    """An organisation's vault, opened in the access point role."""

    _role = Role.ACCESS_POINT

    async def submit(
        self,
        envelope: OutgoingEnvelope,
        body: Body,
        *,
        as4_message_id: str,
        now: datetime,
        lease: timedelta | None,
    ) -> tuple[Transfer, bool]:
        """Store an envelope to be sent; if its id is already known, return the earlier transfer and false.

        ``body`` is the envelope as AS4 sends it, with its digest. With a lease, the transfer is stored as
        claimed, and its first attempt begins at ``now``; without one, it waits in the queue.
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
        ((created,),) = await self._work.decide(_SUBMIT, *values)
        if created:
            self._keep(body)
            return transfer, True
        (known,) = transfers(await self._work.query(_BY_ENVELOPE, envelope.envelope_id))
        return known, False

    async def claim_transfers(
        self,
        *,
        now: datetime,
        lease: timedelta,
        limit: int,
        of_one: int | None = None,
        busy: Sequence[ParticipantIdentifier] = (),
        after: str = "",
    ) -> tuple[Transfer, ...]:
        """Claim transfers that are due, and begin a new attempt at each of them at ``now``.

        Recipients take turns, in the order of their identifiers and starting after ``after``. ``busy`` lists
        the recipient of each attempt under way; including the new ones, a recipient has at most ``of_one``
        attempts.
        """
        most_of_one = limit if of_one is None else of_one
        named = [each.value for each in busy]
        rows = await self._work.look(_CLAIM, now, now + lease, limit, most_of_one, named, after)
        return tuple(transfers(rows))

    async def release_claims(self, ended: Collection[str], *, now: datetime) -> int:
        """Release the transfers that ended processes had claimed; return how many can be claimed again.

        The interrupted attempts do not count. But a transfer to which this happens repeatedly may itself be
        what ends the processes: it waits until its lease ends, and its attempts count (invariant 8).
        """
        return await self._release(ended, now, _PARDONED)

    async def give_back_claims(self, *, now: datetime) -> int:
        """Release this process's own claims, on which it no longer works; return their number."""
        return await self._release([self._room.claimant], now, None)

    async def _release(self, ended: Collection[str], now: datetime, most: int | None) -> int:
        ((number,),) = await self._work.look(_RELEASE, list(ended), now, most, _CUT_SHORT)
        return int(number)

    def resume(self, transfers: Iterable[str], *, now: datetime) -> None:
        """Release claims after an outage interrupted their attempts, which do not count (invariant 8)."""
        for transfer_id in transfers:
            self._work.arrange(_SPARE, transfer_id, now, None, _CUT_OFF)

    async def outgoing_body(self, transfer_id: str) -> BodyReader:
        """Return the envelope of a transfer that is not final; :class:`UnknownRecord` otherwise."""
        body = await self._body(_OUTGOING_BODY, transfer_id)
        if body is None:
            raise UnknownRecord
        return body

    async def delivered(self, transfer_id: str, *, now: datetime, receipt: bytes, peer: str) -> bool:
        """Mark a transfer as delivered: keep the peer's receipt as evidence, and delete the body.

        Returns false if the transfer was already final. This can be used inside :meth:`suppose` if the body
        is small enough to be in its row (:data:`~samdrift.vault.bodies.IN_ROW`).
        """
        return await self._ended(transfer_id, now, TransferState.DELIVERED, receipt, peer)

    async def failed(self, transfer_id: str, *, now: datetime, reason: TransferReason, detail: str) -> bool:
        """Mark a transfer as failed for ``reason``, and delete its body; false if it was already final."""
        return await self._ended(transfer_id, now, TransferState.FAILED, reason=reason, detail=detail)

    async def _ended(
        self,
        transfer_id: str,
        now: datetime,
        state: TransferState,
        receipt: bytes | None = None,
        peer: str | None = None,
        *,
        reason: TransferReason = TransferReason.NONE,
        detail: str = "",
    ) -> bool:
        error = None if state is TransferState.DELIVERED else error_text(reason, detail)
        tell = _TELL, (transfer_id, now, state.value, reason.value, detail)
        values = transfer_id, state.value, now, receipt, peer, error
        statement = _END_IN_ROW if self._work.supposing else _END
        ((ended, *remote),) = await self._work.decide(statement, *values, last=[tell])
        if ended and remote:
            self._drop_object(remote[0])
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
        spared: bool = False,
    ) -> bool:
        """Release the claim and schedule the transfer for ``next_attempt``; false if the transfer is final.

        ``references`` are the references that this attempt signed. A ``spared`` attempt does not count.
        """
        signed, error = list(references) or None, error_text(reason, detail)
        statement = _SPARE if spared else _POSTPONE
        ((waits,),) = await self._work.query(statement, transfer_id, next_attempt, signed, error)
        if waits:
            self._tell(transfer_id, now, TransferState.QUEUED, reason, detail)
        return bool(waits)

    async def next_due(self) -> datetime | None:
        """Return when the next transfer may be claimed, or ``None`` if none is waiting.

        An opening used only for this leaves no entry in the log.
        """
        due: datetime | None = (await self._work.peek(_NEXT_DUE))[0][0]
        return due

    async def due_after(self, moment: datetime) -> datetime | None:
        """Return when the next transfer becomes due after a moment, or ``None`` if there is none.

        An opening used only for this leaves no entry in the log.
        """
        due: datetime | None = (await self._work.peek(_DUE_AFTER, moment))[0][0]
        return due

    async def events(self, after: int, limit: int) -> tuple[TransferEvent, ...]:
        """Return transfer events with a sequence number above ``after``, in the order of commit."""
        return tuple(map(event, await self._found(_EVENTS, after, limit)))

    async def known_receipt(self, as4_message_id: str, peer: str) -> bytes | None:
        """Return the receipt that ``peer`` was given for that message, if there is one."""
        rows = await self._found(_RECEIPT, as4_message_id, peer)
        return rows[0][0] if rows else None

    async def accept(self, item: IncomingEnvelope, body: Body, receipt: bytes, *, now: datetime) -> bool:
        """Store an incoming envelope and its receipt; false if that peer's message is already known."""
        ((stored,),) = await self._work.decide(
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

        Each certificate is stored once, however often its peer sends or receives; this process sends it to
        the database once a day.

        Clauses: component-accesspoint 3.4.1 sentence 1, sentence 2.
        """
        name, known, day = sha256(certificate).hexdigest(), self._room.grounds, now.date()
        if known.has(name, day):
            return
        self._work.arrange(_KEEP_CERTIFICATE, certificate, now)

        async def remember() -> None:
            known.add(name, day)

        self._work.after_commit(remember)

    async def certificate(self, sha256: str) -> bytes | None:
        """Return the peer's certificate with that SHA-256, in DER, or ``None`` if it is not kept."""
        rows = await self._work.query(_CERTIFICATE, sha256)
        return rows[0][0] if rows else None

    async def inbox(self, limit: int, past: str = "") -> tuple[InboxItem, ...]:
        """Return the envelopes that wait to be fetched, oldest first, starting after the item ``past``.

        Starts from the oldest if there is no item with that id.
        """
        return tuple(InboxItem(*row) for row in await self._found(_INBOX, limit, past))

    async def news(
        self,
        taken: Collection[str],
        *,
        after: int,
        past: str,
        limit: int,
        small: int,
        now: datetime,
    ) -> News:
        """Delete the waiting envelopes ``taken``; return :meth:`events` and :meth:`inbox`, in one round trip.

        If there is nothing to delete, that round trip also ends the opening.

        Envelopes of up to ``small`` bytes are returned with their items, if they are stored in their rows and
        within a limit for all together. An envelope that cannot be decrypted is left to
        :meth:`incoming_body`, so that it does not block the others.
        """
        asked = _news(after, past, limit, small)
        gone: list[list[Row]] = []
        if taken:
            self._work.use()
            asked.insert(0, (_ACKNOWLEDGE_EACH, (Texts(taken), now)))
            *gone, events, waiting = await self._work.look_together(*asked)
        else:
            events, waiting = await self._work.see(*asked)
        for _, remote in gone[0] if gone else ():
            self._drop_object(remote)
        items = await self._items(waiting)
        if taken and any(item.envelope is not None for item in items):
            self._work.show()
        return News(
            tuple(str(envelope) for envelope, _ in gone[0]) if gone else (),
            tuple(map(event, events)),
            items,
        )

    async def supposed_news(
        self,
        work: Callable[[], Awaitable[None]],
        taken: Mapping[str, str],
        *,
        after: int,
        past: str,
        limit: int,
        small: int,
        now: datetime,
    ) -> News | None:
        """Do ``work`` like :meth:`suppose`, then :meth:`news`, in the round trip that ends this opening.

        ``taken`` maps each item to its envelope; they are expected to be waiting and stored in their rows.
        Returns ``None`` if anything is not as expected: then nothing is done, and the opening shows nothing.
        """

        async def all_of_it() -> None:
            await work()
            if taken:
                await self._work.decide(_ACKNOWLEDGE_THESE, Texts(taken), now, Texts(taken.values()))

        found = await self._work.suppose_and_see(all_of_it, *_news(after, past, limit, small))
        if found is None:
            return None
        events, waiting = found
        return News(tuple(taken.values()), tuple(map(event, events)), await self._items(waiting))

    async def _items(self, rows: Sequence[Row]) -> tuple[InboxItem, ...]:
        return tuple([await self._item(*row) if len(row) > _FACTS else InboxItem(*row) for row in rows])

    async def _item(self, *row: Value) -> InboxItem:
        *facts, body, size, sealed = row
        item = InboxItem(*facts)
        if sealed is None:
            return item
        with contextlib.suppress(SealBroken):
            return replace(item, envelope=await BodyReader(self._room.shelf, body, size, sealed).read_all())
        return item

    async def incoming_body(self, item_id: str) -> BodyReader | None:
        """Return the waiting envelope with that id, or ``None``."""
        return await self._body(_INCOMING_BODY, item_id)

    async def acknowledge(self, item_id: str, *, now: datetime) -> str | None:
        """Delete a waiting envelope but keep its facts; return its id, or ``None`` if it was not waiting."""
        ((envelope_id, body),) = await self._work.query(_ACKNOWLEDGE, item_id, now)
        self._drop_object(body)
        return None if envelope_id is None else str(envelope_id)

    async def _found(self, sql: str, *values: Value) -> list[Row]:
        """Return the rows of a query; if there are any, the opening counts as used and is logged."""
        rows = await self._work.look(sql, *values)
        if rows:
            self._work.use()
        return rows

    def _tell(
        self, transfer_id: str, now: datetime, state: TransferState, reason: TransferReason, detail: str
    ) -> None:
        self._work.last(_TELL, transfer_id, now, state.value, reason.value, detail)

    async def waiting(self, limit: int) -> tuple[TransferStatus, ...]:
        """Return transfers that are not final, the next one to be attempted first."""
        return tuple(map(_status, await self._work.query(_WAITING, limit)))

    async def backlog(self) -> Backlog:
        """Return the number of transfers that are not final, and the time of the oldest."""
        ((number, oldest),) = await self._work.look(_BACKLOG)
        return Backlog(number, oldest)

    async def status(self, identifier: str) -> TransferStatus | None:
        """Return the status of a transfer by its own id or its envelope's, whatever its state."""
        rows = await self._work.query(_NAMED, identifier)
        return _status(rows[0]) if rows else None

    async def has_transfer(self, identifier: str) -> bool:
        """Return whether a transfer has that id or envelope id; reveals nothing, so leaves no log entry."""
        return bool((await self._work.peek(_HAS_TRANSFER, identifier))[0][0])

    async def attempts(self, transfer_id: str) -> tuple[Attempt, ...]:
        """Return every attempt at a transfer, in order, without the signed references."""
        return tuple(Attempt(*row) for row in await self._work.query(_ATTEMPTS, transfer_id))

    async def proof(self, transfer_id: str) -> bytes | None:
        """Return the peer's signed receipt for a delivered transfer: evidence that outlives the body."""
        rows = await self._work.query(_PROOF, transfer_id)
        return rows[0][0] if rows else None

    async def hasten(self, transfer_id: str, *, now: datetime) -> Standing:
        """Make a waiting transfer due for an attempt now; return its state before the call."""
        ((stood,),) = await self._work.query(_HASTEN, transfer_id, now)
        return Standing(stood or Standing.UNKNOWN)

    async def give_up(self, transfer_id: str, *, now: datetime, why: str) -> Standing:
        """End a waiting transfer as failed with ``GIVEN_UP``; return its state before the call.

        The body of a transfer that is ended is deleted.
        """
        ((stood, body),) = await self._work.query(_GIVE_UP, transfer_id, now, why)
        self._drop_object(body)
        return Standing(stood or Standing.UNKNOWN)

    async def refused(self, limit: int) -> tuple[LogEntry, ...]:
        """Return the log's entries about refused envelopes, the latest first."""
        return tuple(map(logbook.entry, await self._work.query(logbook.REFUSED, limit)))


def _news(after: int, past: str, limit: int, small: int) -> list[Statement]:
    """Return the queries for events and for the inbox; with small envelopes if ``small`` is not 0."""
    inbox: Statement = _INBOX, (limit, past)
    if small:
        inbox = _INBOX_WITH_BODIES, (limit, past, small, _BODIES_TOGETHER)
    return [(_EVENTS, (after, limit)), inbox]


def _status(row: Row) -> TransferStatus:
    transfer, envelope, as4, recipient, document, created_at, state, due, *counts, tried_at, error = row
    attempts, spared = counts
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
        spared,
    )
