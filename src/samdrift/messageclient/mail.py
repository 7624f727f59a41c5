"""Mailboxes, conversations, messages and drafts as pages show them.

Ids are random and say nothing; they may be in a path. Times carry a zone."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageclient.notices.manning import Lain
from samdrift.rights import Right


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the organisation. The name is empty where it is not known any more."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Identifier:
    """A person or reference that a message names: its code system, value and text (api-mt-mk)."""

    root: str
    extension: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation and a functional address of it, with what a message says of persons and references."""

    organisation: str
    """Participant identifier, ``0203:habo.se``."""
    address: str
    organisation_name: str = ""
    """Name in the address book; empty where it does not know."""
    address_name: str = ""
    """The message's own label of the address, else the address book's name."""
    persons: tuple[Identifier, ...] = ()
    references: tuple[Identifier, ...] = ()


class Folder(StrEnum):
    """Views of a mailbox's conversations."""

    UNREAD = "unread"
    """Something in it has been opened by nobody."""
    MINE = "mine"
    UNHANDLED = "unhandled"
    OPEN = "open"
    """Everything that is not done."""
    DONE = "done"
    SENT = "sent"
    """Conversations in which something was sent from here, the latest sending first."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A functional address that the organisation manns, with the person's rights and the counts."""

    id: str
    name: str
    address: str
    rights: frozenset[Right]
    counts: Mapping[Folder, int]
    drafts: int
    outbox: int
    """Messages that are not handed over to the message service yet."""
    needs_approval: bool
    undo_seconds: int
    retired: bool = False
    """True when nothing new is written in it."""


FOLLOWED_FOR = timedelta(days=7)
"""Time after which a message whose status is still not final is not asked for any more."""


class Stage(StrEnum):
    """The client's own part of a message's way; what came after is its status at the message service."""

    ARRIVED = "arrived"
    UNREADABLE = "unreadable"
    """It came in and cannot be shown; its raw form can be downloaded."""
    WINDOW = "window"
    """Sending can be undone, and nothing of it can change."""
    OUTBOX = "outbox"
    """It waits for the message service."""
    HANDED_OVER = "handed-over"
    REFUSED = "refused"
    """The message service has refused it."""
    NOT_SENT = "not-sent"
    """The message service could not be reached before the deadline."""


@dataclass(frozen=True, slots=True)
class DeliveryEvent:
    """A step on a message's way, as the message service reports it, the texts as they are."""

    at: datetime
    status: MessageStatus | None
    """``None`` for a status that is in no code list."""
    code: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """The way of a message that was sent, so far."""

    stage: Stage
    status: MessageStatus | None
    since: datetime
    until: datetime | None
    """End of the undo window, or the deadline of the outbox."""
    reason: str
    """The message service's reason for refusing or not sending it; empty without one."""
    events: tuple[DeliveryEvent, ...] = ()
    """The oldest first."""


@dataclass(frozen=True, slots=True)
class DraftMark:
    """A draft that waits in a conversation, and who writes in it."""

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
    """Arrival or sending of its latest message."""
    confidential: bool
    references: tuple[Identifier, ...]
    messages: int
    files: int
    unread: bool
    """Something in it has been opened by nobody."""
    new_to_me: bool
    """Something came since the person last opened it."""
    handler: Person | None
    done: bool
    drafts: tuple[DraftMark, ...]
    delivery: Delivery | None
    """The latest sent message's, without its events."""
    unreadable: bool
    """Something in it was fetched and cannot be shown."""
    too_large: bool = False
    """Something in it was too large to be fetched."""
    registered: Registration | None = None
    substitutes: tuple[Person, ...] = ()
    """Substitutes of its handler, who is absent now."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A conversation's number in the organisation's own records, and who registered it there."""

    number: str
    person: Person
    at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A person's word that nothing of a conversation is disposed of, whatever a rule says."""

    reason: str
    person: Person
    at: datetime


