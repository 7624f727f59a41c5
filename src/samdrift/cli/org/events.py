"""Events of the commands that manage organisations and their keys."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class OrgEvent(AuditEvent):
    """An event that a command records itself."""

    VAULT_LOGIN_ROTATED = "vault:login:rotated"
    """The vault's database login has a new password."""
    VAULT_LOCK_CHANGED = "vault:lock:changed"
    """The vault is opened by a different party: the operator, the organisation's officer or its token."""
    ORGANISATION_ADDED = "org:organisation:added"
    ORGANISATION_RESUMED = "org:organisation:resumed"
    KEYS_CREATED = "keys:key:created"
    KEYS_INSTALLED = "keys:certificate:installed"
    KEYS_ACTIVATED = "keys:key:activated"
    """The time from which a key is used was changed."""
    KEYS_REVOKED = "keys:key:revoked"
    KEYS_PUBLICATION_WRITTEN = "keys:publication:written"
    KEYS_DATA_KEY_ROTATED = "keys:data-key:rotated"
    KEYS_LOG_KEY_ROTATED = "keys:log-key:rotated"
    KEYS_RESTORED = "keys:backup:restored"
    MT_MARKS_LOSS_ACCEPTED = "mt:marks:loss-accepted"
    """Two custodians accepted the loss of marks."""
