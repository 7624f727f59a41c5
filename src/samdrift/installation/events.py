"""Events of an installation that runs."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class RunEvent(AuditEvent):
    """An event that a running installation writes."""

    LOG_RECONCILED = "log:reconciliation:made"
    """The organisation's logs here were compared with each other, and what came of it."""
    VAULT_UNLOCKED = "vault:lock:opened"
    """The organisation's officer has unlocked the vault in a running process."""
