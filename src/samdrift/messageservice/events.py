"""Events of the message service."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class MTEvent(AuditEvent):
    """An event of a message service."""

    MT_MESSAGE_SCHEDULED = "mt:message:scheduled"
    MT_MESSAGE_SUBMITTED = "mt:message:submitted"
    MT_MESSAGE_POSTPONED = "mt:message:postponed"
    MT_MESSAGE_ACKNOWLEDGED = "mt:message:acknowledged"
    MT_MESSAGE_ACCEPTED = "mt:message:accepted"
    MT_MESSAGE_REJECTED = "mt:message:rejected"
    MT_MESSAGE_FAILED = "mt:message:failed"
    MT_MESSAGE_RETRIEVED = "mt:message:retrieved"
    MT_MESSAGE_REFUSED = "mt:message:refused"
    MT_MESSAGE_LATE = "mt:message:late"
    """A step arrived for a message that already had a final status."""
    MT_MESSAGE_HELD = "mt:message:held"
    """A message waits for a service that is down; if it is outgoing, its sender is informed too."""
    MT_MALWARE_FOUND = "mt:malware:found"
    MT_SENDER_LIMITED = "mt:sender:limited"
    """Too many of a sender's envelopes were meaningless when decrypted; its further envelopes wait."""
    MT_SENDER_NOT_LISTED = "mt:sender:not-listed"
    """An accepted message came from a functional address that the copy of the address book lacks."""
    MT_MESSAGE_NEW = "mt:message:new"
    MT_MESSAGE_READ = "mt:message:read"
    MT_MESSAGE_DELETED = "mt:message:deleted"
    MT_MESSAGE_EVIDENCED = "mt:message:evidenced"
    """A message client received evidence about a message.

    If it includes the original, ``MT_MESSAGE_READ`` is logged too.
    """
    MT_RECEIPT_QUEUED = "mt:receipt:queued"
    MT_RECEIPT_SUBMITTED = "mt:receipt:submitted"
    MT_RECEIPT_ACKNOWLEDGED = "mt:receipt:acknowledged"
    MT_RECEIPT_FAILED = "mt:receipt:failed"
    MT_RECEIPT_RECEIVED = "mt:receipt:received"
    MT_RECEIPT_UNMATCHED = "mt:receipt:unmatched"
    MT_RECEIPT_REFUSED = "mt:receipt:refused"
    MT_TOKEN_ISSUED = "mt:token:issued"  # noqa: S105
    """A message client authenticated and received an access token."""
    MT_TOKEN_REFUSED = "mt:token:refused"  # noqa: S105
    MT_CLIENT_DENIED = "mt:client:denied"
    """A message client requested a record or an action that it has no right to."""


STEPS = frozenset(
    {
        MTEvent.MT_MESSAGE_SCHEDULED,
        MTEvent.MT_MESSAGE_SUBMITTED,
        MTEvent.MT_MESSAGE_POSTPONED,
        MTEvent.MT_MESSAGE_ACKNOWLEDGED,
        MTEvent.MT_MESSAGE_ACCEPTED,
        MTEvent.MT_MESSAGE_REJECTED,
        MTEvent.MT_MESSAGE_FAILED,
        MTEvent.MT_MESSAGE_RETRIEVED,
        MTEvent.MT_MESSAGE_NEW,
    }
)
"""Events that begin a message's life or move it forward."""
