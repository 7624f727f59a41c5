"""Open pages: what each shows, the other people that it names, and the changes that it is notified of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from samdrift.messageclient.mail import Person
from samdrift.rights import Right


@dataclass(frozen=True, slots=True)
class Present:
    """Another person who has a conversation open now."""

    person: Person
    writing: bool


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page that is open: the list on it, and the conversation on it."""

    mailbox: str = ""
    """The mailbox of the list. Beside a conversation is the list of the one that it lies in."""
    everything: bool = False
    """The list is of all mailboxes that the person may read."""
    conversation: str = ""
    writing: bool = False
    """The person writes in the conversation, and has no list beside."""


@dataclass(frozen=True, slots=True)
class Watch:
    """The list and conversation of a page in the state that it shows, to learn that they have changed."""

    listed: tuple[str, ...] = ()
    """Mailboxes of the list."""
    conversation: str = ""
    mailbox: str = ""
    """The mailbox of the conversation."""
    right: Right = Right.READ
    """The right that the person needs for it."""
    list_state: str = ""
    conversation_state: str = ""

    @property
    def mailboxes(self) -> frozenset[str]:
        """All mailboxes of which the page shows something."""
        return frozenset(filter(None, (*self.listed, self.mailbox)))

    def states(
        self, lists: Mapping[str, str], conversations: Mapping[str, tuple[str, str]]
    ) -> tuple[str, str]:
        """Return the state of both by the marks of mailboxes, and of conversations with their mailboxes."""
        listed = "-".join(lists.get(mailbox, "0") for mailbox in self.listed)
        if not self.conversation:
            return listed, ""
        mailbox, mark = conversations.get(self.conversation, ("", ""))
        return listed, mark if mailbox == self.mailbox else "elsewhere"


@dataclass(frozen=True, slots=True)
class News:
    """Changes since a page was made, and who else is there."""

    arrived: int
    """Messages that came into the mailboxes of the list."""
    list_changed: bool
    conversation_changed: bool
    present: Mapping[str, tuple[Present, ...]]
    """Colleagues, by conversation."""


class Change(StrEnum):
    """Kinds of changes that an open page is notified of."""

    NEWS = "news"
    """The list or the conversation has changed."""
    PRESENT = "present"
    """A colleague has come or gone, or begun to write."""
    ALIVE = "alive"
    """A sign of life."""
    OVER = "over"
    """The page is not for this person any more."""
