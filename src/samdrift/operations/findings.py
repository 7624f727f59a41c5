"""Findings of the doctor: one for each thing that an installation stands on. Pure.

A finding that is not in order always says three things: what was found, why it matters, and what to
type or whom to ask. The reason is declared once for each subject, so that no check can leave it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """State of what was examined."""

    OK = "ok"
    WARN = "warn"
    """It works, and has to be seen to."""
    FAIL = "fail"
    SKIPPED = "skipped"
    """Not examined: it does not exist here, or what it needs could not be reached."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's answer."""

    id: str
    state: State
    found: str
    why: str = ""
    todo: str = ""
    about: str = ""
    """The organisation that it concerns; empty where it concerns the whole installation."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that is examined, and the harm when it is not in order."""

    id: str
    why: str
    about: str = ""

    def ok(self, found: str) -> Finding:
        return Finding(self.id, State.OK, found, about=self.about)

    def warn(self, found: str, todo: str) -> Finding:
        return Finding(self.id, State.WARN, found, self.why, todo, self.about)

    def fail(self, found: str, todo: str) -> Finding:
        return Finding(self.id, State.FAIL, found, self.why, todo, self.about)

    def skipped(self, found: str) -> Finding:
        return Finding(self.id, State.SKIPPED, found, about=self.about)

    def judged(self, fault: str, good: str, todo: str) -> Finding:
        """Return a failure where there is a fault, else that it is good."""
        return self.fail(fault, todo) if fault else self.ok(good)


_EXIT = {State.OK: 0, State.SKIPPED: 0, State.WARN: 1, State.FAIL: 2}


def exit_status(findings: Iterable[Finding]) -> int:
    """Return 0 when nothing is wrong, 1 when something has to be seen to, 2 when something fails."""
    return max((_EXIT[one.state] for one in findings), default=0)
