"""The members of each directory group at any moment, from the statements that froze them.

The tables only grow, through the caller's ``put``, which can undo the latest additions
(:class:`samdrift.rights.folding.State`). A person who joins and leaves at the same moment has left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from samdrift.rights.canonical import Json
from samdrift.rights.fields import Subject, SubjectKind, moment_text
from samdrift.rights.groups import MembersListed

Put = Callable[[dict[Any, Any], Any, Any], None]
"""Function that adds a key and value to a table, unless the key exists."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A period in which a person is in a group, from the statement ``joined``.

    ``end`` is ``None`` if the person is still in the group.
    """

    person: Subject
    joined: str
    since: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of a group, with the digest and moment of its statement."""

    digest: str
    at: datetime
    act: MembersListed


class Memberships:
    """The members of all groups of one organisation's directories, at any moment."""

    def __init__(self) -> None:
        self._turns: dict[tuple[Subject, Subject], dict[str, tuple[datetime, bool]]] = {}
        """Statements by which a person joined (true) or left, by group and person."""
        self._groups: dict[Subject, dict[Subject, None]] = {}
        """Groups that each person was ever in."""
        self._persons: dict[Subject, dict[Subject, None]] = {}
        """People who were ever in each group."""
        self._readings: dict[Subject, dict[str, Reading]] = {}

    def put(self, put: Put, digest: str, at: datetime, act: MembersListed) -> None:
        """Fold in a statement."""
        put(self._readings, act.group, {})
        put(self._readings[act.group], digest, Reading(digest, at, act))
        for ids, came in ((act.joined, True), (act.left, False)):
            for each in ids:
                person = Subject(SubjectKind.PERSON, each)
                put(self._turns, (act.group, person), {})
                put(self._turns[act.group, person], digest, (at, came))
                put(self._groups, person, {})
                put(self._groups[person], act.group, None)
                put(self._persons, act.group, {})
                put(self._persons[act.group], person, None)

    def all(self) -> tuple[Subject, ...]:
        """Return every group that was ever read, in order."""
        return tuple(sorted(self._readings, key=str))

    def of(self, person: Subject, moment: datetime) -> Iterator[tuple[Subject, str]]:
        """Yield the groups that a person is in, with the digest of the statement by which they joined."""
        for group in self._groups.get(person, ()):
            turn = self._turn(group, person, moment)
            if turn is not None and turn[1]:
                yield group, turn[0]

    def has(self, person: Subject, subject: Subject, moment: datetime) -> bool:
        """Return whether a person has what ``subject`` was given: as the subject itself, or as a member."""
        return subject == person or any(group == subject for group, _ in self.of(person, moment))

    def left(self, person: Subject, moment: datetime) -> Iterator[tuple[Subject, str]]:
        """Yield the groups that a person has left, with the digest of the statement by which they left."""
        for group in self._groups.get(person, ()):
            turn = self._turn(group, person, moment)
            if turn is not None and not turn[1]:
                yield group, turn[0]

    def members(self, group: Subject, moment: datetime) -> Mapping[Subject, str]:
        """Return the people in a group, with the digests of the statements by which they joined."""
        found = ((person, self._turn(group, person, moment)) for person in self._persons.get(group, ()))
        return {person: turn[0] for person, turn in found if turn is not None and turn[1]}

    def reading(self, group: Subject, moment: datetime) -> Reading | None:
        """Return the last reading of a group until a moment; its age is the age of the list."""
        found = (each for each in self._readings.get(group, {}).values() if each.at <= moment)
        return max(found, key=lambda each: (each.at, each.act.read_at, each.digest), default=None)

    def statement(self, group: Subject, digest: str) -> Reading:
        """Return a group's reading by the digest of its statement."""
        return self._readings[group][digest]

    def spells(self, group: Subject) -> Iterator[Spell]:
        """Yield each period in which a person was in a group, person by person."""
        for person in self._persons.get(group, ()):
            joined: tuple[str, datetime] | None = None
            for digest, at, came in self._ordered(group, person):
                if came and joined is None:
                    joined = digest, at
                elif not came and joined is not None:
                    if joined[1] < at:
                        yield Spell(person, *joined, at)
                    joined = None
            if joined is not None:
                yield Spell(person, *joined, None)

    def rows(self, moment: datetime) -> Iterator[dict[str, Json]]:
        """Yield a row for each member of a group at a moment, with the statement by which they joined."""
        for group in self._persons:
            for person, digest in self.members(group, moment).items():
                since = self._readings[group][digest].at
                yield {
                    "in": str(group),
                    "who": str(person),
                    "from": moment_text(since),
                    "statements": [digest],
                }

    def _ordered(self, group: Subject, person: Subject) -> list[tuple[str, datetime, bool]]:
        turns = self._turns.get((group, person), {})
        return sorted(((digest, at, came) for digest, (at, came) in turns.items()), key=_in_time)

    def _turn(self, group: Subject, person: Subject, moment: datetime) -> tuple[str, bool] | None:
        """Return the last statement about a person until a moment, and whether they joined by it."""
        turns = [each for each in self._ordered(group, person) if each[1] <= moment]
        if not turns:
            return None
        digest, _, came = turns[-1]
        return digest, came


def _in_time(turn: tuple[str, datetime, bool]) -> tuple[datetime, bool, str]:
    digest, at, came = turn
    return at, not came, digest
