"""Records of the message client's vault. What is said or named in one is its ``content``, sealed at rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from samdrift.contracts.messages import Direction
from samdrift.vault.bodies import Body
from samdrift.vault.sealing import Sealer

Content = Mapping[str, Any]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class MailboxRecord:
    """A functional address that the organisation manns."""

    id: str
    address: str
    name: str
    needs_approval: bool = False
    undo_seconds: int = 10
    asks_why: bool = False
    """A person who may read it and not write in it says why before opening what is marked as confidential."""
    retired: bool = False
    """No new message is written in it; what comes to its address is still stored."""


@dataclass(frozen=True, slots=True)
class MailboxCounts:
    """Numbers of conversations and drafts in one mailbox; ``mine`` are those of the person who asks."""

    mailbox: str
    unread: int
    mine: int
    unhandled: int
    open: int
    done: int
    sent: int
    drafts: int
    outbox: int


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """Messages of one ``conversationId`` at one address, ``home``; the conversation lies in ``mailbox``."""

    id: str
    home: str
    mailbox: str
    version: int
    handler: str | None
    done: bool
    confidential: bool
    latest_at: datetime
    sent_at: datetime | None
    messages: int
    files: int
    unread: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class MailRecord:
    """A message without its documents; ids of the federation and the message service are in ``content``."""

    id: str
    conversation: str
    direction: Direction
    stage: str
    status: str | None
    draft: str | None
    author: str | None
    at: datetime
    dated_at: datetime | None
    since: datetime
    confidential: bool
    due_at: datetime | None
    deadline: datetime | None
    attempts: int
    opened_at: datetime | None
    files: int
    content: Content
    delivery: Content
    """Steps at the message service; empty before there are any."""


@dataclass(frozen=True, slots=True)
class HeadRecord:
    """The part of a message that a search looks at."""

    id: str
    conversation: str
    stage: str
    at: datetime
    text: bytes
    """Its content, as JSON: to read most of them costs more than to look for a word in them."""


@dataclass(frozen=True, slots=True)
class NewMail:
    """A message to store, with what it is found by: marks are made of ids that others chose."""

    record: MailRecord
    message_id: str
    thread: str
    """The text by which its conversation is found: its id in the federation, with the other organisation."""
    body: Body
    remote_id: str | None = None
    refers_to: str | None = None
    """The id in the federation of the message that it refers to."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of a message or draft, ``owner``."""

    id: str
    owner: str
    place: int
    size: int
    body: str
    content: Content


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """A note in a conversation."""

    id: str
    conversation: str
    author: str
    at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class DraftRecord:
    """A draft, and how far it is on its way to being sent."""

    id: str
    mailbox: str
    conversation: str | None
    reply_to: str | None
    seen: int | None
    version: int
    stage: str
    writer: str
    saved_at: datetime
    asked_by: str | None
    approved_by: str | None
    until: datetime | None
    content: Content


@dataclass(frozen=True, slots=True)
class ReadingRecord:
    """A person's seeing of a message, in one way."""

    message: str
    person: str
    act: str
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class RegistrationRecord:
    """A conversation's number in the organisation's own records, which is in ``content``."""

    conversation: str
    person: str
    at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """An address that was written to, with the outcome."""

    content: Content
    used: int
    used_at: datetime
    receipt_at: datetime | None
    unanswered: int


def sealed(content: Content, place: str, sealer: Sealer) -> bytes:
    """Seal a record's content for its place. Half of a surrogate pair becomes a question mark."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return sealer.seal(text.encode("utf-8", "replace"), place)


def opened(value: bytes, place: str, sealer: Sealer) -> dict[str, Any]:
    """Return the inverse of :func:`sealed`."""
    content: dict[str, Any] = json.loads(sealer.open(value, place))
    return content
