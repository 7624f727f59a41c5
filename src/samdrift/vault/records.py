"""Records of the vaults, as the roles see them. Times carry time zone UTC, sizes are bytes of plaintext."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState, WorkKind
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, ProcessIdentifier

# --- access point ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutgoingEnvelope:
    """The header of a submitted envelope."""

    envelope_id: str
    conversation_id: str
    sender: ParticipantIdentifier
    recipient: ParticipantIdentifier
    document: DocumentIdentifier
    process: ProcessIdentifier


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to transfer an envelope.

    ``references`` is what was signed, in the caller's own form, ``None`` while
    the attempt is under way or when it ended before anything was signed.
    """

    at: datetime
    references: tuple[bytes, ...] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """An outgoing envelope on its way, with every attempt so far; the last one is the claim's own."""

    id: str
    envelope: OutgoingEnvelope
    as4_message_id: str
    created_at: datetime
    state: TransferState
    attempts: tuple[Attempt, ...]
    size: int
    digest: bytes
    """SHA-256 of the stored body."""
    spared: int = 0
    """Attempts that count for nothing: spoiled by a restart of our own, or put off for a silent peer."""

    @property
    def counted(self) -> int:
        """Return the number of attempts that count, the one under way included."""
        return len(self.attempts) - self.spared


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """A transfer as its operator sees it: where to, how far, and what its last attempt met."""

    id: str
    envelope_id: str
    as4_message_id: str
    recipient: str
    document: str
    created_at: datetime
    state: TransferState
    next_attempt: datetime | None
    """``None`` when final; while an attempt is under way, when its lease runs out."""
    attempts: int
    """Attempts that count."""
    last_attempt: datetime | None
    reason: TransferReason
    detail: str
    spared: int = 0
    """Attempts in addition to them that count for nothing."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Number of transfers that are not final, and the moment at which the oldest was handed over."""

    transfers: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class IncomingEnvelope:
    """Facts about an incoming envelope, besides its bytes."""

    as4_message_id: str
    envelope_id: str
    conversation_id: str
    sender: str
    recipient: str
    document: str
    peer: str
    certificate: str
    """SHA-256 of the peer's certificate, in hex."""


# --- message service ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message that the organisation sent or received, without its content.

    ``sender_address`` and ``recipient_address`` are functional addresses.
    Addresses, label and attributes are encrypted at rest.
    """

    id: str
    direction: Direction
    status: MessageStatus
    conversation_id: str
    ref_to_message_id: str | None
    sender: ParticipantIdentifier
    recipient: ParticipantIdentifier
    sender_address: str
    recipient_address: str
    document: str
    created_at: datetime
    updated_at: datetime
    dated_at: datetime
    """The message's own time stamp; ``created_at`` is when it was stored here."""
    label: str
    confidentiality: bool
    size: int
    attributes: str
    """Further attributes of the message, without its documents, in the form of interface D."""

    @property
    def mailbox(self) -> str:
        """The organisation's own functional address in it."""
        return self.sender_address if self.direction is Direction.OUT else self.recipient_address


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """One step in a message's life, as interface D shows it (api-mt-mk, eventIssues)."""

    at: datetime
    status: MessageStatus
    title: str
    detail: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of messages up to a place in the log."""

    place: int
    """The last entry of the log that was looked at."""
    steps: tuple[tuple[int, MessageRecord], ...]
    """Each message as it is now, once, with the entry of its last step; in the order of the log."""


@dataclass(frozen=True, slots=True)
class ReceiptRecord:
    """A message receipt; ``id`` is its envelope's. ``counterpart`` is who gets it or sent it."""

    id: str
    message_id: str
    direction: Direction
    status: ReceiptStatus
    counterpart: ParticipantIdentifier
    document: str
    handling_service_id: str | None
    conversation_id: str
    """Conversation of the message that is answered; the AS4 ConversationId of the receipt's transfer."""
    state: ReceiptState
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 of what was sent or received, with the salt that keeps its commitment from being guessed.

    The log holds the commitment alone: a digest in clear would tell a reader of the database that
    a guess at the content is right.
    """

    salt: bytes
    sha256: bytes

    @property
    def commitment(self) -> str:
        """SHA-256 of salt and digest, in hex, as an entry of the log names it."""
        return sha256(self.salt + self.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Something to do now; ``attempts`` counts the claims, this one included."""

    kind: WorkKind
    id: str
    attempts: int


class Received(StrEnum):
    """The outcome of storing an incoming message."""

    STORED = "stored"
    DUPLICATE_DELIVERY = "duplicate-delivery"
    """The access point's item had been processed before; nothing was stored."""
    DUPLICATE_ID = "duplicate-id"
    """Another message with that id came in before; nothing was stored."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The organisation's own keys for protection between organisations (R6)."""

    signing: SigningKey
    decryption: tuple[DecryptionKey, ...] = field(default=())
