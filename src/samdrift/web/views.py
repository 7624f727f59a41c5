"""Values for the parts of pages: already decided by a role, complete, and ready to show.

Templates read them and roles fill them. Untrusted text is passed on as it is, and escaped when it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """Style of a tag or band; its text has the same meaning."""

    PLAIN = "plain"
    ACCENT = "accent"
    CONFIDENTIAL = "confidential"
    WARNING = "warning"
    BAD = "bad"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Tag:
    """A short label."""

    text: str
    kind: Kind = Kind.PLAIN


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another page; ``count`` is the number of items that wait there."""

    text: str
    href: str
    count: int = 0
    unread: bool = False
    current: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Links below a heading; the heading of the first section is empty."""

    heading: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation in a list."""

    href: str
    sender: str
    subject: str
    at: datetime
    unread: bool = False
    confidential: bool = False
    current: bool = False
    tags: tuple[Tag, ...] = ()
    beside: tuple[str, ...] = ()
    """Further information: references, handler, and people who are writing."""
    id: str = ""
    """Key by which an open page finds out who else is reading."""


@dataclass(frozen=True, slots=True)
class OverdueNotice:
    """A notice that unread messages have waited longer than their mailbox allows."""

    what: str
    how_long: str
    href: str
    """Address of the oldest one."""
    open: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a message."""

    href: str
    name: str
    kind: str
    """Short name of its type according to its content, such as ``PDF``."""
    size: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a message; if it is the only one, its name is not shown."""

    text: str
    """The text as it arrived, or :func:`samdrift.web.messagetext.kept_text` of what was stored."""
    files: tuple[Attached, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Description of a message's delivery: what is known of it, and what is not."""

    tag: Tag
    beside: str = ""
    proof: str = ""
    """Address of the proof; empty if there is none."""
    undo: str = ""
    """Address of the page for undoing the sending; empty if that is not possible."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a conversation, sent by either side."""

    id: str
    organisation: str
    person: str
    at: datetime
    documents: tuple[Document, ...]
    attention: str = ""
    """People at the recipient that the message names."""
    tags: tuple[Tag, ...] = ()
    """The message's state, and references that no other message in the conversation has."""
    reply: str = ""
    """Address to which a reply is posted; empty if a reply is not possible."""
    raw: str = ""
    """Address of its raw form, for a message that cannot be shown."""
    left: str = ""
    """Advice on a message that is too large to be here; empty for any other."""
    read_by: int = 0
    readers: str = ""
    """Address of the list of readers."""
    way: str = ""
    """Address of the page on the message's way."""
    received: str = ""
    """Time of arrival and signer, as text."""
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A note on a conversation, which is never sent."""

    author: str
    at: datetime
    text: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A row on a page for checking an action before it is confirmed."""

    label: str
    value: str
    beneath: str = ""
    tag: Kind | None = None
    href: str = ""
    act: str = ""
    cautions: tuple[str, ...] = ()
    """Reasons for caution, each a sentence."""


class StepState(StrEnum):
    """The state of a step on a message's way."""

    DONE = "done"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """A step on a message's way."""

    text: str
    state: StepState
    at: datetime | None = None
