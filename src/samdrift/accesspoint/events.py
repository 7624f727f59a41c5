"""Events of the access point."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class APEvent(AuditEvent):
    """An event of an access point."""

    AP_TRANSFER_QUEUED = "ap:transfer:queued"
    AP_TRANSFER_DELIVERED = "ap:transfer:delivered"
    AP_TRANSFER_POSTPONED = "ap:transfer:postponed"
    AP_ENVELOPE_RECEIVED = "ap:envelope:received"
    AP_ENVELOPE_DUPLICATE = "ap:envelope:duplicate"
    AP_ENVELOPE_REFUSED = "ap:envelope:refused"
    AP_REFUSALS_COUNTED = "ap:envelope:refusals-counted"
    """More messages were refused than are logged individually; only in the operator's log."""
    AP_PEER_ALARM = "ap:peer:alarm"
    """A peer has sent more nonconforming messages than the operator tolerates without an alarm."""
    AP_ENVELOPE_ACKNOWLEDGED = "ap:envelope:acknowledged"
