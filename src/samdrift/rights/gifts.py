"""Grants that count and the times at which they do, read from the statements themselves.

The second opinions (:mod:`samdrift.rights.cedarview`, :mod:`samdrift.rights.openfgaview`) rest on these
rather than on what the statements were folded to: an error in the times of the fold shows as a difference.
From the fold come the effect of each statement, and which items a closed review ended by silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from samdrift.rights.fields import Subject
from samdrift.rights.folding import Effect, State
from samdrift.rights.reviews import ReviewClosed
from samdrift.rights.statements import Approved, Ended, Given, Objected, Outcome, Reviewed, Statement

Span: TypeAlias = tuple[datetime, datetime]
"""A time from a moment until before another."""


@dataclass(frozen=True, slots=True)
class Gift:
    """A grant that counts at some time."""

    given: Given
    statement: Statement
    times: tuple[Span, ...]
    """The times at which it counts, in order."""


def gifts(state: State, statements: Iterable[Statement]) -> list[Gift]:
    """Return the grants among ``statements`` that count at some time; they were folded to ``state``."""
    found = _Acts()
    given = list[tuple[Statement, Given]]()
    for each in statements:
        if isinstance(each.act, _ABOUT_RIGHTS) and state.effect(each.digest) is Effect.TAKEN:
            found.take(each)
            if isinstance(each.act, Given):
                given.append((each, each.act))
    counting = ((each, act, tuple(found.times(state, each, act))) for each, act in given)
    return [Gift(act, each, times) for each, act, times in counting if times]


_ABOUT_RIGHTS = (Given, Approved, Reviewed, Objected, Ended, ReviewClosed)


class _Acts:
    """Statements that had an effect, by the statement or the subject that they name."""

    def __init__(self) -> None:
        self._about: dict[str, list[Statement]] = defaultdict(list)
        self._ends_of: dict[Subject, list[datetime]] = defaultdict(list)
        self._closings: set[str] = set()

    def take(self, statement: Statement) -> None:
        """Note one."""
        match statement.act:
            case Approved(of) | Objected(of) | Reviewed(of=of, outcome=Outcome.REMOVE) | Ended(of=str(of)):
                self._about[of].append(statement)
            case Ended(subject=Subject() as subject):
                self._ends_of[subject].append(statement.at)
            case ReviewClosed():
                self._closings.add(statement.digest)
            case _:
                pass

    def times(self, state: State, statement: Statement, given: Given) -> list[Span]:
        """Return the times at which a grant counts."""
        begins = statement.at
        if given.asked:
            begins = min(each.at for each in self._of(statement, Approved))
        times = [(max(begins, given.start), min(self._ends(state, statement, given)))]
        for objection in self._of(statement, Objected):
            lifted = min((each.at for each in self._of(objection, Ended)), default=None)
            times = [part for time in times for part in _without(time, objection.at, lifted)]
        return [time for time in times if time[0] < time[1]]

    def _of(self, statement: Statement, *kinds: type) -> Iterator[Statement]:
        return (each for each in self._about[statement.digest] if isinstance(each.act, kinds))

    def _ends(self, state: State, statement: Statement, given: Given) -> Iterator[datetime]:
        yield given.end
        yield from (each.at for each in self._of(statement, Ended, Reviewed))
        yield from (each for each in self._ends_of[given.what.subject] if statement.at <= each)
        ended = state.ended(statement.digest)
        if ended is not None and ended[1] in self._closings:
            yield ended[0]


def _without(time: Span, since: datetime, until: datetime | None) -> Iterator[Span]:
    """Yield what is left of a span of time without another, which may have no end."""
    start, end = time
    yield start, min(end, since)
    if until is not None:
        yield max(start, until), end
