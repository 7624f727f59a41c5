"""Names of everything that is logged, as ``source:subject:action``.

A name says which part saw it, what it concerns and what happened; the facts of
an entry say the rest. One enum, so that a search for a name finds every place
that writes it.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Retention(IntEnum):
    """Classes of entries by how long their facts are kept; a number never gets another meaning.

    The database gives an entry its class, by the same rule (``vault/sql/salted-log-1.sql``).
    """

    LOG = 0
    """About the log itself: never disposed of."""
    TRANSFER = 1
    """The way of a message or receipt."""
    READING = 2
    """A sight of a message's content."""
    ACCESS = 3
    """A vault was opened or denied, an access token issued or refused."""
    ADMINISTRATION = 4
    """Decisions of people, and all that is not known."""


class AuditEvent(StrEnum):
    """An event in an organisation's log or in the operator's."""

    LOG_TREE_BEGUN = "log:tree:begun"
    """From here on entries are leaves of a tree; names the head of the chain before it."""
    LOG_EXPORTED = "log:export:written"
    """All of the log was written to a file, for whom it concerns to verify."""
    LOG_NAMES_WRITTEN = "log:names:written"
    """The names of the persons in the logs were written, encrypted for whom the organisation chose."""
    LOG_RECONCILED = "log:reconciliation:made"
    """The organisation's logs here were compared with each other, and what came of it."""
    LOG_CONTROL_RECORDED = "log:control:recorded"
    """The organisation has looked through the log, and this is what came of it."""
    LOG_FACTS_DISPOSED = "log:facts:disposed"
    """The facts of all entries of a class, up to a number, are disposed of by this decision."""

    LOG_KEY_ANNOUNCED = "log:key:announced"
    """The key that checkpoints are signed with from here on; by the key before it, where there was one."""
    LOG_KEY_STATED = "log:key:stated"
    """Its organisation, or whoever speaks for it, has signed that a key is this log's."""
    LOG_STAMPED = "log:stamp:kept"
    """A time-stamping authority has stamped a checkpoint; names the stamp by its SHA-256."""
    LOG_WITNESS_REFUSED = "log:witness:refused"
    """A witness has seen another history of the log: nothing is signed until people have decided."""
    LOG_WITNESS_RESOLVED = "log:witness:resolved"
    """Two people have decided about that; the log goes on under another name."""
    LOG_SIGNING_PAUSED = "log:signing:paused"
    """A locked or suspended vault signs no checkpoints; in the operator's log."""
    LOG_SIGNING_CONTINUED = "log:signing:continued"
    """The vault signs checkpoints again; in the operator's log."""

    VAULT_OPENING_GRANTED = "vault:opening:granted"
    VAULT_OPENING_DENIED = "vault:opening:denied"
    VAULT_LOGIN_ROTATED = "vault:login:rotated"
    """The vault's login at the database has a new password."""
    VAULT_UNLOCKED = "vault:lock:opened"
    """The organisation's officer has unlocked the vault in a running process."""
    VAULT_LOCK_CHANGED = "vault:lock:changed"
    """The vault is unlocked by another party from now on: the operator, the organisation's officer or its
    token.
    """

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

    ORGANISATION_ADDED = "org:organisation:added"
    ORGANISATION_SUSPENDED = "org:organisation:suspended"
    ORGANISATION_RESUMED = "org:organisation:resumed"
    ORGANISATION_EXPORT_BEGUN = "org:organisation:export-begun"
    """Two persons have all of it read, for a recipient; whether it came to an end is told apart."""
    ORGANISATION_EXPORTED = "org:organisation:exported"
    ORGANISATION_IMPORT_BEGUN = "org:organisation:import-begun"
    ORGANISATION_IMPORTED = "org:organisation:imported"
    ORGANISATION_EVIDENCE_EXPORTED = "org:evidence:exported"
    ORGANISATION_TRACED = "org:trace:shown"
    """The way of a message was shown to a person of the operator's, and why."""
    ORGANISATION_CLOSING = "org:organisation:closing"
    """Two persons have decided that everything is destroyed."""
    ORGANISATION_ENDED = "org:organisation:ended"
    """Something that was under way, since the organisation was closed here."""
    ORGANISATION_CLOSED = "org:organisation:closed"
    """It is destroyed, and the operator has signed for that."""
    ISOLATION_CHECKED = "isolation:checked"
    """The operator has tried to cross from one organisation to another, and what came of it."""

    KEYS_CREATED = "keys:key:created"
    KEYS_INSTALLED = "keys:certificate:installed"
    KEYS_SELF_CERTIFIED = "keys:key:self-certified"
    """A key was made and certified by itself, for a peer that is handed the certificate."""
    KEYS_ACTIVATED = "keys:key:activated"
    """From when a key is used was decided again."""
    KEYS_REVOKED = "keys:key:revoked"
    KEYS_RETIRED = "keys:key:retired"
    """A key is destroyed, permanently."""
    KEYS_PUBLICATION_WRITTEN = "keys:publication:written"
    KEYS_DATA_KEY_ROTATED = "keys:data-key:rotated"
    KEYS_BACKED_UP = "keys:backup:made"
    KEYS_RESTORED = "keys:backup:restored"

    AP_TRANSFER_QUEUED = "ap:transfer:queued"
    AP_TRANSFER_DELIVERED = "ap:transfer:delivered"
    AP_TRANSFER_POSTPONED = "ap:transfer:postponed"
    AP_TRANSFER_FAILED = "ap:transfer:failed"
    AP_TRANSFER_HASTENED = "ap:transfer:hastened"
    """The operator asked for an attempt now."""
    AP_ENVELOPE_RECEIVED = "ap:envelope:received"
    AP_ENVELOPE_DUPLICATE = "ap:envelope:duplicate"
    AP_ENVELOPE_REFUSED = "ap:envelope:refused"
    AP_REFUSALS_COUNTED = "ap:envelope:refusals-counted"
    """More messages were refused than are logged one by one; in the operator's log alone."""
    AP_PEER_ALARM = "ap:peer:alarm"
    """A peer has sent more messages that do not conform than the operator lets pass without a look."""
    AP_PEER_REPORTED = "ap:peer:reported"
    """A report to DIGG about a peer was written."""
    AP_ENVELOPE_ACKNOWLEDGED = "ap:envelope:acknowledged"

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
    """A step came for a message that had a final status already."""
    MT_MESSAGE_HELD = "mt:message:held"
    """It waits for a service that is down: its sender or, of one that came in, the log says for which."""
    MT_MALWARE_FOUND = "mt:malware:found"
    MT_SENDER_LIMITED = "mt:sender:limited"
    """Too many of a sender's envelopes meant nothing when decrypted: its others wait."""
    MT_MARKS_LOST = "mt:marks:lost"
    """The database came back from a backup that does not know which session keys were used since."""
    MT_MARKS_LOSS_ACCEPTED = "mt:marks:loss-accepted"
    """Two custodians have accepted that."""
    MT_SENDER_NOT_LISTED = "mt:sender:not-listed"
    """An accepted message came from a functional address that the copy of the address book has not."""
    MT_MESSAGE_NEW = "mt:message:new"
    MT_MESSAGE_READ = "mt:message:read"
    MT_MESSAGE_DELETED = "mt:message:deleted"
    MT_MESSAGE_EVIDENCED = "mt:message:evidenced"
    """A message client was given evidence about it; that it got the original too is a reading besides."""
    MT_RECEIPT_QUEUED = "mt:receipt:queued"
    MT_RECEIPT_SUBMITTED = "mt:receipt:submitted"
    MT_RECEIPT_ACKNOWLEDGED = "mt:receipt:acknowledged"
    MT_RECEIPT_FAILED = "mt:receipt:failed"
    MT_RECEIPT_RECEIVED = "mt:receipt:received"
    MT_RECEIPT_UNMATCHED = "mt:receipt:unmatched"
    MT_RECEIPT_REFUSED = "mt:receipt:refused"
    MT_TOKEN_ISSUED = "mt:token:issued"  # noqa: S105
    """A message client has shown who it is, and got an access token."""
    MT_TOKEN_REFUSED = "mt:token:refused"  # noqa: S105
    MT_CLIENT_DENIED = "mt:client:denied"
    """A message client asked for what is not there for it, or may not do what it asked."""

    MK_SESSION_BEGUN = "mk:session:begun"
    """A person has signed in at the organisation's pages."""
    MK_SESSION_ENDED = "mk:session:ended"
    MK_SIGN_IN_REFUSED = "mk:sign-in:refused"
    """A sign-in, or a notice of logout, that led to nothing, and why."""
    MK_RIGHTS_STATED = "mk:rights:stated"
    """A statement about a right was stored; the entry names its number."""
    MK_MAILBOX_CHANGED = "mk:mailbox:changed"
    MK_MAILBOX_ESCALATED = "mk:mailbox:escalated"
    """A mailbox lay unread for longer than was decided; whoever was named for that is told."""
    MK_NOTICE_CHOSEN = "mk:notice:chosen"
    """A person chose what to be told of by mail."""
    MK_NOTICE_ENDED = "mk:notice:ended"
    """A notice by mail was sent, or could not be."""
    MK_PRESET_CHANGED = "mk:preset:changed"
    """A saved view, a text template or a distribution list was kept or removed."""
    MK_SERVICE_CHANGED = "mk:service:changed"
    """The message service that the message client uses, or the key that it shows there."""
    MK_SERVICE_CHECKED = "mk:service:checked"
    """An administrator tried the message service; the entry says at which step that ended."""
    MK_MESSAGE_STORED = "mk:message:stored"
    MK_MESSAGE_UNREADABLE = "mk:message:unreadable"
    """A message came that cannot be shown; it is kept as it is."""
    MK_MESSAGE_SUBMITTED = "mk:message:submitted"
    """A person has sent it; for a short time that can be undone."""
    MK_MESSAGE_UNDONE = "mk:message:undone"
    MK_MESSAGE_HANDED_OVER = "mk:message:handed-over"
    MK_MESSAGE_POSTPONED = "mk:message:postponed"
    MK_MESSAGE_NOT_SENT = "mk:message:not-sent"
    MK_MESSAGE_MOVED_ON = "mk:message:moved-on"
    """It has another status at the message service."""
    MK_READING_LIST = "mk:reading:list"
    MK_READING_CONVERSATION = "mk:reading:conversation"
    MK_READING_MESSAGE = "mk:reading:message"
    MK_READING_FILE = "mk:reading:file"
    MK_READING_RAW = "mk:reading:raw"
    MK_READING_PRINTED = "mk:reading:printed"
    MK_READING_HANDED_OVER = "mk:reading:handed-over"
    """A person took messages along in a package."""
    MK_READING_SEARCH = "mk:reading:search"
    MK_READING_DRAFT = "mk:reading:draft"
    MK_READING_READERS = "mk:reading:readers"
    MK_READING_REASON = "mk:reading:reason"
    """A person has said why they open a conversation in a mailbox that they do not work in."""
    MK_READING_LOG = "mk:reading:log"
    """The security officer reads the log, of a person or a period."""
    MK_CONVERSATION_CHANGED = "mk:conversation:changed"
    MK_CONVERSATION_NOTED = "mk:conversation:noted"
    MK_CONVERSATION_REGISTERED = "mk:conversation:registered"
    """It has a number in the organisation's own records, or has it no longer."""
    MK_CONVERSATION_HELD = "mk:conversation:held"
    """Nothing of it is disposed of until that ends."""
    MK_DISPOSAL_RULED = "mk:disposal:ruled"
    """A mailbox has a rule for disposal, by a decision of the organisation."""
    MK_DISPOSAL_PROPOSED = "mk:disposal:proposed"
    MK_DISPOSAL_AGREED = "mk:disposal:agreed"
    MK_DISPOSAL_DROPPED = "mk:disposal:dropped"
    MK_DISPOSAL_GONE = "mk:disposal:gone"
    """A conversation was removed; what it was is in the record of its disposal."""
    MK_DISPOSAL_KEPT = "mk:disposal:kept"
    """Something came in between that keeps a conversation."""
    MK_DISPOSAL_DONE = "mk:disposal:done"
    MK_DISPOSAL_SHOWN = "mk:disposal:shown"
    """The record of what went was read."""
    MK_DRAFT_CHANGED = "mk:draft:changed"
    MK_ACCESS_DENIED = "mk:access:denied"
    """A person asked for what is not there for them."""

    GOV_STATEMENT_KEPT = "gov:statement:kept"
    """A signed statement was stored, in governance or as a role's copy; names its number and its SHA-256."""
    GOV_STATEMENT_REFUSED = "gov:statement:refused"
    """A statement was not accepted, and why: its signature, its place, or what it would have done."""

    @property
    def retention(self) -> Retention:
        """The class of its entries; it never changes, since entries are verified by it for years."""
        source, subject, _ = (*self.value.split(":"), "", "")[:3]
        if source == "log":
            return Retention.LOG
        if self is AuditEvent.MT_MESSAGE_READ or (source, subject) == ("mk", "reading"):
            return Retention.READING
        return _CLASSES.get(f"{source}:{subject}", Retention.ADMINISTRATION)


_CLASSES = {
    **dict.fromkeys(("ap:transfer", "ap:envelope", "mt:message", "mt:receipt"), Retention.TRANSFER),
    **dict.fromkeys(("mt:malware", "mt:sender"), Retention.TRANSFER),
    **dict.fromkeys(("mk:message", "mk:conversation", "mk:draft"), Retention.TRANSFER),
    **dict.fromkeys(("vault:opening", "mt:token", "mt:client"), Retention.ACCESS),
    **dict.fromkeys(("mk:access", "mk:session", "mk:sign-in"), Retention.ACCESS),
}


STEPS = frozenset(
    {
        AuditEvent.MT_MESSAGE_SCHEDULED,
        AuditEvent.MT_MESSAGE_SUBMITTED,
        AuditEvent.MT_MESSAGE_POSTPONED,
        AuditEvent.MT_MESSAGE_ACKNOWLEDGED,
        AuditEvent.MT_MESSAGE_ACCEPTED,
        AuditEvent.MT_MESSAGE_REJECTED,
        AuditEvent.MT_MESSAGE_FAILED,
        AuditEvent.MT_MESSAGE_RETRIEVED,
        AuditEvent.MT_MESSAGE_NEW,
    }
)
"""Those that begin a message's life or move it on."""
