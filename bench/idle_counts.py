"""Tasks' steps and queries of an idle minute: counts that do not depend on the machine.

Memory that was not touched recently is no longer in the processor's caches, so the cost of an idle
installation depends on what it wakes up for, and on how many organisations it looks up then.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from bench import idle_parts
from samdrift.vault.database.session import Session
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import UnverifiedJwt

KINDS = ("steps of tasks", "organisations looked up", "statements", "logins", "signatures verified")
_SHOWN = 25


@dataclass
class IdleCounts:
    """Counts of each kind, and the tasks that took the steps and looked up organisations."""

    kinds: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    """Steps of tasks, by what they run."""
    lookups: Counter[str] = field(default_factory=Counter)
    """Organisations looked up, by the task that did so."""

    def per_minute(self, seconds: float) -> dict[str, float]:
        """Return each count per minute."""
        return {kind: self.kinds[kind] * 60 / seconds for kind in KINDS}

    def lines(self, seconds: float) -> Iterator[str]:
        """Yield lines with the largest counts, per minute."""
        for name, counted in (("steps", self.steps), ("looked up", self.lookups)):
            for what, number in counted.most_common(_SHOWN):
                yield f"{number * 60 / seconds:9.1f} {name}: {what}"


@contextmanager
def counted() -> Iterator[IdleCounts]:
    """Count while the context lasts, in a process whose tasks are accounted for (:mod:`bench.idle_parts`)."""
    counts, running = IdleCounts(), [""]
    step, hashed, verified = (
        idle_parts._Timed.send,
        ParticipantIdentifier.__hash__,
        UnverifiedJwt.verified,
    )

    def stepped(timed: idle_parts._Timed, value: Any) -> Any:
        running[0] = _name(timed._run)
        counts.kinds["steps of tasks"] += 1
        counts.steps[running[0]] += 1
        try:
            return step(timed, value)
        finally:
            running[0] = ""

    def looked_up(organisation: ParticipantIdentifier) -> int:
        counts.kinds["organisations looked up"] += 1
        counts.lookups[running[0] or f"no task: {sys._getframe(1).f_code.co_qualname}"] += 1
        return hashed(organisation)

    def verifying(token: UnverifiedJwt, *given: Any, **named: Any) -> Any:
        counts.kinds["signatures verified"] += 1
        return verified(token, *given, **named)

    with ExitStack() as stack:
        for owner, name, instead in (
            (idle_parts._Timed, "send", stepped),
            (ParticipantIdentifier, "__hash__", looked_up),
            (UnverifiedJwt, "verified", verifying),
            (Session, "connect", _counting(Session.connect, lambda _: counts.kinds.update(["logins"]))),
            (Session, "run", _counting(Session.run, lambda given: _ran(counts, given))),
        ):
            stack.enter_context(patch.object(owner, name, instead))
        yield counts


def _ran(counts: IdleCounts, given: tuple[Any, ...]) -> None:
    counts.kinds["statements"] += len(given[1])


def _counting(method: Callable[..., Any], note: Callable[[tuple[Any, ...]], None]) -> Callable[..., Any]:
    async def counting(*given: Any, **named: Any) -> Any:
        note(given)
        return await method(*given, **named)

    return counting


def _name(run: Any) -> str:
    """Return the outermost function of ours that a task runs, ignoring the wrapper for background work."""
    first = getattr(getattr(run, "cr_code", None), "co_qualname", "?")
    while (code := getattr(run, "cr_code", None)) is not None:
        if "/samdrift/" in code.co_filename and not code.co_filename.endswith("/net/background.py"):
            return str(code.co_qualname)
        run = run.cr_await
    return str(first)
