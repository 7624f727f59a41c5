"""The record of attempts in one run of the isolation check, with their results."""

from __future__ import annotations

from collections.abc import Iterable

from samdrift.contracts.isolation import Attempt, Verdict


class Ledger:
    """The attempts, in the order in which they were made."""

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []

    def add(self, attempts: Iterable[Attempt]) -> None:
        self._attempts += attempts

    def tried(self, interface: str, operation: str, actor: str, leak: str = "") -> None:
        """Record an attempt; ``leak`` describes what it revealed, and is empty if it was denied."""
        verdict = Verdict.LEAKED if leak else Verdict.DENIED
        self._attempts.append(Attempt(interface, operation, actor, verdict, leak))

    def untried(
        self, interface: str, operation: str, actor: str, why: str, *, expected: bool = False
    ) -> None:
        """Record an attempt that could not be made, which never counts as denied."""
        self._attempts.append(Attempt(interface, operation, actor, Verdict.UNTRIED, why, expected))

    def of(self, *verdicts: Verdict) -> list[Attempt]:
        return [one for one in self._attempts if one.verdict in verdicts]

    @property
    def passed(self) -> bool:
        """Return whether nothing leaked, and every attempt that was expected to be possible was made."""
        untried = [one for one in self.of(Verdict.UNTRIED) if not one.expected]
        return not untried and not self.of(Verdict.LEAKED) and bool(self.of(Verdict.DENIED))

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the attempts at each interface, and how many of them were denied."""
        found: dict[str, dict[str, int]] = {}
        for one in self._attempts:
            row = found.setdefault(one.interface, {"attempts": 0, "denied": 0, "leaked": 0, "untried": 0})
            row[one.verdict] += 1
            row["attempts"] += one.verdict is not Verdict.UNTRIED
        return found
