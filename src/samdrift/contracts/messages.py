"""Code lists of a message's life in the message service, shared with its clients over interface D."""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    """Direction of a message, seen from the organisation."""

    OUT = "out"
    IN = "in"


class MessageStatus(StrEnum):
    """KV Meddelandestatus (api-mt-mk, "Meddelandestatus koder").

    Clauses: api-mt-mk message sentence 4, status sentence 1.
    """

    SCHEDULED = "SCHEDULED"
    SUBMITTED = "SUBMITTED"
    SCHEDULED_FOR_RESEND = "SCHEDULED_FOR_RESEND"
    ACKNOWLEDGE = "ACKNOWLEDGE"
    WAITING_FOR_RECEIPT = "WAITING_FOR_RECEIPT"
    MESSAGE_EXCHANGE_ERROR = "MESSAGE_EXCHANGE_ERROR"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    RETRIEVED = "RETRIEVED"
    RECEIPT_SENT = "RECEIPT_SENT"
    NEW = "NEW"
    ERROR = "ERROR"

    @property
    def final(self) -> bool:
        """Return whether the flow is over, so that a client may delete the message (api-mt-mk 3)."""
        return self in _FINAL


_FINAL = frozenset({MessageStatus.NEW, MessageStatus.ACCEPTED, MessageStatus.MESSAGE_EXCHANGE_ERROR})
"""Final statuses: an incoming message has one from the start, an outgoing one by its receipt or its end."""


class ReceiptState(StrEnum):
    """The life of a message receipt, the ones we send and the ones we get."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    DELIVERED = "delivered"
    FAILED = "failed"
    RECEIVED = "received"


class WorkKind(StrEnum):
    """Kinds of pending work for an organisation in the message service."""

    MESSAGE = "message"
    """Seal an outgoing message and hand it to the access point."""
    RECEIPT = "receipt"
    """Seal an outgoing receipt and hand it to the access point."""
    DEADLINE = "deadline"
    """Something awaited did not come in time (invariant 8)."""
