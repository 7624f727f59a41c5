"""Worlds drawn by lot, and whom our report of who can names in them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.audit.entries import LogEntry
from samdrift.governance.who import Basis, PathKind, paths
from samdrift.governance.whodoors import Door, DoorEvent, DoorKind, Doors
from samdrift.governance.whouses import Uses
from samdrift.rights import (
    ORGANISATION,
    Copy,
    Ended,
    Given,
    Objected,
    Outcome,
    Request,
    Reviewed,
    Right,
    Scope,
    State,
    Statement,
    Subject,
    SubjectKind,
    Substitution,
    fold,
)
from samdrift.rights.deciding import decide_by
from samdrift.rights.gifts import gifts
from samdrift.rights.openfgaview import Tuple, bearing, tuples, user
from samdrift.rights.record import Record
from samdrift.rights.reviews import ReviewClosed, ReviewOpened
from samdrift.rights.statements import OF_CONTENT, OF_ORGANISATION, Act
from tests.unit.rights.building import (
    ANNA,
    BO,
    CARE,
    CILLA,
    DAG,
    GROUP,
    HABO,
    KARIN,
    KURT,
    ROBOT,
    SCHOOL,
    approve,
    ask,
    at,
    founding,
    grant,
    rights,
    stated,
)

NURSES = Subject.claim("https://idp.habo.se", "yrke", "sjuksköterska: natt")
LONG = Scope("x" * 240 + "#:*")
"""A mailbox whose name is too long for an object of OpenFGA, and has what it keeps for itself."""
PEOPLE, CLAIMS, SCOPES = (ANNA, BO, CILLA, DAG), (GROUP, NURSES), (SCHOOL, CARE, LONG)
SECOND = timedelta(seconds=1)
LAST = 240


@dataclass(frozen=True, slots=True)
class Stay:
    """The time for which the sign-in service vouches for a person's claim."""

    person: Subject
    claim: Subject
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """Who has a right in a scope, at each of three moments, and at any moment from the first to the last."""

    right: Right
    scope: Scope
    moments: tuple[datetime, ...]


