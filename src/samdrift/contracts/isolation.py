"""An attempt to cross from one organisation to another, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The result of an attempt."""

    DENIED = "denied"
    """The attempt reached nothing and learned nothing."""
    LEAKED = "leaked"
    """Something was reached, or the answer revealed more than an answer about nothing does."""
    UNTRIED = "untried"
    """It could not be made, which proves nothing."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to cross: actor, operation and place. No text names content, a record's identifier, or a
    secret.
    """

    interface: str
    operation: str
    actor: str
    verdict: Verdict
    why: str = ""
    """The leak in general words, or the reason why the attempt could not be made."""
    expected: bool = False
    """True when the installation is meant to have no such interface, so that this cannot be tried."""
