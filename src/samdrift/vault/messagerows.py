"""Conversion of the message service's records to rows and back, including their sealed parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest

from nacl.utils import random

from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState
from samdrift.vault.bodies import Body, body_values
from samdrift.vault.database.session import Row, Value, call
from samdrift.vault.records import Digest, MessageRecord, ReceiptRecord, StatusEvent
from samdrift.vault.sealing import Sealer
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.identifiers import ParticipantIdentifier

MESSAGES = """
SELECT id, direction, status, conversation_id, ref_to_message_id, sender, recipient, document, created_at,
       updated_at, dated_at, confidentiality, size, details
FROM messages
"""
RECEIPTS = """
SELECT id, message, direction, status, counterpart, document, conversation_id, state, created_at, address
FROM receipts
"""
_SELECTED, _ = MESSAGES.split("FROM")
_ORDER = "ORDER BY created_at DESC, id DESC, direction DESC"
NEWEST = f"{_ORDER} LIMIT"
Place = tuple[datetime, str, Direction]
"""Place of a message in that order: the moment at which it was stored, its id and its direction."""


KNOW_MAILBOX = call("know_mailbox", 2)
LONGEST_ADDRESS = 256
"""Maximum length of a functional address in the contract of interface D (recipientAttentionDef)."""

DETAILS = ("label", "sender_address", "recipient_address", "attributes")
"""Names of a message's sealed details, in this order; older rows have no attributes."""

SALT_BYTES = 32
"""Number of random bytes in front of a digest that the log commits to."""

MOST_BYTES = 8 << 20
"""Limit on the bytes of details that are read together; the last message may exceed it."""

_OF_MAILBOXES = """
SELECT found.* FROM unnest({marks}::bytea[]) AS own (mark) CROSS JOIN LATERAL ({each}) AS found {newest}
"""
_WITHIN = """
{selected} FROM (
    SELECT *, sum(octet_length(details)) OVER ({order}) - octet_length(details) AS before
    FROM ({found}) AS found
) AS measured WHERE before < {most} {order}
"""
"""Query for as many messages as the limit allows; the length of details is known without reading them."""


def of_addresses(column: str, addresses: Sequence[str], sealer: Sealer) -> dict[str, Value]:
    """Return the condition of a search for the given addresses.

    A single address is compared for equality and not as a list, so that the index also provides the order.
    """
    marks = [sealer.mark(address) for address in addresses]
    if len(marks) > 1:
        return {f"{column} = ANY({{}}::bytea[])": marks}
    return {f"{column} = {{}}::bytea": marks[0]} if marks else {}


def search(
    filters: Mapping[str, Value], mailboxes: Sequence[bytes] | None, before: Place | None, limit: int
) -> tuple[str, list[Value]]:
    """Return a query for the newest messages that match, and its values.

    ``filters`` maps conditions, with ``{}`` for the value, to values; conditions without a value are left
    out, so that the planner sees only what is asked. ``mailboxes`` are marks: the newest messages of each
    mailbox are selected before the newest of all, so that the size of other mailboxes makes no
    difference. The length of what senders write is not limited, so the result for mailboxes is limited to
    what fits in memory.
    """
    conditions, values = ["details IS NOT NULL"], list[Value]()
    for condition, value in filters.items():
        if value is not None:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))
    if before is not None:
        values += (before[0], before[1], before[2].value)
        at = len(values)
        place = f"(${at - 2}::timestamptz, ${at - 1}::text, ${at}::text)"
        conditions.append(f"(created_at, id, direction) < {place}")
    values.append(limit)
    newest = f"{NEWEST} ${len(values)}::int"
    found = f"{MESSAGES} WHERE {' AND '.join(conditions)}"
    if mailboxes is None:
        return f"{found} {newest}", values
    values.append(list(mailboxes))
    each = f"{found} AND size > 0 AND mailbox = own.mark {newest}"
    found = _OF_MAILBOXES.format(marks=f"${len(values)}", each=each, newest=newest)
    return _WITHIN.format(selected=_SELECTED, found=found, order=_ORDER, most=MOST_BYTES), values


