"""Copies: the statements of an organisation as one role has them, numbered, and how far the role is behind.

No role opens another's vault to decide. Each vault has a copy of the statements that its role needs, in the
order in which they were stated, numbered from 1 without a gap. The command that states something writes the
number and the bytes to every copy; a copy that it does not reach (a vault that is locked, a process that is
down) is brought up to date afterwards, from any vault that has more. Who asks names the number that the
answer must not lack, and a copy that does not have it yet answers nothing: it is behind, and says up to
where it is.

A copy stops before a number that is missing, and before the first statement that its program does not
understand. A number that arrives again with other bytes is never accepted: one of the two was not stated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from samdrift.rights.deciding import Decision, Request, decide_by
from samdrift.rights.folding import OutOfOrder, State, fold
from samdrift.rights.groups import MembersListed
from samdrift.rights.settling import Settled, listing
from samdrift.rights.statements import NotUnderstood, Statement


class Contradiction(ValueError):
    """Statements that do not continue a copy; ``number`` is the first one at fault."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(f"{text} (statement {number})")
        self.number = number


class Behind(Exception):
    """A copy that lacks statements which the answer must not lack: it has them up to ``number``."""

    def __init__(self, number: int, wanted: int) -> None:
        super().__init__(f"the copy of the statements ends at {number}, and {wanted} is asked for")
        self.number = number
        self.wanted = wanted


@dataclass(slots=True)
class Copy:
    """The statements of one organisation that a role has, folded."""

    state: State
    digests: list[str] = field(default_factory=list)
    not_understood: int | None = None
    """Number of the first statement that this program does not understand; the copy ends before it."""
    signed: dict[str, int] = field(default_factory=dict)
    """Digests of signed statements that are folded in as well, with their numbers in the record."""
    settled: Settled | None = None
    """The moment from which the copy's own, unsigned statements do not count."""
    _numbers: dict[str, int] = field(default_factory=dict)
    """Numbers of the digests."""
    _own: list[Statement] = field(default_factory=list)
    _signed: list[Statement] = field(default_factory=list)

    @classmethod
    def of(cls, organisation: str, statements: Iterable[tuple[int, bytes]] = ()) -> Self:
        """Return the copy that ``statements``, by number, make."""
        copy = cls(State(organisation))
        copy.accept(statements)
        return copy

    @property
    def number(self) -> int:
        """Number of the last statement that is there."""
        return len(self.digests)

    def accept(self, statements: Iterable[tuple[int, bytes]]) -> int:
        """Continue the copy, and return the number up to which it is good now.

        Those that it has already change nothing, so that the same ones can be sent again after a broken
        connection. :class:`Contradiction` leaves what was accepted before it.
        """
        for number, content in sorted(statements):
            if number > self.number + 1 or self.not_understood is not None:
                break
            self._accept(number, content)
        return self.number

    def _accept(self, number: int, content: bytes) -> None:
        try:
            statement = Statement.parse(content)
        except NotUnderstood:
            if number <= self.number:
                raise Contradiction("another statement had this number", number) from None
            self.not_understood = number
            return
        if number <= self.number:
            if number < 1 or self.digests[number - 1] != statement.digest:
                raise Contradiction("another statement had this number", number)
            return
        if statement.organisation != self.state.organisation:
            raise Contradiction("it is another organisation's", number)
        if statement.digest in self._numbers:
            raise Contradiction("it is there under an earlier number", number)
        if isinstance(statement.act, MembersListed):
            raise Contradiction("only a signed statement says who is in a group", number)
        if self._own and statement.at < self._own[-1].at:
            raise Contradiction("it is of an earlier moment than the one before it", number)
        self._own.append(statement)
        self.digests.append(statement.digest)
        self._numbers[statement.digest] = len(self.digests)
        if self.settled is None or number <= self.settled.number:
            self._fold([statement])

    def include(self, record: Sequence[Statement], settled: Settled | None = None) -> None:
        """Fold in the signed statements of the organisation's record, which goes on from call to call.

        Rights by signed statements and by those of the copy are one: each can end what the other gave, until
        the record has ``settled`` that its own alone count. :class:`Contradiction` where those of the copy
        are not the ones that were settled.
        """
        new = record[len(self._signed) :]
        for statement in new:
            self._signed.append(statement)
            self.signed[statement.digest] = len(self._signed)
        if settled is not None and self.settled is None:
            if listing(self.digests[: settled.number]) != settled.listing:
                raise Contradiction("these are not the statements that were settled", settled.number)
            self.settled = settled
            self._fold_again()
        else:
            self._fold(new)

    def number_of(self, digest: str) -> str:
        """Return the number by which people know a statement: ``12``, or ``S12`` for a signed one."""
        if digest in self.signed:
            return f"S{self.signed[digest]}"
        return str(self._numbers[digest])

    def _fold(self, new: Sequence[Statement]) -> None:
        try:
            self.state.extend(new)
        except OutOfOrder:  # One of the two sequences was behind the other.
            self._fold_again()

    def _fold_again(self) -> None:
        own = self._own if self.settled is None else self._own[: self.settled.number]
        self.state = fold(self.state.organisation, [*own, *self._signed])
        if self.settled is not None:
            self.state.close((each.digest for each in own), self.settled.since, self.settled.digest)

    def decide(self, request: Request, clock: datetime, wanted: int = 0) -> Decision:
        """Return the answer now; :class:`Behind` where the copy lacks number ``wanted`` or one that it
        cannot read.

        A clock that was set back prolongs nothing: the moment of the last statement counts then.
        """
        if self.not_understood is not None:
            wanted = max(wanted, self.not_understood)
        if wanted > self.number:
            raise Behind(self.number, wanted)
        return decide_by(self.state, request, max(clock, self.state.last or clock))
