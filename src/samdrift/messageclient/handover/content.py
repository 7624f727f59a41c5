"""A hand-over as the desk returns it: what is known of each message, and its content, which is read later."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from samdrift.messageclient.mail import Conversation, Message, Part, Person, Proofs, Reading


@dataclass(frozen=True, slots=True)
class Content:
    """A message that is being handed over, with its documents."""

    message: Message
    files: Mapping[str, AsyncIterable[bytes]]
    """Content of each file by its id; empty if files are not included."""
    raw: AsyncIterable[bytes] | None
    """Content of a message that cannot be shown."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Messages of a conversation that are being handed over; this has already been logged."""

    conversation: Conversation
    """Contains only the chosen messages, without documents, and its notes only if they are included."""
    organisation: str
    address: str
    """Functional address of the mailbox that contains the conversation."""
    parts: frozenset[Part]
    readings: Mapping[str, tuple[Reading, ...]]
    """Records of who has seen each message, by message."""
    contents: AsyncIterable[Content]
    """The messages with their documents, of which few are in memory at a time; each iteration starts over."""
    remote: Mapping[str, str]
    """Ids at the message service, by message."""
    proofs: Proofs | None
    """``None`` if no message service is configured for the organisation."""
    person: Person
    at: datetime
