"""Data of open pages: the content they show, the other people present, and the kinds of changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from samdrift.messageclient.mail import Person
from samdrift.rights import Right


@dataclass(frozen=True, slots=True)
class Present:
    """Another person who currently has a conversation open."""

    person: Person
    writing: bool


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page that is open, with the list and the conversation that it shows."""

    mailbox: str = ""
    """Mailbox of the list. Next to a conversation, the list is that of the conversation's mailbox."""
    everything: bool = False
    """True if the list covers all mailboxes that the person may read."""
    conversation: str = ""
    writing: bool = False
    """True if the person is writing in the conversation, on a page without a list."""


@dataclass(frozen=True, slots=True)
class Watch:
    """The list and conversation of a page with the state it shows, for detecting changes."""

    listed: tuple[str, ...] = ()
    """Mailboxes that the list covers."""
    conversation: str = ""
    mailbox: str = ""
    """Mailbox of the conversation."""
    right: Right = Right.READ
    """Right that the person needs to see the page."""
    list_state: str = ""
    conversation_state: str = ""

    @property
    def mailboxes(self) -> frozenset[str]:
        """All mailboxes from which the page shows something."""
        return frozenset(filter(None, (*self.listed, self.mailbox)))

    def states(
        self, lists: Mapping[str, str], conversations: Mapping[str, tuple[str, str]]
    ) -> tuple[str, str]:
        """Return the states of list and conversation, from the marks of mailboxes and conversations."""
        listed = "-".join(lists.get(mailbox, "0") for mailbox in self.listed)
        if not self.conversation:
            return listed, ""
        mailbox, mark = conversations.get(self.conversation, ("", ""))
        return listed, mark if mailbox == self.mailbox else "elsewhere"


@dataclass(frozen=True, slots=True)
class News:
    """Changes since a page was made, and the other people present."""

    arrived: int
    """Number of messages that have arrived in the mailboxes of the list."""
    list_changed: bool
    conversation_changed: bool
    present: Mapping[str, tuple[Present, ...]]
    """Other people present, by conversation."""


class Change(StrEnum):
    """Kinds of changes that an open page is notified of."""

    NEWS = "news"
    """The list or the conversation has changed."""
    PRESENT = "present"
    """A colleague has opened or left a conversation, or started to write."""
    ALIVE = "alive"
    """A sign of life, sent at intervals without changes."""
    OVER = "over"
    """The person no longer has the right to see the page."""
