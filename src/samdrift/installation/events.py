"""Events of an installation that runs."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class RunEvent(AuditEvent):
    """An event that a running installation writes."""

    LOG_RECONCILED = "log:reconciliation:made"
    """The organisation's logs here were compared with each other; has the outcome."""
    COVER_CHANGED = "gov:cover:changed"
    """The cover of a function is another one now, or ends within some days; in the operator's log, too."""
    MATTER_REMINDED = "gov:matter:reminded"
    """A decision, an answer or an account is waited for: the entry says which, and until when."""
    VAULT_UNLOCKED = "vault:lock:opened"
    """The organisation's officer has unlocked the vault in a running process."""