class World:
    """An organisation's statements, and people who were in its groups for a time."""

    def __init__(self, seed: str, size: int = 30) -> None:
        self._drawn = random.Random(seed)
        self.statements = self._stated(size)
        self.stays = list(self._stays())
        self.copy = Copy.of(HABO, [(number, one.content) for number, one in enumerate(self.statements, 1)])
        self.basis = Basis(self.copy, Record(HABO), Doors.of(self._entries()), Uses(at(0), at(LAST)))
        self.edges = self._edges()
        """Moments at which something begins or ends."""

    def tuples(self) -> list[Tuple]:
        """Return the export, and who bears which claim."""
        own = tuples(self.copy.state, self.statements)
        return own + [bearing(one.person, one.claim, (one.since, one.until)) for one in self.stays]

    def questions(self, count: int) -> Iterator[Question]:
        """Yield questions about moments at and around the edges."""
        for _ in range(count):
            right = self._drawn.choice(list(Right))
            scope = ORGANISATION if right in OF_ORGANISATION else self._drawn.choice(SCOPES)
            edges = self._drawn.choices(self.edges, k=3)
            near = (each + self._drawn.choice((-1, 0, 1)) * SECOND for each in edges)
            yield Question(right, scope, tuple(sorted(near)))

    def reported(self, question: Question, first: datetime, last: datetime) -> set[str]:
        """Return whom our report names at some moment of a time, as users of OpenFGA."""
        kinds = {
            PathKind.PERSON: SubjectKind.PERSON,
            PathKind.MEMBER: SubjectKind.PERSON,
            PathKind.SYSTEM: SubjectKind.SYSTEM,
            PathKind.GROUP: SubjectKind.CLAIM,
        }
        return {
            user(Subject.parse(each.who))
            for each in paths(self.basis, first, last)
            if each.kind in kinds and each.where == str(question.scope) and question.right in each.can
        }

    def decided(self, question: Question, subject: Subject, moment: datetime) -> bool:
        """Return whether we let a subject that shows its claims of that moment."""
        borne = (one for one in self.stays if one.person == subject and one.since <= moment < one.until)
        claims = frozenset(one.claim for one in borne)
        asked = Request(HABO, subject, question.right, question.scope, claims)
        return decide_by(self.copy.state, asked, moment).allowed

    def beginnings(self, first: datetime, last: datetime) -> list[datetime]:
        """Return the first moment, and those until the last at which more can be had than just before."""
        found = gifts(self.copy.state, self.statements)
        begins = [start for one in found for start, _ in one.times] + [one.since for one in self.stays]
        return [first, *sorted({each for each in begins if first < each <= last})]

    def _stated(self, size: int) -> list[Statement]:
        found, hour = founding(), 0
        for _ in range(size):
            hour += self._drawn.choice((0, 0, 1, 3, 12))
            found.append(self._one(found, hour))
        return sorted({each.digest: each for each in found}.values(), key=lambda each: each.at)

    def _one(self, before: list[Statement], hour: int) -> Statement:
        drawn = self._drawn
        by, named = drawn.choice((ANNA, ANNA, ANNA, DAG, BO, KARIN, KURT)), drawn.choice(before)
        given = [each for each in before if isinstance(each.act, Given)]
        act: Act
        match drawn.randrange(16):
            case 0:
                act = Ended(of=named.digest)
            case 1:
                act = Ended(subject=drawn.choice((*PEOPLE[1:], *CLAIMS)))
            case 2:
                act = Objected(drawn.choice(given).digest)
            case 3:
                objections = [each for each in before if isinstance(each.act, Objected)]
                act = Ended(of=drawn.choice(objections or before).digest)
            case 4:
                act = Reviewed(drawn.choice(given).digest, drawn.choice(list(Outcome)))
            case 5:
                effective = fold(HABO, before)
                lasting = [each.digest for each in given if _counts(effective, each)]
                items = tuple(sorted({drawn.choice(lasting or [named.digest]) for _ in range(3)}))
                act = ReviewOpened("mailbox:school", items, ANNA, DAG, at(hour + 24))
            case 6:
                reviews = [each for each in before if isinstance(each.act, ReviewOpened)]
                act = ReviewClosed(drawn.choice(reviews or before).digest)
                hour += 24
            case 7:
                absent, substitute = drawn.sample(PEOPLE, 2)
                what = Substitution(substitute, drawn.choice((ORGANISATION, *SCOPES)), absent)
                return grant(by, hour, what, end=hour + drawn.choice((1, 20, 90)))
            case 8:
                asked = [each for each in given if isinstance(each.act, Given) and each.act.asked]
                return approve(drawn.choice((ANNA, KURT, DAG)), hour, drawn.choice(asked or given))
            case 9:
                role = drawn.choice(sorted(OF_ORGANISATION))
                return ask(
                    drawn.choice((ANNA, KARIN)), hour, rights(drawn.choice(PEOPLE), ORGANISATION, role)
                )
            case _:
                to = drawn.choice((*PEOPLE, *PEOPLE, ROBOT, *CLAIMS))
                names = [*OF_CONTENT, *([Right.MANAGE] if to in PEOPLE else [])]
                some = drawn.sample(sorted(names), drawn.randint(1, 3))
                start = hour + drawn.choice((0, 0, 5))
                until = start + drawn.choice((1, 10, 50, 400))
                makes = drawn.choice((grant, grant, ask))
                return makes(by, hour, rights(to, drawn.choice(SCOPES), *some), start, until)
        return stated(by, hour, act)

    def _stays(self) -> Iterator[Stay]:
        for person in PEOPLE:
            for claim in CLAIMS:
                if self._drawn.random() < 0.6:  # At most one stay: a tuple has only one condition.
                    since, until = sorted(self._drawn.sample(range(LAST), 2))
                    yield Stay(person, claim, at(since), at(until))

    def _entries(self) -> list[LogEntry]:
        """Return the counts of those who were in a group, once for each thing that the group was given."""
        found = []
        for stay in self.stays:
            for each in self.statements:
                if isinstance(each.act, Given) and each.act.what.subject == stay.claim:
                    door = Door(DoorKind.MEMBER, str(stay.person), each.digest)
                    facts = {"door": door.name, **door.facts()}
                    found.append(_entry(stay.since, DoorEvent.GOV_DOOR_SEEN, facts))
                    found.append(_entry(stay.until, DoorEvent.GOV_DOOR_GONE, {"door": door.name}))
        return sorted(found, key=lambda each: each.at)

    def _edges(self) -> list[datetime]:
        times = [span for one in gifts(self.copy.state, self.statements) for span in one.times]
        times += [(one.since, one.until) for one in self.stays]
        return sorted({moment for span in times for moment in span})


def _counts(state: State, statement: Statement) -> bool:
    return any(statement.digest in each.statements for each in state.holdings(state.last or at(0)))


def _entry(when: datetime, event: str, facts: dict[str, str]) -> LogEntry:
    return LogEntry(1, when, event, "worker:governance", "read", facts, b"", b"")
