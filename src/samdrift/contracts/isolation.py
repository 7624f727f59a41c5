"""Attempts to cross from one organisation to another, and their results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The result of an attempt."""

    DENIED = "denied"
    """The attempt reached nothing and revealed nothing."""
    LEAKED = "leaked"
    """The attempt reached something, or the answer revealed more than one about a nonexistent record does."""
    UNTRIED = "untried"
    """The attempt could not be made, which proves nothing."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to cross, described by actor, operation and interface.

    None of its texts names content, a record's identifier or a secret.
    """

    interface: str
    operation: str
    actor: str
    verdict: Verdict
    why: str = ""
    """General description of the leak, or the reason why the attempt could not be made."""
    expected: bool = False
    """True when the installation is not meant to have this interface, so that the attempt cannot be made."""
