"""An organisation's vault in the message service: messages, receipts, and pending work on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from pathlib import Path

from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState, WorkKind
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import UnderWay
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.vault import messagerows
from samdrift.vault.bodies import Body, BodyReader
from samdrift.vault.database.session import Byteas, Row, Statement, Texts, call
from samdrift.vault.errors import NoKeyInUse, UnknownRecord
from samdrift.vault.forgetting import ForgettingVault
from samdrift.vault.holdings import HoldingsVault
from samdrift.vault.messagerows import MESSAGES, RECEIPTS, Place
from samdrift.vault.people import Identity, PersonRecord, all_persons, known_person
from samdrift.vault.records import (
    Changes,
    Digest,
    KeySet,
    MessageRecord,
    ReceiptRecord,
    Received,
    StatusEvent,
    WorkItem,
)
from samdrift.vault.sessionkeys import SessionKeys
from samdrift.wire.crypto.keys import TokenKey

_FINAL = [status.value for status in MessageStatus if status.final]

_STORE = call("store_message", 20)
_RECEIVE = call("receive_message", 22)
_TAKE = call("take_item", 2)
_PROCESSED = "SELECT FROM processed WHERE item = $1"
_MESSAGE = f"""{MESSAGES}
WHERE id = $1 AND ($2::text IS NULL OR direction = $2) AND details IS NOT NULL ORDER BY direction DESC LIMIT 1
"""
_SENT = f"{MESSAGES} WHERE id = ANY($1::text[]) AND direction = 'out' AND details IS NOT NULL"
_BODY = """
SELECT b.id, b.size, b.sealed FROM messages m JOIN bodies b ON b.id = m.body
WHERE m.id = $1 AND m.direction = $2
"""
_SET_STATUS = call("set_status", 9)
_ADD_EVENT = call("add_event", 4)
_EVENTS = """
SELECT at, status, details FROM status_events WHERE message = $1 AND direction = $2 ORDER BY number DESC
"""
_UNDER_WAY = """
SELECT w.id, coalesce(m.status = $1, true) FROM work w
LEFT JOIN messages m ON m.id = w.id AND m.direction = 'out' AND m.status = ANY($2)
LEFT JOIN receipts r ON r.id = w.id AND r.direction = 'out' AND r.state = $3
WHERE w.kind = $4 AND (m.id IS NOT NULL OR r.id IS NOT NULL) ORDER BY w.due_at LIMIT $5
"""
_DELETE = "SELECT deleted, remote FROM delete_message($1, $2)"
_DROP_CONTENT = "SELECT dropped, remote FROM drop_content($1, $2)"
_STORE_RECEIPT = call("store_receipt", 12)
_RECEIPT = f"{RECEIPTS} WHERE id = $1"
_RECEIPTS = f"{RECEIPTS} WHERE id = ANY($1::text[])"
_RECEIPT_FOR = f"""{RECEIPTS}
WHERE message = $1 AND ($2::text IS NULL OR direction = $2) ORDER BY created_at DESC LIMIT 1
"""
_MAILBOXES = """
WITH RECURSIVE found AS (
    (
        SELECT mailbox, id, direction FROM messages
        WHERE details IS NOT NULL AND size > 0 ORDER BY mailbox LIMIT 1
    )
    UNION ALL
    SELECT next.* FROM found, LATERAL (
        SELECT mailbox, id, direction FROM messages
        WHERE details IS NOT NULL AND size > 0 AND mailbox > found.mailbox ORDER BY mailbox LIMIT 1
    ) AS next
)
SELECT found.mailbox, known.address, early.id, early.direction, early.details FROM found
LEFT JOIN mailboxes known ON known.mark = found.mailbox
LEFT JOIN messages early ON known.mark IS NULL AND early.id = found.id AND early.direction = found.direction
    AND octet_length(early.details) < 65536
"""
"""Query for one message of each mailbox: each step looks up the next mailbox in the index.