def message_values(record: MessageRecord, body: Body | None, sealer: Sealer) -> tuple[Value, ...]:
    """Return a message as the arguments of ``store_message``."""
    details = [record.label, record.sender_address, record.recipient_address, record.attributes]
    direction = record.direction.value
    return (
        record.id,
        direction,
        record.status.value,
        record.conversation_id,
        record.ref_to_message_id,
        record.sender.value,
        record.recipient.value,
        sealer.mark(record.sender_address),
        sealer.mark(record.recipient_address),
        record.document,
        record.created_at,
        record.updated_at,
        record.dated_at,
        record.confidentiality,
        record.size,
        _sealed_details(details, record.id, direction, sealer),
        *body_values(body),
    )


def message(row: Row, sealer: Sealer) -> MessageRecord:
    """Return a message from a row of :data:`MESSAGES`."""
    (
        message_id,
        direction,
        status,
        conversation_id,
        ref_to_message_id,
        sender,
        recipient,
        document,
        created_at,
        updated_at,
        dated_at,
        confidentiality,
        size,
        details,
    ) = row
    label, sender_address, recipient_address, *attributes = _details(details, message_id, direction, sealer)
    return MessageRecord(
        id=message_id,
        direction=Direction(direction),
        status=MessageStatus(status),
        conversation_id=conversation_id,
        ref_to_message_id=ref_to_message_id,
        sender=ParticipantIdentifier(sender),
        recipient=ParticipantIdentifier(recipient),
        sender_address=sender_address,
        recipient_address=recipient_address,
        document=document,
        created_at=created_at,
        updated_at=updated_at,
        dated_at=dated_at,
        label=label,
        confidentiality=confidentiality,
        size=size,
        attributes=attributes[0] if attributes else "",  # absent in rows from before attributes were stored
    )


def mailbox_values(address: str, sealer: Sealer) -> tuple[Value, ...] | None:
    """Return a message's mailbox as arguments of ``know_mailbox``, or ``None`` if its address is too long.

    Clients cannot name an address of more than :data:`LONGEST_ADDRESS` characters.
    """
    if len(address) > LONGEST_ADDRESS:
        return None
    mark = sealer.mark(address)
    return mark, sealer.seal(address.encode(), f"mailbox {mark.hex()}")


def mailbox(row: Row, sealer: Sealer) -> str | None:
    """Return a mailbox's address, opened or taken from a message in it; ``None`` if the row has neither."""
    mark, address, message_id, direction, details = row
    if address is not None:
        return sealer.open(address, f"mailbox {mark.hex()}").decode()
    if details is None:
        return None
    _, sender_address, recipient_address, *_ = _details(details, message_id, direction, sealer)
    return sender_address if direction == Direction.OUT else recipient_address


def opened_details(
    sealed: bytes | None, message_id: str, direction: str, sealer: Sealer
) -> dict[str, str | None]:
    """Return the sealed details of a message, by name; for a deleted message, each is ``None``."""
    texts = [] if sealed is None else _details(sealed, message_id, direction, sealer)
    return dict(zip_longest(DETAILS, texts))


def sealed_details(facts: Mapping[str, str | None], message_id: str, direction: str, sealer: Sealer) -> bytes:
    """Seal the details of a message that is not deleted: the inverse of :func:`opened_details`."""
    texts = [text for name in DETAILS if (text := facts[name]) is not None]
    return _sealed_details(texts, message_id, direction, sealer)


def _details(sealed: bytes, message_id: str, direction: str, sealer: Sealer) -> list[str]:
    return _decode(sealer.open(sealed, f"message {direction} {message_id}"))


def _sealed_details(texts: list[str], message_id: str, direction: str, sealer: Sealer) -> bytes:
    return sealer.seal(_encode(texts), f"message {direction} {message_id}")


def sealed_event(event: StatusEvent, message_id: str, direction: Direction, sealer: Sealer) -> bytes:
    """Seal the texts of a status event for its message."""
    facts = {"title": event.title, "detail": event.detail, "path": event.path}
    return resealed_event(facts, message_id, direction, sealer)


