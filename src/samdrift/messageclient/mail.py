"""Mailboxes, conversations, messages and drafts as pages show them. Ids are random and may be in a path."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageclient.notices.manning import Overdue
from samdrift.rights import Right


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the organisation. The name is empty if it is no longer known."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Identifier:
    """A person or reference that a message names: its code system, value and label (api-mt-mk)."""

    root: str
    extension: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation and one of its functional addresses, with the persons and references in a message."""

    organisation: str
    """Participant identifier, such as ``0203:habo.se``."""
    address: str
    organisation_name: str = ""
    """Name in the address book; empty if the address book does not have it."""
    address_name: str = ""
    """The message's own label of the address, or else its name in the address book."""
    persons: tuple[Identifier, ...] = ()
    references: tuple[Identifier, ...] = ()


class Folder(StrEnum):
    """Views of a mailbox's conversations."""

    UNREAD = "unread"
    """Conversations with a message that no person has opened."""
    MINE = "mine"
    UNHANDLED = "unhandled"
    OPEN = "open"
    """Conversations that are not done."""
    DONE = "done"
    SENT = "sent"
    """Conversations in which something was sent from here, the most recently sent first."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A functional address that the organisation staffs, with the person's rights and counts of its views."""

    id: str
    name: str
    address: str
    rights: frozenset[Right]
    counts: Mapping[Folder, int]
    drafts: int
    outbox: int
    """Number of messages that have not been handed over to the message service yet."""
    needs_approval: bool
    undo_seconds: int
    retired: bool = False
    """True if the mailbox is closed to new messages."""


FOLLOWED_FOR = timedelta(days=7)
"""Time after which the status of a sent message is no longer followed, even if it is not final."""


class Stage(StrEnum):
    """Stages of a message in this client; later steps are its status at the message service."""

    ARRIVED = "arrived"
    UNREADABLE = "unreadable"
    """The message arrived but cannot be shown; its raw data can be downloaded."""
    WINDOW = "window"
    """Sending can still be undone; the message cannot be changed."""
    OUTBOX = "outbox"
    """The message is waiting to be handed over to the message service."""
    HANDED_OVER = "handed-over"
    REFUSED = "refused"
    """The message service has refused it."""
    NOT_SENT = "not-sent"
    """The message service could not be reached before the deadline."""


@dataclass(frozen=True, slots=True)
class DeliveryEvent:
    """A step of a message's delivery, with the texts that the message service reports."""

    at: datetime
    status: MessageStatus | None
    """``None`` for a status that is not in the code list."""
    code: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """The progress so far of a sent message's delivery."""

    stage: Stage
    status: MessageStatus | None
    since: datetime
    until: datetime | None
    """End of the undo window, or the deadline of the outbox."""
    reason: str
    """The message service's reason for refusing the message, or for a failure to send it; otherwise empty."""
    events: tuple[DeliveryEvent, ...] = ()
    """Steps of the delivery, the oldest first."""


@dataclass(frozen=True, slots=True)
class DraftMark:
    """An unsent draft in a conversation, with its writer."""

    id: str
    writer: Person
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A conversation in a list."""

    id: str
    version: int
    mailbox: str
    subject: str
    counterpart: Party
    at: datetime
    """Time at which its latest message arrived or was sent."""
    confidential: bool
    references: tuple[Identifier, ...]
    messages: int
    files: int
    unread: bool
    """True if it has a message that no person has opened."""
    new_to_me: bool
    """True if a message has arrived since the person last opened the conversation."""
    handler: Person | None
    done: bool
    drafts: tuple[DraftMark, ...]
    delivery: Delivery | None
    """Delivery of the latest sent message, without its events."""
    unreadable: bool
    """True if it has a message that was fetched but cannot be shown."""
    too_large: bool = False
    """True if it has a message that was too large to be fetched."""
    registered: Registration | None = None
    substitutes: tuple[Person, ...] = ()
    """Substitutes of the handler, if the handler is currently absent."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A conversation's number in the organisation's own records, with the person who registered it there."""

    number: str
    person: Person
    at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A person's decision that nothing of a conversation may be disposed of, whatever the rules are."""

    reason: str
    person: Person
    at: datetime