@dataclass(frozen=True, slots=True)
class Lines:
    """A page of a list; ``next`` is where the next one begins, empty after the last."""

    lines: tuple[Line, ...]
    next: str
    lain: Lain | None = None
    """Messages that nobody opens in the mailbox whose list it is; ``None`` for a list of several."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a message or draft, without its content. Its type is that of its content, not of its name."""

    id: str
    name: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a message: its name, and its texts as HTML that ``web.messagetext`` has made."""

    name: str
    texts: tuple[str, ...]
    """Ready for :func:`samdrift.web.messagetext.kept_text`: made once, when the message was stored."""
    plain: tuple[str, ...]
    """The same texts as they were written."""
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message that came in or was sent."""

    id: str
    message_id: str
    """Its id in the federation (``messageId``)."""
    conversation: str
    """Id here of the conversation that it is in."""
    conversation_id: str
    """The conversation's id in the federation (``conversationId``)."""
    direction: Direction
    sender: Party
    recipient: Party
    subject: str
    confidential: bool
    at: datetime
    """Arrival here, or sending."""
    dated_at: datetime | None
    """The sender's own time stamp."""
    documents: tuple[Document, ...]
    stage: Stage
    delivery: Delivery | None
    """``None`` for a message that came in."""
    refers_to: str | None
    """Id here of the message that it answers or repeats, if that one is here."""
    author: Person | None
    """The person who sent it; ``None`` for one that came in or was sent by another client."""
    read_by: int
    """Number of persons who have opened it."""
    was_unread: bool
    """True when no person had opened it before this reading."""
    draft: str | None = None
    """Id of the draft that it was sent as from here."""
    too_large: bool = False
    """True when it was too large to be fetched: what it says is at the message service alone."""


@dataclass(frozen=True, slots=True)
class Note:
    """A note in a conversation; it is never sent."""

    id: str
    author: Person
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages of one ``conversationId`` in a mailbox, none before what it refers to, notes and drafts."""

    id: str
    version: int
    mailbox: str
    subject: str
    counterpart: Party
    confidential: bool
    references: tuple[Identifier, ...]
    handler: Person | None
    handler_away: bool
    """The handler has no right to write in the mailbox any more."""
    done: bool
    messages: tuple[Message, ...]
    notes: tuple[Note, ...]
    drafts: tuple[DraftMark, ...]
    registered: Registration | None = None
    held: Hold | None = None
    substitutes: tuple[Person, ...] = ()
    """Substitutes of its handler, who is absent now."""
    earlier: str = ""  # The first of these messages, where another page shows earlier ones.
    later: int = 0  # Messages after these, which other pages show.
    others: int = 0  # All messages that other pages show.


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file to download: its content comes in pieces, authenticated."""

    file: File
    pieces: AsyncIterable[bytes]


class Act(StrEnum):
    """Ways of seeing a message."""

    READ = "read"
    FILE = "file"
    RAW = "raw"
    PRINTED = "printed"
    WHY = "why"
    """Said why, before opening what is marked in a mailbox that they do not work in."""
    HANDED_OVER = "handed-over"
    """In a package, to be kept or read elsewhere."""


class Reason(StrEnum):
    """Reasons for opening what is marked as confidential in a mailbox that one does not work in."""

    CASE = "case"
    COVER = "cover"
    SUPERVISION = "supervision"
    RECORDS = "records"
    """A request for public records."""
    MISTAKE = "mistake"
    """To look into a fault, or something that went to the wrong place."""


class Part(StrEnum):
    """Parts of a hand-over besides the messages themselves."""

    PDF = "pdf"
    FILES = "files"
    NOTES = "notes"
    EVIDENCE = "evidence"
    """Receipts, and what the message service's log says of each message."""
    ORIGINAL = "original"
    """Each message as the message service has it, byte for byte."""