def resealed_event(facts: Mapping[str, str], message_id: str, direction: str, sealer: Sealer) -> bytes:
    """Seal the texts of a status event, given by name: the inverse of :func:`opened_event`."""
    texts = [facts["title"], facts["detail"], facts["path"]]
    return sealer.seal(_encode(texts), f"status event {direction} {message_id}")


def status_event(row: Row, message_id: str, direction: Direction, sealer: Sealer) -> StatusEvent:
    """Return a status event from its time, status and sealed text."""
    at, status, details = row
    return StatusEvent(at, MessageStatus(status), **opened_event(details, message_id, direction, sealer))


def opened_event(sealed: bytes, message_id: str, direction: str, sealer: Sealer) -> dict[str, str]:
    """Return the texts of a status event, opened, by name."""
    title, detail, path = _decode(sealer.open(sealed, f"status event {direction} {message_id}"))
    return {"title": title, "detail": detail, "path": path}


def receipt_values(record: ReceiptRecord, content: bytes, now: datetime, sealer: Sealer) -> tuple[Value, ...]:
    """Return a receipt as the arguments of ``store_receipt``."""
    address = record.handling_service_id
    return (
        record.id,
        record.message_id,
        record.direction.value,
        record.status.value,
        record.counterpart.value,
        record.document,
        record.conversation_id,
        record.state.value,
        record.created_at,
        now,
        sealed_address(address, record.id, sealer),
        sealed_receipt(content, record.id, sealer),
    )


def receipt(row: Row, sealer: Sealer) -> ReceiptRecord:
    """Return a receipt from a row of :data:`RECEIPTS`."""
    (
        receipt_id,
        message_id,
        direction,
        status,
        counterpart,
        document,
        conversation_id,
        state,
        created_at,
        address,
    ) = row
    return ReceiptRecord(
        id=receipt_id,
        message_id=message_id,
        direction=Direction(direction),
        status=ReceiptStatus(status),
        counterpart=ParticipantIdentifier(counterpart),
        document=document,
        handling_service_id=receipt_address(address, receipt_id, sealer),
        conversation_id=conversation_id,
        state=ReceiptState(state),
        created_at=created_at,
    )


def receipt_address(sealed: bytes | None, receipt_id: str, sealer: Sealer) -> str | None:
    """Return the functional address that a receipt is about, if it has one."""
    return None if sealed is None else sealer.open(sealed, f"receipt address {receipt_id}").decode()


def sealed_address(address: str | None, receipt_id: str, sealer: Sealer) -> bytes | None:
    """Seal the functional address of a receipt: the inverse of :func:`receipt_address`."""
    return None if address is None else sealer.seal(address.encode(), f"receipt address {receipt_id}")


def sealed_receipt(content: bytes, receipt_id: str, sealer: Sealer) -> bytes:
    """Seal a receipt document: the inverse of :func:`receipt_content`."""
    return sealer.seal(content, f"receipt {receipt_id}")


def receipt_content(sealed: bytes, receipt_id: str, sealer: Sealer) -> bytes:
    """Return the receipt document, opened."""
    return sealer.open(sealed, f"receipt {receipt_id}")


def salted(sha256: bytes) -> Digest:
    """Return a digest with a random salt of its own, so that its commitment is unique."""
    return Digest(random(SALT_BYTES), sha256)


def sealed_digest(digest: Digest, sealer: Sealer) -> bytes:
    """Seal a digest with its salt: the inverse of :func:`digest`."""
    return sealer.seal(digest.salt + digest.sha256, f"digest {digest.commitment}")


def digest(sealed: bytes, commitment: str, sealer: Sealer) -> Digest:
    """Return the digest of a commitment, opened."""
    opened = sealer.open(sealed, f"digest {commitment}")
    return Digest(opened[:SALT_BYTES], opened[SALT_BYTES:])


def _encode(texts: list[str]) -> bytes:
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _decode(data: bytes) -> list[str]:
    texts: list[str] = json.loads(data)
    return texts
