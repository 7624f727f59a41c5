"""Log events that the vault writes itself."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class VaultEvent(AuditEvent):
    """A log event that the vault itself writes, for any caller."""

    LOG_KEY_ANNOUNCED = "log:key:announced"
    """A new key signs checkpoints from now on; signed by the previous key, if there was one."""
    LOG_WITNESS_REFUSED = "log:witness:refused"
    """A witness has seen a different history of the log: nothing is signed until people have decided."""
    LOG_WITNESS_RESOLVED = "log:witness:resolved"
    """Two people have decided on a witness's refusal; the log continues under another name."""
    LOG_SIGNING_PAUSED = "log:signing:paused"
    """A locked or suspended vault has stopped signing checkpoints; in the operator's log."""
    LOG_SIGNING_CONTINUED = "log:signing:continued"
    """The vault signs checkpoints again; in the operator's log."""
    VAULT_OPENING_GRANTED = "vault:opening:granted"
    VAULT_OPENING_DENIED = "vault:opening:denied"
    ORGANISATION_SUSPENDED = "org:organisation:suspended"
    ORGANISATION_MOVED_OUT = "org:database:moved-out"
    """The vaults of an organisation were moved into a separate database; in the operator's log."""
    ORGANISATION_MOVED_BACK = "org:database:moved-back"
    """The vaults were moved back into the installation's database; in the operator's log."""
    ORGANISATION_EXPORT_BEGUN = "org:organisation:export-begun"
    """Two people started an export of everything, for a recipient; its completion is a separate event."""
    ORGANISATION_EXPORTED = "org:organisation:exported"
    ORGANISATION_ENDED = "org:organisation:ended"
    """Unfinished work was ended because the organisation was closed here."""
    AP_TRANSFER_FAILED = "ap:transfer:failed"
    AP_TRANSFER_HASTENED = "ap:transfer:hastened"
    """The operator asked for an immediate attempt."""
    MT_MARKS_LOST = "mt:marks:lost"
    """The database was restored from a backup that does not know which session keys were used since."""
    GOV_STATEMENT_KEPT = "gov:statement:kept"
    """A signed statement was stored, in governance or as a role's copy; names its number and its SHA-256."""
    MK_SESSION_BEGUN = "mk:session:begun"
    """A person has signed in at the organisation's pages."""
    MK_SESSION_ENDED = "mk:session:ended"