class Proofs(Protocol):
    """A message service, for what the client itself does not keep."""

    def evidence(self, message_id: str, *, original: bool = False) -> AsyncIterator[bytes]:
        """Return evidence about a message in pieces."""

    def raw(self, message_id: str) -> AsyncIterator[bytes]:
        """Return a message as the message service writes it, in pieces."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Messages of a conversation to be handed over; that a person does so is in the log already."""

    conversation: Conversation
    """With the chosen messages alone, and with its notes only where they go along."""
    organisation: str
    address: str
    """Functional address of the mailbox that it lies in."""
    parts: frozenset[Part]
    readings: Mapping[str, tuple[Reading, ...]]
    """By message."""
    files: Mapping[str, AsyncIterable[bytes]]
    """Content of each file, by its id; the same each time it is read."""
    raw: Mapping[str, AsyncIterable[bytes]]
    """Content of messages that cannot be shown, by their ids."""
    remote: Mapping[str, str]
    """Ids at the message service, by message."""
    proofs: Proofs | None
    """``None`` where the organisation's entry names no message service."""
    person: Person
    at: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """A person who has seen a message, in one way."""

    person: Person
    act: Act
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient as chosen: organisation and functional address, with the names that were shown then."""

    organisation: str
    address: str
    organisation_name: str = ""
    address_name: str = ""


@dataclass(frozen=True, slots=True)
class DraftContent:
    """Everything that a person types of a message."""

    recipients: tuple[Recipient, ...] = ()
    subject: str = ""
    text: str = ""
    confidential: bool = True
    persons: tuple[Identifier, ...] = ()
    """Persons at the sender."""
    references: tuple[Identifier, ...] = ()
    """Our own references."""
    recipient_persons: tuple[Identifier, ...] = ()
    recipient_references: tuple[Identifier, ...] = ()
    """Theirs, which an answer returns (content-specification 4.3.2)."""


class DraftStage(StrEnum):
    """The life of a draft."""

    OPEN = "open"
    APPROVAL = "approval"
    """A second person is to approve it; nothing of it can change."""
    APPROVED = "approved"
    """Approved, and not sent yet; a change to it takes the approval away."""
    WINDOW = "window"
    """Sent, and sending can be undone."""
    SENT = "sent"


class DraftKind(StrEnum):
    """The kind of message that a draft was begun as."""

    NEW = "new"
    ANSWER = "answer"
    ADDITION = "addition"
    """To what was sent from here, and was not answered."""
    AGAIN = "again"
    """A new message with the content of one that was sent from here."""


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
    """Number of messages in the conversation when the answer was begun or its news were last read."""
    content: DraftContent
    files: tuple[File, ...]
    stage: DraftStage
    writer: Person
    saved_at: datetime
    asked_by: Person | None
    approved_by: Person | None
    declined: str
    """Why the second person did not approve; empty otherwise."""
    size: int
    """Bytes of the message that it becomes, Base64 included."""
    until: datetime | None
    """End of the undo window."""


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """A text of a mailbox that its persons put into messages."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class HandlerRule:
    """A rule of a mailbox: who becomes the handler of a conversation that begins there, and fits."""

    id: str
    organisation: str
    """Words of the other side's name, or its identifier; empty for any."""
    subject: str
    """Words of the subject; empty for any."""
    handler: str
    """Id of the person."""


class ProblemCode(StrEnum):
    """Reasons for which a draft cannot be sent."""

    NO_RECIPIENT = "no-recipient"
    TOO_MANY_RECIPIENTS = "too-many-recipients"
    UNKNOWN_RECIPIENT = "unknown-recipient"
    """The address is no longer in the address book."""
    NO_SUBJECT = "no-subject"
    SUBJECT_TOO_LONG = "subject-too-long"
    EMPTY = "empty"
    """Neither text nor file."""
    TOO_LARGE = "too-large"
    FILE_TYPE = "file-type"
    TOO_MANY_FILES = "too-many-files"
    NOT_APPROVED = "not-approved"  # The mailbox asks for a second person's approval, which is not there.
    NOT_COVERED = "not-covered"
    """No agreement of the organisation covers that new messages are sent."""
    ENDED_MAILBOX = "ended-mailbox"
    REFERENCE = "reference"
    """A person or reference lacks its code system, value or text."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason for which a draft cannot be sent, with the field, and the file or recipient it concerns."""

    code: ProblemCode
    field: str
    file: str = ""
    recipient: Recipient | None = None


class Caution(StrEnum):
    """Reasons to look twice at a recipient before sending."""

    FIRST_TIME = "first-time"
    """The organisation has never sent anything to the address."""
    NOT_LISTED = "not-listed"
    NO_RECEIPT_LATELY = "no-receipt-lately"
    """The last messages to it got no receipt."""


@dataclass(frozen=True, slots=True)
class RecipientCheck:
    """A recipient before sending."""

    recipient: Recipient
    cautions: frozenset[Caution]
    last_receipt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Review:
    """A draft as it would be sent."""

    draft: Draft
    problems: tuple[Problem, ...]
    recipients: tuple[RecipientCheck, ...]
    needs_approval: bool
    undo_seconds: int
    max_size: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """A draft that was sent: its messages, one per recipient, and until when that can be undone."""

    draft: str
    messages: tuple[str, ...]
    conversation: str
    """The first message's."""
    until: datetime


@dataclass(frozen=True, slots=True)
class Correspondent:
    """An address to write to, with the person's organisation's own use of it."""

    recipient: Recipient
    favourite: bool
    used: int
    last_used_at: datetime | None
    near: bool = False
    """No name is as was asked for, and this one is nearly that."""


@dataclass(frozen=True, slots=True)
class Found:
    """Results of a search; ``complete`` is false where the time limit came first."""

    lines: tuple[Line, ...]
    looked_at: int
    of: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Search:
    """A search as it was asked, to be shown again. Only its person can find it."""

    words: str
    whole_text: bool
    mailbox: str | None


@dataclass(frozen=True, slots=True)
class RecipientList:
    """Recipients under one name, the person's own, or those of a mailbox; each gets a message of its own."""

    id: str
    name: str
    recipients: tuple[Recipient, ...]
    mailbox: str | None
    """The mailbox whose it is; ``None`` for the person's own."""
