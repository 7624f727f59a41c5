"""Findings of the doctor, each about one thing that an installation depends on. Pure.

A finding that is not in order always states what was found, why it matters, and what to do. The reason is
declared once for each subject, so that no check can leave it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The state that a check has found."""

    OK = "ok"
    WARN = "warn"
    """Works, but needs attention."""
    FAIL = "fail"
    SKIPPED = "skipped"
    """Not examined, because it does not exist here or something that it needs is unavailable."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    id: str
    state: State
    found: str
    why: str = ""
    todo: str = ""
    about: str = ""
    """The organisation concerned; empty for the whole installation."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A thing that is examined, with the harm if it is not in order."""

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
        """Return a failure if ``fault`` is not empty, otherwise a finding that all is well."""
        return self.fail(fault, todo) if fault else self.ok(good)


_EXIT = {State.OK: 0, State.SKIPPED: 0, State.WARN: 1, State.FAIL: 2}


def exit_status(findings: Iterable[Finding]) -> int:
    """Return 0 when nothing is wrong, 1 when something needs attention, 2 when something fails."""
    return max((_EXIT[one.state] for one in findings), default=0)
