"""Records of the message client's vault; names and texts are in their ``content``, sealed at rest."""

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
    """A mailbox: a functional address that the organisation staffs."""

    id: str
    address: str
    name: str
    needs_approval: bool = False
    undo_seconds: int = 10
    asks_why: bool = False
    """People who may read but not write in it must give a reason before they open a confidential message."""
    retired: bool = False
    """No new messages can be written in it; messages to its address are still stored."""


@dataclass(frozen=True, slots=True)
class MailboxCounts:
    """Counts for one mailbox; ``mine`` are the conversations of the person who asks."""

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
    """Messages of one ``conversationId`` at one address, ``home``; the conversation is in ``mailbox`` now."""

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
    """A message without its documents; its federation and message service ids are in ``content``."""

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
    """The part of a message that a search reads."""

    id: str
    conversation: str
    stage: str
    at: datetime
    text: bytes
    """Its content, as JSON that is not parsed yet: looking for a word in the text costs less than parsing."""


@dataclass(frozen=True, slots=True)
class NewMail:
    """A message to store, with the ids from which the marks for finding it are made."""

    record: MailRecord
    message_id: str
    thread: str
    """Text that identifies its conversation: the id in the federation, and the other organisation."""
    body: Body
    remote_id: str | None = None
    refers_to: str | None = None
    """Id in the federation of the message that it refers to."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of a message or draft; ``owner`` is the message or draft."""

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
    """A draft, and its progress towards being sent."""

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
    """The first and the latest time at which a person saw a message in one way, ``act``."""

    message: str
    person: str
    act: str
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class RegistrationRecord:
    """The registration of a conversation in the organisation's own records; the number is in ``content``."""

    conversation: str
    person: str
    at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """An address that the organisation has written to, with its use and the receipts from it."""

    content: Content
    used: int
    used_at: datetime
    receipt_at: datetime | None
    unanswered: int


def sealed(content: Content, place: str, sealer: Sealer) -> bytes:
    """Seal a record's content for its place; an unpaired surrogate becomes a question mark."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return sealer.seal(text.encode("utf-8", "replace"), place)


def opened(value: bytes, place: str, sealer: Sealer) -> dict[str, Any]:
    """Open content that :func:`sealed` has sealed for a place."""
    content: dict[str, Any] = json.loads(sealer.open(value, place))
    return content
