"""Cover by agreements, as the roles ask for it: may a function receive, may it send new messages, and if not,
since when.

Which agreements cover what is decided elsewhere, from the role's own verified copy of what was stated
(:mod:`samdrift.installation.cover`); a running role asks the object that was placed in its gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.wire.identifiers import ParticipantIdentifier

OF_FUNCTION = frozenset(
    {
        Purpose.SUBMIT,
        Purpose.SEND,
        Purpose.RECEIVE,
        Purpose.DELIVER,
        Purpose.COMPOSE,
        Purpose.PROCESS,
        Purpose.READ,
        Purpose.AUTHORISE,
    }
)
"""Purposes for which a role's vault opens only while its function is covered; the others are upkeep."""


class Mode(StrEnum):
    """The state of a function that agreements allow."""

    ON = "on"
    RECEIVING = "receiving"
    """Cover has ended, and the organisation had chosen to stop sending in that case: receiving continues."""
    UNCOVERED = "uncovered"
    """Cover has ended, but the organisation had chosen beforehand to continue with everything."""
    OFF = "off"
    """There has never been cover."""

    @property
    def receives(self) -> bool:
        """True when messages are received."""
        return self is not Mode.OFF

    @property
    def sends(self) -> bool:
        """True when new messages are sent."""
        return self in (Mode.ON, Mode.UNCOVERED)


class NotCovered(Explained):
    """A new message that is not sent, since no agreement covers the function any more."""

    title = "New messages are not sent: no agreement covers it"
    """Title of the step that ends a message; the text after it names the date since when."""

    def __init__(self, since: datetime | None) -> None:
        when = f" since {since:%Y-%m-%d %H:%M:%S}Z" if since is not None else ""
        super().__init__(f"{self.title}{when}; received messages still arrive")
        self.since = since

    @property
    def detail(self) -> str:
        """Words on what to do."""
        return "Two of the organisation's officers can extend the agreement: samdrift gov agreement extend"


@dataclass(frozen=True, slots=True)
class Cover:
    """The state of one function of one organisation now."""

    mode: Mode
    since: datetime | None = None
    """The moment at which cover ended."""
    behind: Temporary | None = None
    """The reason for which the role's copy cannot be read to its end: it then receives, and sends later."""

    def require_sending(self) -> None:
        """Raise :class:`NotCovered` where nothing new is sent; the copy's fault where that is not known."""
        if self.behind is not None:
            raise self.behind
        if not self.mode.sends:
            raise NotCovered(self.since)


COVERED = Cover(Mode.ON)


class Covers(Protocol):
    """Answers how an organisation's function in a role is covered now."""

    async def __call__(self, organisation: ParticipantIdentifier, role: Role) -> Cover:
        """Return the cover; a :class:`~samdrift.contracts.errors.Temporary` error while it cannot be read."""
        ...
