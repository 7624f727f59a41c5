"""What is asked of both engines, and what OpenFGA itself has answered: kept world by world, for the suite.

The verdict has, for each world of a seed, a digest of what OpenFGA was given and asked, and one of its
answers. So the suite knows without OpenFGA whether our report and `decide` still say what OpenFGA said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from samdrift.rights import Subject
from samdrift.rights.openfgaview import model, user
from tests.openfga.worlds import PEOPLE, Question, World
from tests.unit.rights.building import ROBOT

FILE = Path(__file__).parent / "verdict.json"
QUESTIONS = 10
"""Cases of one world."""
ASKING = (*PEOPLE, ROBOT)
"""Subjects of whom it is asked whether they may."""
_DIGITS = 16
"""Hexadecimal digits of a digest: it shows accidents."""

Answers: TypeAlias = list[list[str]]
"""For each of the three dates who can, then for each of them who may, then who could; sorted."""


class Engine(Protocol):
    """Knows one world."""

    def can(self, question: Question, moment: datetime) -> set[str]:
        """Return everybody who has the right at a moment, as users of OpenFGA."""

    def may(self, question: Question, subject: Subject, moment: datetime) -> bool:
        """Return whether one subject has it."""

    def could(self, question: Question, first: datetime, last: datetime) -> set[str]:
        """Return everybody who has the right at some moment of a time."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Our report and `decide`."""

    world: World

    def can(self, question: Question, moment: datetime) -> set[str]:
        """Return whom the report of who can names."""
        return self.world.reported(question, moment, moment)

    def may(self, question: Question, subject: Subject, moment: datetime) -> bool:
        """Return what is decided."""
        return self.world.decided(question, subject, moment)

    def could(self, question: Question, first: datetime, last: datetime) -> set[str]:
        """Return whom the report of who could names."""
        return self.world.reported(question, first, last)


@dataclass(frozen=True, slots=True)
class Verdict:
    """OpenFGA's answers about the worlds of a seed."""

    seed: int
    openfga: str
    commit: str
    """Samdrift's, that the worlds were drawn and exported by."""
    given: Sequence[str]
    """Digests of the worlds, in order."""
    answered: Sequence[str]
    """Digests of the answers about them."""

    @classmethod
    def read(cls) -> Verdict:
        """Return the verdict that is kept."""
        return cls(**json.loads(FILE.read_text()))

    def write(self) -> None:
        """Keep this verdict."""
        FILE.write_text(json.dumps(asdict(self), indent=1) + "\n")


def drawn(seed: int, number: int) -> tuple[World, list[Question]]:
    """Return a world, and what is asked about it."""
    world = World(f"{seed} {number}")
    return world, list(world.questions(QUESTIONS))


def answers(engine: Engine, question: Question) -> Answers:
    """Return what an engine says in one case."""
    moments = question.moments
    may = ({user(each) for each in ASKING if engine.may(question, each, moment)} for moment in moments)
    found = [*(engine.can(question, moment) for moment in moments), *may]
    return [sorted(each) for each in (*found, engine.could(question, moments[0], moments[-1]))]


def given(world: World, questions: Sequence[Question]) -> str:
    """Return the digest of what OpenFGA is given and asked about a world."""
    asked = [
        [each.right.value, str(each.scope), [moment.isoformat() for moment in each.moments]]
        for each in questions
    ]
    return digest([model(), world.tuples(), asked])


def digest(content: object) -> str:
    """Return the digest of something that JSON can write."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]