The message provides the address of a mailbox not used since addresses have a table of their own.
"""
_EVENTS_OF = """
SELECT e.message, e.direction, e.at, e.status, e.details
FROM unnest($1::text[], $2::text[]) AS asked (message, direction)
JOIN status_events e ON e.message = asked.message AND e.direction = asked.direction ORDER BY e.number DESC
"""
_THESE = f"{MESSAGES} WHERE id = ANY($1::text[]) AND details IS NOT NULL AND size > 0"
MESSAGE_PROGRESS = "mt:message:"
"""Prefix of the names of events that are steps of a message (sql/message-steps-1.sql), and of some others."""
_STEPS = "SELECT sequence, message FROM message_steps WHERE sequence > $1 ORDER BY sequence LIMIT $2"
_SIZES = """
SELECT id, sum(octet_length(details)) FROM messages
WHERE id = ANY($1::text[]) AND details IS NOT NULL AND size > 0 GROUP BY id
"""
_RECEIPT_CONTENT = "SELECT content FROM receipts WHERE id = $1"
_SET_RECEIPT_STATE = call("set_receipt_state", 4)
_KEEP_DIGEST = call("keep_digest", 2)
_DIGEST = "SELECT sealed FROM digests WHERE commitment = $1"
_PLAN = call("plan_work", 4)
_POSTPONE = call("postpone_work", 3)
_CLAIM = "SELECT kind, id, attempts FROM claim_work($1, $2, $3)"
_RELEASE = call("release_work", 3)
_PARDONED = 5
"""Number of consecutive claims that may be lost with their process and still be released without waiting."""
_FINISH = call("finish_work", 2)
_NEXT_DUE = "SELECT min(due_at) FROM work"
_CURSOR = "SELECT value FROM cursors WHERE name = $1"
_SET_CURSOR = call("set_cursor", 2)
_USE = call("use_assertion", 3)


def _spellings(ids: Collection[str]) -> list[str]:
    """Return ids as given and in both cases: UUIDs are compared without regard to case (RFC 4122 3)."""
    return [spelled for each in ids for spelled in dict.fromkeys((each, each.lower(), each.upper()))]


class MessageServiceVault(SessionKeys, ForgettingVault, HoldingsVault):
    """The vault that is opened with role ``mt``.

    A message id is unique per direction: an organisation that writes to itself has both messages. If the
    direction is left out, the sent message is meant if there is one, otherwise the received one.
    """

    _role = Role.MESSAGE_SERVICE

    def keys(self) -> KeySet:
        """Return the organisation's own keys for protection between organisations.

        Raises :class:`NoKeyInUse` before there is a first key, and if all keys are revoked.
        """
        self._work.use()
        store, vault = self._room.keys, self._room.vault
        try:
            return KeySet(store.signing_key(vault), store.decryption_keys(vault))
        except KeyStoreError as error:
            if error.fault is KeyFault.MISSING:
                raise NoKeyInUse from None
            raise

    def tls_client(self) -> Callable[[], tuple[Path, str]]:
        """Return a function that returns the organisation's identity on interface C (R4): file and password.

        Each call returns those in use at that time.
        """
        self._work.use()
        return partial(self._room.keys.tls_client, self._room.vault)

    # --- messages ---------------------------------------------------------------------------------------

    async def create_outgoing(
        self, record: MessageRecord, body: Body, *, now: datetime, lease: timedelta | None
    ) -> bool:
        """Store a message to be sent, with its work; return false if its id is known.

        With a lease, the caller has claimed the work; without one, any process may claim it.
        """
        values = messagerows.message_values(record, body, self._sealer)
        then = [*self._new_mailbox(record, now), _planned(WorkKind.MESSAGE, record.id, now, lease)]
        ((created,),) = await self._work.decide(_STORE, *values, then=then)
        if created:
            self._keep(body)
            self._remember_mailbox(record, now)
            self._changed()
        return bool(created)

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
        """Store a received message and mark the access point's item as processed, all or nothing.

        A ``record`` without a body contains the facts of a message that was rejected. A receipt without a
        record answers a repeated message with a known id. The receipt is stored with its work, which the
        caller has claimed if there is a lease.
        """
        then = self._new_mailbox(record, now) if record is not None and body is not None else []
        if receipt is not None and receipt_body is not None:
            values = messagerows.receipt_values(receipt, receipt_body, now, self._sealer)
            then += [(_STORE_RECEIPT, values), _planned(WorkKind.RECEIPT, receipt.id, now, lease)]
        received = await self._take(record, body, item_id, now, then)
        if received is Received.STORED and record is not None and body is not None:
            self._keep(body)
            self._remember_mailbox(record, now)
            self._changed()
        return received

    async def was_processed(self, item_id: str) -> bool:
        """Return whether the access point's item has been processed."""
        return bool(await self._work.look(_PROCESSED, item_id))

    async def mark_processed(self, item_id: str, *, now: datetime) -> None:
        """Mark the access point's item as processed."""
        self._work.arrange(_TAKE, item_id, now)

    async def answered_by(
        self, item_id: str, message_id: str, *, now: datetime
    ) -> tuple[bool, MessageRecord | None]:
        """Mark a receipt at the access point as processed; return true and the sent message that it answers.

        The message is ``None`` if it is not known. Returns false and ``None`` if the item had already been
        processed.
        """
        asked: list[Statement] = [(_TAKE, (item_id, now)), (_SENT, (_spellings([message_id]),))]
        ((taken,),), rows = (await self._work.look_together(*asked))[-2:]
        if not taken:
            return False, None
        self._work.use()
        return True, self._by_id(rows, [message_id]).get(message_id)

    def _by_id(self, rows: Sequence[Row], named: Collection[str]) -> dict[str, MessageRecord]:
        """Return messages by their ids as they were ``named``, in upper or lower case."""
        found = {one.id: one for one in (messagerows.message(row, self._sealer) for row in rows)}
        spelled = {each: next((one for one in _spellings([each]) if one in found), None) for each in named}
        return {each: found[one] for each, one in spelled.items() if one is not None}

    async def message(self, message_id: str, direction: Direction | None = None) -> MessageRecord | None:
        rows = await self._work.query(_MESSAGE, message_id, direction and direction.value)
        return messagerows.message(rows[0], self._sealer) if rows else None

    async def messages(
        self,
        *,
        direction: Direction | None = None,
        statuses: Collection[MessageStatus] = (),
        sender_addresses: Sequence[str] = (),
        recipient_addresses: Sequence[str] = (),
        start: datetime | None = None,
        stop: datetime | None = None,
        mailboxes: Collection[str] | None = None,
        limit: int = 100,
        before: Place | None = None,
    ) -> tuple[MessageRecord, ...]:
        """Return messages that match every given filter, the newest first.

        Of several addresses or statuses, a message has to match one. ``start`` and ``stop`` are inclusive
        bounds on the message's own time stamp. ``mailboxes`` are addresses of the organisation: only messages
        in them are returned, without facts of refused ones. Long messages can make that result shorter than
        ``limit``, but it is never empty while there are more. ``before`` is the place of the last message on
        the previous page.
        """
        sealer = self._sealer
        query, values = messagerows.search(
            {
                "direction = {}::text": direction and direction.value,
                "status = ANY({}::text[])": [status.value for status in statuses] or None,
                **messagerows.of_addresses("sender_mark", sender_addresses, sealer),
                **messagerows.of_addresses("recipient_mark", recipient_addresses, sealer),
                "dated_at >= {}::timestamptz": start,
                "dated_at <= {}::timestamptz": stop,
            },
            None if mailboxes is None else [sealer.mark(address) for address in mailboxes],
            before,
            limit,
        )
        return tuple(messagerows.message(row, sealer) for row in await self._work.query(query, *values))

    async def mailboxes(self) -> tuple[str, ...]:
        """Return the organisation's own addresses in its messages, except those too long for clients."""
        rows = await self._work.query(_MAILBOXES)
        found = (messagerows.mailbox(row, self._sealer) for row in rows)
        return tuple(address for address in found if address is not None)

    async def changes(self, after: int, limit: int) -> Changes:
        """Return messages that were stored or moved on after a place in the log, except refused ones.

        The result is limited to what fits in memory. A query that finds no steps leaves no log entry.
        """
        steps = await self._work.peek(_STEPS, after, limit)
        if not steps:
            return Changes(after, ())
        self._work.use()
        moved: dict[str, int] = {message: sequence for sequence, message in steps}
        place = steps[-1][0]
        sizes: dict[str, int] = dict(await self._work.query(_SIZES, list(moved))) if moved else {}
        total, ids = 0, list[str]()
        for message_id in sorted(moved, key=moved.__getitem__):
            if total >= messagerows.MOST_BYTES:
                place = moved[ids[-1]]
                break
            total += sizes.get(message_id, 0)
            ids.append(message_id)
        rows = await self._work.query(_THESE, ids) if ids else ()
        records = [messagerows.message(row, self._sealer) for row in rows]
        found = sorted(((moved[record.id], record) for record in records), key=itemgetter(0))
        return Changes(place, tuple(found))

    async def body(self, message_id: str, direction: Direction) -> BodyReader:
        """Return a message's content; :class:`UnknownRecord` if there is no such message or no content."""
        body = await self._body(_BODY, message_id, direction.value)
        if body is None:
            raise UnknownRecord
        return body

    async def set_status(
        self,
        message_id: str,
        status: MessageStatus,
        events: Sequence[StatusEvent],
        *,
        now: datetime,
        deadline: datetime | None,
        direction: Direction,
        unless: Collection[MessageStatus] = (),
    ) -> bool:
        """Move a message on to a status, and finish the work that brought it there.

        The deadline of a sent message becomes ``deadline``; ``None`` removes it. A received message has no
        deadline, but its receipt does. Returns false, leaving the message unchanged, if it is not known or
        its status is final (:attr:`MessageStatus.final`) or in ``unless``.
        """
        ((moved,),) = await self._work.decide(
            _SET_STATUS,
            message_id,
            direction.value,
            status.value,
            Texts((*_FINAL, *(each.value for each in unless))),
            now,
            deadline,
            [event.at for event in events],
            Texts(event.status.value for event in events),
            Byteas(messagerows.sealed_event(event, message_id, direction, self._sealer) for event in events),
        )
        if moved:
            self._changed()
        return bool(moved)

    def add_event(self, message_id: str, event: StatusEvent, *, direction: Direction) -> None:
        """Add an event with the message's current status, which stays unchanged whatever ``event`` says.

        Nothing is stored if the message is not known, at the latest when the opening ends.
        """
        details = messagerows.sealed_event(event, message_id, direction, self._sealer)
        self._work.later(_ADD_EVENT, message_id, direction.value, event.at, details)

    async def status_events(self, message_id: str, direction: Direction) -> tuple[StatusEvent, ...]:
        """Return the steps of a message's life, the newest first."""
        rows = await self._work.query(_EVENTS, message_id, direction.value)
        return tuple(messagerows.status_event(row, message_id, direction, self._sealer) for row in rows)

    async def under_way(self, limit: int) -> tuple[UnderWay, ...]:
        """Return messages and receipts that the access point has, but has reported no outcome for.

        Everything that waits for the access point has a deadline, so that few rows are looked at.
        """
        rows = await self._work.look(
            _UNDER_WAY,
            MessageStatus.SCHEDULED_FOR_RESEND.value,
            [MessageStatus.SUBMITTED.value, MessageStatus.SCHEDULED_FOR_RESEND.value],
            ReceiptState.SUBMITTED.value,
            WorkKind.DEADLINE.value,
            limit,
        )
        return tuple(UnderWay(envelope_id, reported) for envelope_id, reported in rows)

    async def events_of(self, messages: Sequence[MessageRecord]) -> tuple[tuple[StatusEvent, ...], ...]:
        """Return the steps of each message's life, the newest first."""
        found: dict[tuple[str, str], list[StatusEvent]] = {(one.id, one.direction): [] for one in messages}
        ids, directions = [one.id for one in messages], [one.direction.value for one in messages]
        for message_id, direction, *row in await self._work.query(_EVENTS_OF, ids, directions):
            event = messagerows.status_event(tuple(row), message_id, direction, self._sealer)
            found[message_id, direction].append(event)
        return tuple(map(tuple, found.values()))

    async def delete(self, message_id: str, direction: Direction) -> bool:
        """Delete a message with its body and events; return false if there is none.

        Its id stays known. Its receipt and digests stay as long as the log that names them.
        """
        ((deleted, body),) = await self._work.query(_DELETE, message_id, direction.value)
        self._drop_object(body)
        return bool(deleted)

    async def drop_content(self, message_id: str, direction: Direction) -> bool:
        """Delete the content of a message and keep its facts; return false if it has no content."""
        ((dropped, body),) = await self._work.query(_DROP_CONTENT, message_id, direction.value)
        self._drop_object(body)
        return bool(dropped)

    # --- receipts ---------------------------------------------------------------------------------------

    async def receipt(self, receipt_id: str) -> ReceiptRecord | None:
        rows = await self._work.query(_RECEIPT, receipt_id)
        return messagerows.receipt(rows[0], self._sealer) if rows else None

    async def receipts(self, receipt_ids: Collection[str]) -> dict[str, ReceiptRecord]:
        """Return those of the given receipts that exist, by id."""
        rows = await self._work.query(_RECEIPTS, list(receipt_ids))
        return {record.id: record for record in (messagerows.receipt(row, self._sealer) for row in rows)}

    async def concerned(
        self, receipt_ids: Collection[str], message_ids: Collection[str]
    ) -> tuple[dict[str, ReceiptRecord], dict[str, MessageRecord]]:
        """Return those of the given receipts and sent messages that exist, by id, in one round trip.

        The ids of messages may be in upper or lower case.
        """
        self._work.use()
        ids = {_RECEIPTS: list(receipt_ids), _SENT: _spellings(message_ids)}
        asked: list[Statement] = [(sql, (named,)) for sql, named in ids.items() if named]
        rows = await self._work.look_together(*asked) if asked else []
        found = dict(zip((sql for sql, _ in asked), rows, strict=True))
        answers = [messagerows.receipt(row, self._sealer) for row in found.get(_RECEIPTS, ())]
        return {one.id: one for one in answers}, self._by_id(found.get(_SENT, ()), message_ids)

    async def receipt_for_message(
        self, message_id: str, direction: Direction | None = None
    ) -> ReceiptRecord | None:
        """Return the latest receipt for a message; ``direction`` is the receipt's own."""
        rows = await self._work.query(_RECEIPT_FOR, message_id, direction and direction.value)
        return messagerows.receipt(rows[0], self._sealer) if rows else None

    async def receipt_body(self, receipt_id: str) -> bytes:
        """Return the receipt document; :class:`UnknownRecord` if there is no such receipt."""
        rows = await self._work.query(_RECEIPT_CONTENT, receipt_id)
        if not rows:
            raise UnknownRecord
        return messagerows.receipt_content(rows[0][0], receipt_id, self._sealer)

    async def store_received_receipt(self, receipt: ReceiptRecord, body: bytes, *, now: datetime) -> bool:
        """Store a receipt that was received; return false if its id is known."""
        values = messagerows.receipt_values(receipt, body, now, self._sealer)
        ((stored,),) = await self._work.decide(_STORE_RECEIPT, *values)
        return bool(stored)

    async def set_receipt_state(
        self, receipt_id: str, state: ReceiptState, *, now: datetime, deadline: datetime | None
    ) -> None:
        """Move a receipt on to a state, and finish the work that brought it there.

        The receipt's deadline becomes ``deadline``; ``None`` removes it. A delivered or failed receipt keeps
        its state, except that a failed one can still become delivered. Raises :class:`UnknownRecord`, at the
        latest when the opening ends, if there is no such receipt.
        """
        self._work.later(_SET_RECEIPT_STATE, receipt_id, state.value, now, deadline)

    def keep_digest(self, sha256: bytes) -> str:
        """Store a sealed digest for as long as the log; return its commitment for the entry that names it."""
        digest = messagerows.salted(sha256)
        self._work.arrange(_KEEP_DIGEST, digest.commitment, messagerows.sealed_digest(digest, self._sealer))
        return digest.commitment

    async def digest(self, commitment: str) -> Digest | None:
        """Return the digest that a log entry commits to, or ``None`` if it is not stored."""
        rows = await self._work.query(_DIGEST, commitment)
        return messagerows.digest(rows[0][0], commitment, self._sealer) if rows else None

    def _changed(self) -> None:
        """Notify followers of the organisation's messages in this process, after the commit."""
        self._work.after_commit(self._room.tell)

    def _new_mailbox(self, record: MessageRecord, now: datetime) -> list[Statement]:
        """Return the statement that stores the message's mailbox, unless this process has stored it today."""
        if self._room.grounds.has(self._mailbox_name(record), now.date()):
            return []
        values = messagerows.mailbox_values(record.mailbox, self._sealer)
        return [] if values is None else [(messagerows.KNOW_MAILBOX, values)]

    def _remember_mailbox(self, record: MessageRecord, now: datetime) -> None:
        async def remember() -> None:
            self._room.grounds.add(self._mailbox_name(record), now.date())

        self._work.after_commit(remember)

    def _mailbox_name(self, record: MessageRecord) -> str:
        return f"mailbox {self._sealer.mark(record.mailbox).hex()}"

    async def _take(
        self,
        record: MessageRecord | None,
        body: Body | None,
        item_id: str,
        now: datetime,
        then: Sequence[Statement],
    ) -> Received:
        if record is None:
            ((taken,),) = await self._work.decide(_TAKE, item_id, now, then=then)
            return Received.STORED if taken else Received.DUPLICATE_DELIVERY
        values = messagerows.message_values(record, body, self._sealer)
        stored = Received.STORED.value
        ((outcome,),) = await self._work.decide(_RECEIVE, item_id, now, *values, outcome=stored, then=then)
        return Received(outcome)

    async def claim_work(self, *, now: datetime, lease: timedelta, limit: int) -> tuple[WorkItem, ...]:
        """Claim work that is due."""
        rows = await self._work.look(_CLAIM, now, now + lease, limit)
        return tuple(WorkItem(WorkKind(kind), record_id, attempts) for kind, record_id, attempts in rows)

    async def release_claims(self, ended: Collection[str], *, now: datetime) -> int:
        """Release work claimed by ended processes; return the number of items that may be claimed now.

        An item that loses its process repeatedly may itself be the cause, so it waits for its lease to end.
        """
        ((number,),) = await self._work.look(_RELEASE, list(ended), now, _PARDONED)
        return int(number)

    async def give_back_claims(self, *, now: datetime) -> int:
        """Release work that this process has claimed but no longer does; return the number of items."""
        ((number,),) = await self._work.look(_RELEASE, [self._room.claimant], now, None)
        return int(number)

    async def schedule(self, kind: WorkKind, record_id: str, at: datetime) -> None:
        """Schedule work at ``at``, in place of any earlier plan for it."""
        self._work.arrange(_PLAN, kind.value, record_id, at, 0)

    async def reschedule(self, kind: WorkKind, record_id: str, *, next_attempt: datetime) -> None:
        """Release the claim on work and schedule it for ``next_attempt``; do nothing if it is finished."""
        self._work.arrange(_POSTPONE, kind.value, record_id, next_attempt)

    async def finish_work(self, kind: WorkKind, record_id: str) -> None:
        """Remove finished work; do nothing if none was planned."""
        self._work.arrange(_FINISH, kind.value, record_id)

    async def next_due(self) -> datetime | None:
        """Return when the next work may be claimed, or ``None`` if none is waiting.

        This query alone leaves no log entry.
        """
        due: datetime | None = (await self._work.peek(_NEXT_DUE))[0][0]
        return due

    async def cursor(self, name: str) -> int:
        """Return the position that is stored under ``name``, 0 at first."""
        rows = await self._work.look(_CURSOR, name)
        return int(rows[0][0]) if rows else 0

    async def set_cursor(self, name: str, value: int) -> None:
        """Store a position under a name."""
        self._work.arrange(_SET_CURSOR, name, value)

    async def know_person(self, identity: Identity, *, now: datetime) -> str:
        """Return the random id of a person for whom a system acts, and assign one to a new person."""
        return await known_person(self._work, self._sealer, identity, now)

    async def persons(self) -> tuple[PersonRecord, ...]:
        """Return the people for whom systems have acted, in the order of their ids, which is arbitrary."""
        return await all_persons(self._work, self._sealer)

    def token_keys(self, *, now: datetime) -> tuple[TokenKey, ...]:
        """Return the organisation's keys for access tokens: the first signs, all of them verify."""
        self._work.use()
        return self._room.keys.token_keys(self._room.vault, now.date())

    async def use_assertion(self, mark: bytes, *, until: datetime, now: datetime) -> bool:
        """Mark an assertion, valid until ``until``, as used; return false if it already was (RFC 7523 3).

        ``mark`` identifies the client and the assertion's ``jti``.
        """
        ((fresh,),) = await self._work.decide(_USE, mark, until, now)
        return bool(fresh)


def _planned(kind: WorkKind, record_id: str, now: datetime, lease: timedelta | None) -> Statement:
    """Return the statement that plans work for now: claimed by the caller if it has a lease."""
    if lease is None:
        return _PLAN, (kind.value, record_id, now, 0)
    return _PLAN, (kind.value, record_id, now + lease, 1)
