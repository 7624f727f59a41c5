"""Events for people's decisions about organisations, keys and logs."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class AdminEvent(AuditEvent):
    """A decision by people about an organisation, its keys or its log."""

    LOG_EXPORTED = "log:export:written"
    """The whole log was written to a file that can be verified independently."""
    LOG_KEPT_REMOVED = "log:kept:removed"
    """The kept log of a closed organisation was removed, because its retention period is over."""
    LOG_KEPT_HANDED_OVER = "log:kept:handed-over"
    """A person of a closed organisation received its kept log; the entry is the receipt for it."""
    LOG_CONTROL_RECORDED = "log:control:recorded"
    """The organisation has reviewed the log, with this outcome."""
    CUSTODY_CUSTODIAN_ADDED = "custody:custodian:added"
    CUSTODY_CUSTODIAN_REMOVED = "custody:custodian:removed"
    CUSTODY_RESTARTED = "custody:custodians:restarted"
    """Fewer than two custodians were left, and the operator begins again with two new ones."""
    CUSTODY_ASKED = "custody:request:asked"
    """One custodian requests an operation that needs two."""
    CUSTODY_APPROVED = "custody:request:approved"
    CUSTODY_AGREED = "custody:two-persons:agreed"
    """Two custodians agree, and the operation is performed now."""
    CUSTODY_REFUSED = "custody:two-persons:refused"
    COMMAND_REFUSED = "org:command:refused"
    """A person named in a command was not proved to be on the operator's staff; it was not run."""
    ORGANISATION_COMMAND = "org:command:run"
    """One of the operator's staff ran a command about the organisation; the entry has command and reason."""
    ORGANISATION_CLOSING = "org:organisation:closing"
    """Two people have decided that everything of the organisation is destroyed."""
    ORGANISATION_CLOSED = "org:organisation:closed"
    """The organisation's data is destroyed, and the operator has signed the certificate."""
    KEYS_SELF_CERTIFIED = "keys:key:self-certified"
    """A key was created with a self-signed certificate, for a peer that receives the certificate."""
    KEYS_RETIRED = "keys:key:retired"
    """A key was destroyed, permanently."""
    KEYS_BACKED_UP = "keys:backup:made"
    AP_PEER_REPORTED = "ap:peer:reported"
    """A report to DIGG about a peer was written."""
