"""Records of the vaults, as the roles see them; times are in UTC, sizes are in bytes of plaintext."""

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
    """One attempt to transfer an envelope.

    ``references`` is what was signed, in the caller's own form; it is ``None`` while the attempt is under
    way, and if it ended before anything was signed.
    """

    at: datetime
    references: tuple[bytes, ...] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """An outgoing envelope on its way, with every attempt so far; the last one is the current claim's."""

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
    """Attempts that do not count: spoiled by a restart of our own, or put off for a silent peer."""

    @property
    def counted(self) -> int:
        """Return the number of attempts that count, including the one under way."""
        return len(self.attempts) - self.spared


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """A transfer as the operator sees it: its recipient, its state, and the outcome of its last attempt."""

    id: str
    envelope_id: str
    as4_message_id: str
    recipient: str
    document: str
    created_at: datetime
    state: TransferState
    next_attempt: datetime | None
    """Time of the next attempt, or the end of the lease of one under way; ``None`` if the state is final."""
    attempts: int
    """Number of attempts that count."""
    last_attempt: datetime | None
    reason: TransferReason
    detail: str
    spared: int = 0
    """Number of further attempts that do not count."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of transfers that are not final, and the time at which the oldest was handed over."""

    transfers: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class IncomingEnvelope:
    """Facts about an incoming envelope, without its bytes."""

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

    ``sender_address`` and ``recipient_address`` are functional addresses. Addresses, label and attributes are
    encrypted at rest.
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
        """Return the organisation's own functional address in the message."""
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
    """Sequence of the last log entry that was looked at."""
    steps: tuple[tuple[int, MessageRecord], ...]
    """Each message once, in its current state, with the entry of its last step; in the order of the log."""


@dataclass(frozen=True, slots=True)
class ReceiptRecord:
    """A message receipt; ``id`` is its envelope's, ``counterpart`` the organisation that gets or sent it."""

    id: str
    message_id: str
    direction: Direction
    status: ReceiptStatus
    counterpart: ParticipantIdentifier
    document: str
    handling_service_id: str | None
    conversation_id: str
    """Conversation of the message that is answered, and AS4 ConversationId of the receipt's transfer."""
    state: ReceiptState
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 of something sent or received, with a salt that keeps its commitment from being guessed.

    The log has only the commitment: a digest in the clear would confirm to a reader of the database that
    a guess at the content is right.
    """

    salt: bytes
    sha256: bytes

    @property
    def commitment(self) -> str:
        """Return the SHA-256 of salt and digest, in hex, as log entries name it."""
        return sha256(self.salt + self.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Work to be done now; ``attempts`` counts the claims, including this one."""

    kind: WorkKind
    id: str
    attempts: int


class Received(StrEnum):
    """The outcome of storing an incoming message."""

    STORED = "stored"
    DUPLICATE_DELIVERY = "duplicate-delivery"
    """The access point's item had been processed before; nothing was stored."""
    DUPLICATE_ID = "duplicate-id"
    """Another message with that id had come in before; nothing was stored."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The organisation's own keys for protection between organisations (R6)."""

    signing: SigningKey
    decryption: tuple[DecryptionKey, ...] = field(default=())