@dataclass(frozen=True, slots=True)
class Lines:
    """A page of a list; ``next`` is the start of the next page, empty on the last one."""

    lines: tuple[Line, ...]
    next: str
    overdue: Overdue | None = None
    """Messages left unread for too long in the list's mailbox; ``None`` for a list of several mailboxes."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a message or draft, without its content. Its type is that of the content, not of the name."""

    id: str
    name: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a message: its name, and its texts as HTML made by ``web.messagetext``."""

    name: str
    texts: tuple[str, ...]
    """Input for :func:`samdrift.web.messagetext.kept_text`; made once, when the message was stored."""
    plain: tuple[str, ...]
    """The same texts as originally written."""
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received or sent."""

    id: str
    message_id: str
    """Id of the message in the federation (``messageId``)."""
    conversation: str
    """Local id of its conversation."""
    conversation_id: str
    """Id of its conversation in the federation (``conversationId``)."""
    direction: Direction
    sender: Party
    recipient: Party
    subject: str
    confidential: bool
    at: datetime
    """Time of arrival here, or of sending."""
    dated_at: datetime | None
    """The sender's own time stamp."""
    documents: tuple[Document, ...]
    stage: Stage
    delivery: Delivery | None
    """``None`` for a received message."""
    refers_to: str | None
    """Local id of the message that it answers or repeats, if that one is stored here."""
    author: Person | None
    """The person who sent it; ``None`` for a message that was received or sent by another client."""
    read_by: int
    """Number of people who have opened it."""
    was_unread: bool
    """True if no person had opened it before this reading."""
    draft: str | None = None
    """Id of the draft from which it was sent here."""
    too_large: bool = False
    """True if it was too large to be fetched; its content exists only at the message service."""


@dataclass(frozen=True, slots=True)
class Note:
    """An internal note in a conversation, which is never sent."""

    id: str
    author: Person
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages of one ``conversationId`` in a mailbox, each after any it refers to; notes and drafts."""

    id: str
    version: int
    mailbox: str
    subject: str
    counterpart: Party
    confidential: bool
    references: tuple[Identifier, ...]
    handler: Person | None
    handler_away: bool
    """True if the handler no longer has the right to write in the mailbox."""
    done: bool
    messages: tuple[Message, ...]
    notes: tuple[Note, ...]
    drafts: tuple[DraftMark, ...]
    registered: Registration | None = None
    held: Hold | None = None
    substitutes: tuple[Person, ...] = ()
    """Substitutes of the handler, if the handler is currently absent."""
    earlier: str = ""  # First of these messages, if earlier ones are on another page.
    later: int = 0  # Number of later messages, which are on other pages.
    others: int = 0  # Number of all messages on other pages.


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file to download; its content comes in authenticated pieces."""

    file: File
    pieces: AsyncIterable[bytes]


class Act(StrEnum):
    """Ways in which a person can see a message."""

    READ = "read"
    FILE = "file"
    RAW = "raw"
    PRINTED = "printed"
    WHY = "why"
    """Gave a reason for opening a marked conversation in a mailbox in which they do not work."""
    HANDED_OVER = "handed-over"
    """Handed over the message in a package, to be kept or read elsewhere."""


class Reason(StrEnum):
    """Reasons for opening confidential conversations in a mailbox in which one does not work."""

    CASE = "case"
    COVER = "cover"
    SUPERVISION = "supervision"
    RECORDS = "records"
    """A request for public records."""
    MISTAKE = "mistake"
    """To investigate a fault, or a message sent to the wrong place."""


class Part(StrEnum):
    """Parts of a hand-over besides the messages themselves."""

    PDF = "pdf"
    FILES = "files"
    NOTES = "notes"
    EVIDENCE = "evidence"
    """Receipts, and each message's entries in the log of the message service."""
    ORIGINAL = "original"
    """Each message exactly as the message service stores it, byte for byte."""


class Proofs(Protocol):
    """Access to a message service, for evidence that the client itself does not store."""

    def evidence(self, message_id: str, *, original: bool = False) -> AsyncIterator[bytes]:
        """Return evidence about a message in pieces."""

    def raw(self, message_id: str) -> AsyncIterator[bytes]:
        """Return a message in the message service's own form, in pieces."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A person who has seen a message, in a particular way."""

    person: Person
    act: Act
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient as chosen: organisation and functional address, with the names shown at that time."""

    organisation: str
    address: str
    organisation_name: str = ""
    address_name: str = ""


@dataclass(frozen=True, slots=True)
class DraftContent:
    """Everything that a person types or chooses for a message."""

    recipients: tuple[Recipient, ...] = ()
    subject: str = ""
    text: str = ""
    confidential: bool = True
    persons: tuple[Identifier, ...] = ()
    """Contact persons of the sender."""
    references: tuple[Identifier, ...] = ()
    """Our own references."""
    recipient_persons: tuple[Identifier, ...] = ()
    recipient_references: tuple[Identifier, ...] = ()
    """The recipient's own references, which a reply returns (content-specification 4.3.2)."""


class DraftStage(StrEnum):
    """Stages of a draft."""

    OPEN = "open"
    APPROVAL = "approval"
    """The draft waits for a second person's approval and cannot be changed."""
    APPROVED = "approved"
    """Approved but not sent; a change to the draft revokes the approval."""
    WINDOW = "window"
    """Sent, but sending can still be undone."""
    SENT = "sent"


