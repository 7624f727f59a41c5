"""Selections of conversations, and the views that keep them under a name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """States of conversations to select by."""

    ANY = ""
    UNREAD = "unread"
    OPEN = "open"
    DONE = "done"


ANYBODY, ME, NOBODY = "", "me", "none"
"""Handlers to select by, besides ids of persons."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection of conversations of a mailbox, or of all that may be read; empty fields do not matter."""

    mailbox: str | None = None
    state: State = State.ANY
    handler: str = ANYBODY
    confidential: bool | None = None
    files: bool | None = None
    quiet_days: int = 0
    """Days for which nothing has come or gone; 0 for any."""
    organisation: str = ""
    """Words of the other side's name, or its identifier."""


@dataclass(frozen=True, slots=True)
class View:
    """A selection that was kept under a name, for its person, or for everyone who reads the mailbox."""

    id: str
    name: str
    selection: Selection
    mailbox: str | None
    """The mailbox whose it is; ``None`` for the person's own."""
