"""Events of people's decisions about organisations, keys and logs."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class AdminEvent(AuditEvent):
    """A decision of people about an organisation, its keys or its log."""

    LOG_EXPORTED = "log:export:written"
    """All of the log was written to a file that others can verify."""
    LOG_KEPT_REMOVED = "log:kept:removed"
    """The log of a closed organisation was removed, since its time was over."""
    LOG_KEPT_HANDED_OVER = "log:kept:handed-over"
    """A person of a closed organisation got its kept log; the entry is the receipt for it."""
    LOG_CONTROL_RECORDED = "log:control:recorded"
    """The organisation has reviewed the log, with this outcome."""
    CUSTODY_CUSTODIAN_ADDED = "custody:custodian:added"
    CUSTODY_CUSTODIAN_REMOVED = "custody:custodian:removed"
    CUSTODY_RESTARTED = "custody:custodians:restarted"
    """Fewer than two custodians were left, and the operator begins again with two new ones."""
    CUSTODY_ASKED = "custody:request:asked"
    """One custodian asks for what takes two."""
    CUSTODY_APPROVED = "custody:request:approved"
    CUSTODY_AGREED = "custody:two-persons:agreed"
    """Two custodians agree, and it is done now."""
    CUSTODY_REFUSED = "custody:two-persons:refused"
    COMMAND_REFUSED = "org:command:refused"
    """A person was named without proof of being on the operator's staff; the command was not run."""
    ORGANISATION_COMMAND = "org:command:run"
    """One of the operator's staff ran a command about the organisation; the entry states which, and why."""
    ORGANISATION_CLOSING = "org:organisation:closing"
    """Two persons have decided that everything is destroyed."""
    ORGANISATION_CLOSED = "org:organisation:closed"
    """It is destroyed, and the operator has signed for that."""
    KEYS_SELF_CERTIFIED = "keys:key:self-certified"
    """A key was made and certified by itself, for a peer that is handed the certificate."""
    KEYS_RETIRED = "keys:key:retired"
    """A key was destroyed, permanently."""
    KEYS_BACKED_UP = "keys:backup:made"
    AP_PEER_REPORTED = "ap:peer:reported"
    """A report to DIGG about a peer was written."""
