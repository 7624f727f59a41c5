"""A role's copy of an organisation's statements, numbered, so that it is known how far the role is behind.

A role does not open another role's vault to decide. Each vault has a copy of the statements that its role
needs, in the order in which they were made, numbered from 1 without gaps. The command that makes a statement
writes its number and bytes to every copy. A copy that it cannot reach (because the vault is locked, or the
process is down) is updated later, from any vault that has more. A caller names the number that the answer has
to include. A copy that does not have it yet does not answer: it is behind, and reports its last number.

A copy ends before a missing number, and before the first statement that its program does not understand. A
number that arrives again with different bytes is never accepted, because only one of the two can be genuine.
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
    """Error raised for statements that do not continue a copy; ``number`` is the first one at fault."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(f"{text} (statement {number})")
        self.number = number


class Behind(Exception):
    """Error raised when a copy lacks statements that the answer must include; it ends at ``number``."""

    def __init__(self, number: int, wanted: int) -> None:
        super().__init__(f"the copy of the statements ends at {number}, but {wanted} is required")
        self.number = number
        self.wanted = wanted


@dataclass(slots=True)
class Copy:
    """A role's copy of one organisation's statements, folded."""

    state: State
    digests: list[str] = field(default_factory=list)
    not_understood: int | None = None
    """Number of the first statement that this program does not understand, before which the copy ends."""
    signed: dict[str, int] = field(default_factory=dict)
    """Digests of the signed statements that are folded in too, with their numbers in the record."""
    settled: Settled | None = None
    """The settlement from which on the copy's own, unsigned statements no longer count."""
    _numbers: dict[str, int] = field(default_factory=dict)
    """Number of each statement, by digest."""
    _own: list[Statement] = field(default_factory=list)
    _signed: list[Statement] = field(default_factory=list)

    @classmethod
    def of(cls, organisation: str, statements: Iterable[tuple[int, bytes]] = ()) -> Self:
        """Return the copy made from ``statements``, given with their numbers."""
        copy = cls(State(organisation))
        copy.accept(statements)
        return copy

    @property
    def number(self) -> int:
        """Number of the last statement in the copy."""
        return len(self.digests)

    def accept(self, statements: Iterable[tuple[int, bytes]]) -> int:
        """Continue the copy with statements, and return its last number.

        Statements that it already has change nothing, so that they can be sent again after a broken
        connection. If :class:`Contradiction` is raised, the statements accepted before it stay.
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
            raise Contradiction("it belongs to another organisation", number)
        if statement.digest in self._numbers:
            raise Contradiction("it already has an earlier number", number)
        if isinstance(statement.act, MembersListed):
            raise Contradiction("only a signed statement says who is in a group", number)
        if self._own and statement.at < self._own[-1].at:
            raise Contradiction("it is earlier than the one before it", number)
        self._own.append(statement)
        self.digests.append(statement.digest)
        self._numbers[statement.digest] = len(self.digests)
        if self.settled is None or number <= self.settled.number:
            self._fold([statement])

    def include(self, record: Sequence[Statement], settled: Settled | None = None) -> None:
        """Fold in the signed statements of the organisation's record, which grows from call to call.

        Rights from signed statements and from those of the copy are treated as one set, in which each can
        end what the other gave. Once the record has ``settled`` the copy's statements, only signed ones
        count. Raise :class:`Contradiction` if the statements in the copy are not the ones that were
        settled.
        """
        new = record[len(self._signed) :]
        for statement in new:
            self._signed.append(statement)
            self.signed[statement.digest] = len(self._signed)
        if settled is not None and self.settled is None:
            if listing(self.digests[: settled.number]) != settled.listing:
                raise Contradiction("these are not the settled statements", settled.number)
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
        except OutOfOrder:  # One of the two sequences lagged behind the other.
            self._fold_again()

    def _fold_again(self) -> None:
        own = self._own if self.settled is None else self._own[: self.settled.number]
        self.state = fold(self.state.organisation, [*own, *self._signed])
        if self.settled is not None:
            self.state.close((each.digest for each in own), self.settled.since, self.settled.digest)

    def decide(self, request: Request, clock: datetime, wanted: int = 0) -> Decision:
        """Return the current answer; raise :class:`Behind` if the copy lacks number ``wanted``.

        It is also raised if the copy has a statement that it cannot read. The moment of the last statement
        counts if it is later than ``clock``, so that setting the clock back prolongs nothing.
        """
        if self.not_understood is not None:
            wanted = max(wanted, self.not_understood)
        if wanted > self.number:
            raise Behind(self.number, wanted)
        return decide_by(self.state, request, max(clock, self.state.last or clock))
