"""Unsigned rights: those in force, those that are also signed, and the acts that restate them.

They were stated on the pages of the message client before statements were signed. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from samdrift.rights.copies import Copy
from samdrift.rights.fields import LONGEST
from samdrift.rights.folding import Holding
from samdrift.rights.settling import SettlementAsked, listing
from samdrift.rights.statements import OF_ORGANISATION, Given, Rights


@dataclass(frozen=True, slots=True)
class Unsigned:
    """The unsigned rights of an organisation that are in force at a moment."""

    copy: Copy
    """The message client's statements, with the signed ones folded in."""
    holdings: tuple[Holding, ...]
    moment: datetime

    @classmethod
    def of(cls, copy: Copy, moment: datetime) -> Self:
        """Return the unsigned rights in a copy at a moment."""
        found = (each for each in copy.state.holdings(moment) if each.statements[0] not in copy.signed)
        return cls(copy, tuple(found), moment)

    @property
    def left(self) -> tuple[Holding, ...]:
        """Rights that are not also given by a signed statement, which end when only signed ones count."""
        every = self.copy.state.holdings(self.moment)
        signed = [each for each in every if each.statements[0] in self.copy.signed]
        return tuple(each for each in self.holdings if not any(_gives(one, each) for one in signed))

    @property
    def settlement(self) -> SettlementAsked:
        """A request to end all of them, which covers every unsigned statement."""
        return SettlementAsked(len(self.copy.digests), listing(self.copy.digests))


def stated_again(given: Given, at: datetime) -> Given:
    """Return the act that restates a grant at a moment; a role becomes a request."""
    start = max(given.start, at)
    role = isinstance(given.what, Rights) and bool(given.what.rights & OF_ORGANISATION)
    return replace(given, start=start, end=min(given.end, start + LONGEST), asked=role)


def _gives(signed: Holding, wanted: Holding) -> bool:
    one, other = signed.given.what, wanted.given.what
    if isinstance(one, Rights) and isinstance(other, Rights):
        same = (one.subject, one.scope) == (other.subject, other.scope)
        return same and one.rights >= other.rights
    return one == other
