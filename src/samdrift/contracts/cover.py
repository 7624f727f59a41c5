"""Cover by agreements: whether a role's function may receive and send, and since when it may not.

Which agreements cover what is decided in :mod:`samdrift.installation.cover`, from the role's own verified
copy of the statements; a running role asks the object that was placed in its gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.wire.identifiers import ParticipantIdentifier

COVERED_PURPOSES = frozenset(
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
"""Purposes for which a role's vault opens only while its function is covered; all others are maintenance."""


class Mode(StrEnum):
    """State of a function under the organisation's agreements."""

    ON = "on"
    RECEIVING = "receiving"
    """Cover has ended and the organisation had chosen to stop sending in that case; receiving continues."""
    UNCOVERED = "uncovered"
    """Cover has ended, but the organisation had chosen beforehand to continue sending and receiving."""
    OFF = "off"
    """There has never been cover."""

    @property
    def receives(self) -> bool:
        """Return whether messages are received."""
        return self is not Mode.OFF

    @property
    def sends(self) -> bool:
        """Return whether new messages are sent."""
        return self in (Mode.ON, Mode.UNCOVERED)


class NotCovered(Explained):
    """Error for a new message that is not sent because no agreement covers the function any more."""

    title = "New messages are not sent: no agreement covers it"
    """Title of the step that ends a message; the text after it names the date on which cover ended."""

    def __init__(self, since: datetime | None) -> None:
        when = f" since {since:%Y-%m-%d %H:%M:%S}Z" if since is not None else ""
        super().__init__(f"{self.title}{when}; received messages still arrive")
        self.since = since

    @property
    def detail(self) -> str:
        """Return instructions for restoring cover."""
        return "Two of the organisation's officers can extend the agreement: samdrift gov agreement extend"


@dataclass(frozen=True, slots=True)
class Cover:
    """Current state of one function of one organisation."""

    mode: Mode
    since: datetime | None = None
    """Time at which cover ended."""
    behind: Temporary | None = None
    """Error that keeps the role's copy from being read to its end; it then receives, and sends later."""

    def require_sending(self) -> None:
        """Raise :class:`NotCovered` if new messages are not sent, or ``behind`` if that cannot be decided."""
        if self.behind is not None:
            raise self.behind
        if not self.mode.sends:
            raise NotCovered(self.since)


COVERED = Cover(Mode.ON)


class Covers(Protocol):
    """Answers whether an organisation's function in a role is covered."""

    async def __call__(self, organisation: ParticipantIdentifier, role: Role) -> Cover:
        """Return the current cover.

        Raises a :class:`~samdrift.contracts.errors.Temporary` error while it cannot be read.
        """
        ...
