"""Criteria for selecting conversations, and views that save them under a name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """States of conversations that can be selected."""

    ANY = ""
    UNREAD = "unread"
    OPEN = "open"
    DONE = "done"


ANYBODY, ME, NOBODY = "", "me", "none"
"""Values for the handler in a selection, besides the ids of people."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Criteria for conversations of one mailbox, or of all readable ones; empty fields match anything."""

    mailbox: str | None = None
    state: State = State.ANY
    handler: str = ANYBODY
    confidential: bool | None = None
    files: bool | None = None
    quiet_days: int = 0
    """Number of days without messages in or out; 0 for any."""
    organisation: str = ""
    """Words of the other side's name, or its identifier."""


@dataclass(frozen=True, slots=True)
class View:
    """A saved selection, for one person or for everyone who can read the mailbox."""

    id: str
    name: str
    selection: Selection
    mailbox: str | None
    """Mailbox to which the view belongs; ``None`` if it is the person's own."""
