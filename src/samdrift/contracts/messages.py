"""Code lists for the states of a message in the message service, shared with its clients over interface D."""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    """Direction of a message, seen from the organisation."""

    OUT = "out"
    IN = "in"


class MessageStatus(StrEnum):
    """Status of a message, from the code list KV Meddelandestatus (api-mt-mk, "Meddelandestatus koder").

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
        """Return whether the exchange is finished, so that a client may delete the message (api-mt-mk 3)."""
        return self in _FINAL


_FINAL = frozenset({MessageStatus.NEW, MessageStatus.ACCEPTED, MessageStatus.MESSAGE_EXCHANGE_ERROR})
"""Final statuses: an exchange ends with NEW if incoming, ACCEPTED if outgoing, or an error in either case."""


class ReceiptState(StrEnum):
    """State of a message receipt, whether sent or received."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    DELIVERED = "delivered"
    FAILED = "failed"
    RECEIVED = "received"


class WorkKind(StrEnum):
    """Kinds of pending work for an organisation in the message service."""

    MESSAGE = "message"
    """Sealing of an outgoing message, and its submission to the access point."""
    RECEIPT = "receipt"
    """Sealing of an outgoing receipt, and its submission to the access point."""
    DEADLINE = "deadline"
    """A deadline for something awaited has passed (invariant 8)."""
