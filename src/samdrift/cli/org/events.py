"""Events of the commands about organisations and their keys."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class OrgEvent(AuditEvent):
    """An event that a command writes itself."""

    VAULT_LOGIN_ROTATED = "vault:login:rotated"
    """The vault's login at the database has a new password."""
    VAULT_LOCK_CHANGED = "vault:lock:changed"
    """The vault is unlocked by another party from now on: the operator, the organisation's officer or its
    token.
    """
    ORGANISATION_ADDED = "org:organisation:added"
    ORGANISATION_RESUMED = "org:organisation:resumed"
    KEYS_CREATED = "keys:key:created"
    KEYS_INSTALLED = "keys:certificate:installed"
    KEYS_ACTIVATED = "keys:key:activated"
    """The time from which a key is used was decided again."""
    KEYS_REVOKED = "keys:key:revoked"
    KEYS_PUBLICATION_WRITTEN = "keys:publication:written"
    KEYS_DATA_KEY_ROTATED = "keys:data-key:rotated"
    KEYS_LOG_KEY_ROTATED = "keys:log-key:rotated"
    KEYS_RESTORED = "keys:backup:restored"
    MT_MARKS_LOSS_ACCEPTED = "mt:marks:loss-accepted"
    """Two custodians have accepted that."""