class DraftKind(StrEnum):
    """Kinds of messages that a draft can be started as."""

    NEW = "new"
    ANSWER = "answer"
    ADDITION = "addition"
    """A further message after one that was sent from here and has not been answered."""
    AGAIN = "again"
    """A new message that repeats the content of one that was sent from here."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft, shared in its mailbox, with one writer at a time."""

    id: str
    kind: DraftKind
    version: int
    mailbox: str
    conversation: str | None
    reply_to: str | None
    """Id of the message that it answers, adds to or repeats."""
    seen: int | None
    """Number of messages in the conversation when the reply was started or new ones were last read."""
    content: DraftContent
    files: tuple[File, ...]
    stage: DraftStage
    writer: Person
    saved_at: datetime
    asked_by: Person | None
    approved_by: Person | None
    declined: str
    """The second person's reason for not approving; otherwise empty."""
    size: int
    """Maximum size in bytes of the resulting message, including Base64."""
    until: datetime | None
    """End of the undo window."""


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """A text of a mailbox that its members can insert into messages."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class HandlerRule:
    """A rule of a mailbox that assigns a handler to new conversations that match it."""

    id: str
    organisation: str
    """Words of the other side's name or its identifier; empty to match any."""
    subject: str
    """Words of the subject; empty to match any."""
    handler: str
    """Id of the person who becomes the handler."""


class ProblemCode(StrEnum):
    """Reasons why a draft cannot be sent."""

    NO_RECIPIENT = "no-recipient"
    TOO_MANY_RECIPIENTS = "too-many-recipients"
    UNKNOWN_RECIPIENT = "unknown-recipient"
    """The address is no longer in the address book."""
    NO_SUBJECT = "no-subject"
    SUBJECT_TOO_LONG = "subject-too-long"
    EMPTY = "empty"
    """The draft has neither text nor files, or a file is empty."""
    TOO_LARGE = "too-large"
    FILE_TYPE = "file-type"
    TOO_MANY_FILES = "too-many-files"
    NOT_APPROVED = "not-approved"  # The mailbox requires a second person's approval, which is missing.
    NOT_COVERED = "not-covered"
    """No agreement of the organisation covers sending new messages."""
    ENDED_MAILBOX = "ended-mailbox"
    REFERENCE = "reference"
    """A person or reference lacks its code system, value or text."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason why a draft cannot be sent, with the field, file or recipient that it concerns."""

    code: ProblemCode
    field: str
    file: str = ""
    recipient: Recipient | None = None


class Caution(StrEnum):
    """Reasons to check a recipient again before sending."""

    FIRST_TIME = "first-time"
    """The organisation has never sent anything to the address."""
    NOT_LISTED = "not-listed"
    NO_RECEIPT_LATELY = "no-receipt-lately"
    """The latest messages to the address got no receipt."""


@dataclass(frozen=True, slots=True)
class RecipientCheck:
    """A recipient with the results of the checks before sending."""

    recipient: Recipient
    cautions: frozenset[Caution]
    last_receipt_at: datetime | None
    sent_from: str = ""
    """Name of the mailbox from whose address the message is sent, if it is not the draft's mailbox."""


@dataclass(frozen=True, slots=True)
class Review:
    """A draft as it would be sent, with the results of all checks."""

    draft: Draft
    problems: tuple[Problem, ...]
    recipients: tuple[RecipientCheck, ...]
    needs_approval: bool
    undo_seconds: int
    max_size: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """A draft that was sent: its messages, one for each recipient, and the end of the undo window."""

    draft: str
    messages: tuple[str, ...]
    conversation: str
    """Conversation of the first message."""
    until: datetime


@dataclass(frozen=True, slots=True)
class Correspondent:
    """An address to write to, with figures on the organisation's own use of it."""

    recipient: Recipient
    favourite: bool
    used: int
    last_used_at: datetime | None
    near: bool = False
    """True for a near match, which is offered only if nothing matches exactly."""


@dataclass(frozen=True, slots=True)
class Found:
    """Results of a search; ``complete`` is false if the time limit was reached first."""

    lines: tuple[Line, ...]
    looked_at: int
    of: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Search:
    """A stored search, with which the page is shown again. Only its own person can retrieve it."""

    words: str
    whole_text: bool
    mailbox: str | None


@dataclass(frozen=True, slots=True)
class RecipientList:
    """A named list of recipients, of a person or a mailbox; each recipient gets a separate message."""

    id: str
    name: str
    recipients: tuple[Recipient, ...]
    mailbox: str | None
    """Mailbox to which the list belongs; ``None`` if it is the person's own."""
