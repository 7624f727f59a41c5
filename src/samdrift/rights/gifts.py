"""Grants with the times at which they count, read from the statements themselves.

The second opinions (:mod:`samdrift.rights.cedarview`, :mod:`samdrift.rights.openfgaview`) use these rather
than the folded state, so that an error in the times of the fold shows up as a difference. Only the effect of
each statement, and the items that a closed review ended by silence, come from the fold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from samdrift.rights.fields import Subject, SubjectKind, same_person
from samdrift.rights.folding import Effect, State
from samdrift.rights.groups import MembersListed
from samdrift.rights.reviews import ReviewClosed
from samdrift.rights.statements import Approved, Ended, Given, Objected, Outcome, Reviewed, Statement

Span: TypeAlias = tuple[datetime, datetime]
"""A time span from one moment until before another."""
_NEVER = datetime.max.replace(microsecond=0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Gift:
    """A grant that counts at some time."""

    given: Given
    statement: Statement
    times: tuple[Span, ...]
    """The times at which it counts, in order."""
    author: Subject
    """The subject that approved it or, if it needed no approval, gave it."""


def gifts(state: State, statements: Iterable[Statement]) -> list[Gift]:
    """Return the grants among ``statements`` that count at some time, given their folded ``state``."""
    found = _Acts()
    given = list[tuple[Statement, Given]]()
    for each in statements:
        if isinstance(each.act, _ABOUT_RIGHTS) and state.effect(each.digest) is Effect.TAKEN:
            found.take(each)
            if isinstance(each.act, Given):
                given.append((each, each.act))
    counting = ((each, act, tuple(found.times(state, each, act))) for each, act in given)
    return [Gift(act, each, times, found.author(each, act)) for each, act, times in counting if times]


@dataclass(frozen=True, slots=True)
class Share:
    """A grant to a group, as it applies to one of its members."""

    gift: Gift
    member: Subject
    times: tuple[Span, ...]


def shares(found: Iterable[Gift], statements: Iterable[Statement]) -> Iterator[Share]:
    """Yield the shares of group members in the grants ``found``, from the readings in ``statements``.

    Members have no share in a grant that they gave or approved themselves.
    """
    stays = _stays(statements)
    for gift in found:
        for member, spans in stays.get(gift.given.what.subject, {}).items():
            times = [_both(time, span) for time in gift.times for span in spans]
            counting = tuple(sorted(each for each in times if each[0] < each[1]))
            if counting and not same_person(member, gift.author):
                yield Share(gift, member, counting)


def _stays(statements: Iterable[Statement]) -> dict[Subject, dict[Subject, list[Span]]]:
    """Return when each person was in each group, ignoring people who join and leave at the same moment."""
    moments = dict[tuple[Subject, Subject, datetime], bool]()
    for each in statements:
        if isinstance(each.act, MembersListed):
            for ids, came in ((each.act.joined, True), (each.act.left, False)):
                for one in ids:
                    key = each.act.group, Subject(SubjectKind.PERSON, one), each.at
                    moments[key] = came and moments.get(key, True)
    stays = dict[Subject, dict[Subject, list[Span]]]()
    for (group, person, at), came in sorted(moments.items(), key=lambda each: each[0][2]):
        spans = stays.setdefault(group, {}).setdefault(person, [])
        there = bool(spans) and spans[-1][1] == _NEVER
        if came and not there:
            spans.append((at, _NEVER))
        elif there and not came:
            spans[-1] = spans[-1][0], at
    return stays


def _both(one: Span, other: Span) -> Span:
    return max(one[0], other[0]), min(one[1], other[1])


_ABOUT_RIGHTS = (Given, Approved, Reviewed, Objected, Ended, ReviewClosed)


class _Acts:
    """Statements that had an effect, by the statement or subject that they refer to."""

    def __init__(self) -> None:
        self._about: dict[str, list[Statement]] = defaultdict(list)
        self._ends_of: dict[Subject, list[datetime]] = defaultdict(list)
        self._closings: set[str] = set()

    def take(self, statement: Statement) -> None:
        """Add a statement."""
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

    def author(self, statement: Statement, given: Given) -> Subject:
        """Return the subject whose statement made a grant begin."""
        if not given.asked:
            return statement.by
        return min(self._of(statement, Approved), key=lambda each: each.at).by

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
    """Yield the remaining parts of a time span after removing another, which may have no end."""
    start, end = time
    yield start, min(end, since)
    if until is not None:
        yield max(start, until), end
