"""Values that the parts of pages are given: what a role has already decided to show, and nothing to fetch.

Templates take these apart; a role fills them. Texts of others come as they are and are escaped where they are
shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """The look of a tag or band; its text says the same."""

    PLAIN = "plain"
    ACCENT = "accent"
    CONFIDENTIAL = "confidential"
    WARNING = "warning"
    BAD = "bad"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Tag:
    """A few words that mark something."""

    text: str
    kind: Kind = Kind.PLAIN


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another page; ``count`` is the number of things that wait there."""

    text: str
    href: str
    count: int = 0
    unread: bool = False
    current: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Links below a heading, which is empty for the first."""

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
    """References, the handler, who is writing."""
    id: str = ""
    """The key under which an open page learns who else is reading."""


@dataclass(frozen=True, slots=True)
class Lain:
    """Unread messages that have lain for longer than their mailbox allows, in words over a list of it."""

    what: str
    how_long: str
    href: str
    """The oldest."""
    open: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a message."""

    href: str
    name: str
    kind: str
    """Its type by its content, short: ``PDF``."""
    size: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a message; most messages have one, whose name is not shown."""

    text: str
    """The text as it arrived, or :func:`samdrift.web.messagetext.kept_text` of what was stored."""
    files: tuple[Attached, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Delivery of a message in words: what is known of it, and what is not."""

    tag: Tag
    beside: str = ""
    proof: str = ""
    """Address of the proof; empty without one."""
    undo: str = ""
    """Address of the page on which sending can be undone; empty where it cannot."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a conversation, of ours or of theirs."""

    id: str
    organisation: str
    person: str
    at: datetime
    documents: tuple[Document, ...]
    attention: str = ""
    """Persons at the recipient that it names, in words."""
    tags: tuple[Tag, ...] = ()
    """Its state and the references that only this message has."""
    reply: str = ""
    """Address to which an answer to it is posted; empty where it cannot be answered."""
    raw: str = ""
    """Address of its raw form, for one that cannot be shown."""
    left: str = ""
    """Advice about one that is not here, since it is too large; empty for every other."""
    read_by: int = 0
    readers: str = ""
    """Address of the list of its readers."""
    way: str = ""
    """Address of the way that it took."""
    received: str = ""
    """The time of arrival and the signer, in words."""
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A note beside a conversation, which is never sent."""

    author: str
    at: datetime
    text: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A row of a page on which a person checks what they are about to do."""

    label: str
    value: str
    beneath: str = ""
    tag: Kind | None = None
    href: str = ""
    act: str = ""
    cautions: tuple[str, ...] = ()
    """Reasons to look twice at it, each a sentence."""


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
