"""Folding of readings of groups in the order of the record, in which each continues from the previous one.

The frozen lists form a chain. A reading has the digest of the resulting list, and a reading that adds a
person who is in the group already, or removes a person who is not, is refused. In this way, no reading can be
left out of the record. A reading never leaves a group empty, whatever the directory answered: if a right is
to apply to nobody, a person has to end it.
"""

from __future__ import annotations

from typing import Self

from samdrift.rights.fields import Subject
from samdrift.rights.folding import Effect, State
from samdrift.rights.groups import MembersListed, listing
from samdrift.rights.record import Record
from samdrift.rights.statements import Statement


class Groups:
    """The latest members of the groups of one organisation's directories, according to the record."""

    def __init__(self) -> None:
        self._members: dict[Subject, frozenset[str]] = {}

    @classmethod
    def of(cls, state: State) -> Self:
        """Return the groups of a state's organisation, without using anything in the state."""
        return cls()

    def members(self, group: Subject) -> frozenset[str]:
        """Return the ids of the people in a group."""
        return self._members.get(group, frozenset())

    def concerns(self, statement: Statement) -> bool:
        """Return whether a statement is a reading of a group."""
        return isinstance(statement.act, MembersListed)

    def judge(self, statement: Statement) -> Effect:
        """Return the effect that a reading would have; its signature has already been verified."""
        act = statement.act
        assert isinstance(act, MembersListed)
        before = self.members(act.group)
        if not before.isdisjoint(act.joined) or not before.issuperset(act.left):
            return Effect.OTHER_LISTING
        after = before.union(act.joined).difference(act.left)
        if act.count != len(after) or act.listing != listing(after):
            return Effect.OTHER_LISTING
        return Effect.TAKEN if after else Effect.EMPTIES

    def take(self, statement: Statement) -> None:
        """Fold in a reading; one without an effect changes nothing."""
        act = statement.act
        if isinstance(act, MembersListed) and self.judge(statement) is Effect.TAKEN:
            self._members[act.group] = self.members(act.group).union(act.joined).difference(act.left)


def groups_in(record: Record) -> Groups:
    """Return the groups in a record that was read with all folds."""
    return next(each for each in record.folds if isinstance(each, Groups))
