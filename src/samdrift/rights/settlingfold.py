"""Folding of the end of unsigned rights: one officer asks for it, and another approves within a day."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from samdrift.rights.fields import same_person
from samdrift.rights.folding import Effect, State
from samdrift.rights.record import Record
from samdrift.rights.settling import Settled, SettlementAsked
from samdrift.rights.statements import Approved, Ended, Statement

_WAITS = timedelta(days=1)


class Settlement:
    """The settlement of one organisation, folded from its statements; there is at most one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._asked: dict[str, Statement] = {}
        self._withdrawn: set[str] = set()
        self.settled: Settled | None = None

    @classmethod
    def of(cls, state: State) -> Self:
        """Return the settlement of a state's organisation, whose roles determine authority."""
        return cls(state)

    def concerns(self, statement: Statement) -> bool:
        """Return whether a statement is about the settlement."""
        match statement.act:
            case Approved(of) | Ended(of=str(of)):
                return of in self._asked
            case act:
                return isinstance(act, SettlementAsked)

    def judge(self, statement: Statement) -> Effect:
        """Return the effect that a statement would have, without changing anything."""
        by, at = statement.by, statement.at
        if not self._state.is_officer(by, at):
            return Effect.NO_AUTHORITY
        if self.settled is not None:
            return Effect.OVER
        match statement.act:
            case SettlementAsked():
                return Effect.WAITING
            case Approved(of):
                asked = self._asked[of]
                if same_person(by, asked.by):
                    return Effect.SELF
                late = at > asked.at + _WAITS or of in self._withdrawn
                return Effect.OVER if late else Effect.TAKEN
            case Ended(of=str(of)):
                return Effect.OVER if of in self._withdrawn else Effect.TAKEN
            case _:
                return Effect.NAMES_NOTHING

    def take(self, statement: Statement) -> None:
        """Fold in a statement; one without an effect changes nothing."""
        if not self.concerns(statement):
            return
        effect = self.judge(statement)
        match statement.act:
            case SettlementAsked() if effect is Effect.WAITING:
                self._asked[statement.digest] = statement
            case Approved(of) if effect is Effect.TAKEN:
                asked = self._asked[of]
                assert isinstance(asked.act, SettlementAsked)
                self.settled = Settled(
                    statement.at, asked.act.number, asked.act.listing, asked.by, asked.digest
                )
            case Ended(of=str(of)) if effect is Effect.TAKEN:
                self._withdrawn.add(of)
            case _:
                pass


def settled_in(record: Record) -> Settled | None:
    """Return the settlement in a record that was read with all folds, or ``None``."""
    return next(each for each in record.folds if isinstance(each, Settlement)).settled
