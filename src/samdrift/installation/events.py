"""Events of a running installation."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class RunEvent(AuditEvent):
    """An audit event that a running installation writes."""

    LOG_RECONCILED = "log:reconciliation:made"
    """The organisation's logs in this installation were compared with each other; includes the outcome."""
    COVER_CHANGED = "gov:cover:changed"
    """The cover of a function changed or ends within some days; recorded in the operator's log, too."""
    MATTER_REMINDED = "gov:matter:reminded"
    """A decision, an answer or an account is awaited; the entry states which one, and until when."""
    VAULT_UNLOCKED = "vault:lock:opened"
    """The organisation's officer unlocked the vault in a running process."""
