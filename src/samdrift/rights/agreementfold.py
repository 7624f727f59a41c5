"""Folding of statements about agreements into the parties, agreements, notices and choices at any moment.

Statements are taken in the order in which they were made, with the authority that applied at that
moment:

- an officer is a person with a role in the organisation (administrator or security officer);
- an officer, a custodian or one of the operator's staff enters a party, an agreement or a notice. An
  agreement counts once an officer who did not enter it has countersigned it, a party once an officer has
  stated or approved it;
- an officer objects to a sub-supplier until the window closes;
- an officer asks for an extension, or to release a duty, and another approves;
- an officer chooses what continues when cover ends, and ends agreements.

The state at a past moment is always the same, because every row has its moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self, TypeAlias

from samdrift.rights.agreements import (
    AGREEMENT_ACTS,
    LONGEST_EXTENSION,
    Agreed,
    AtEnd,
    Chosen,
    Extended,
    NoticeGiven,
    Party,
    PartyNamed,
    Released,
)
from samdrift.rights.fields import Subject, SubjectKind, same_person
from samdrift.rights.folding import Effect, State
from samdrift.rights.statements import Approved, Ended, Objected, Statement

IsOfficer: TypeAlias = Callable[[Subject, datetime], bool]

_ENTER = frozenset({SubjectKind.CUSTODIAN, SubjectKind.OPERATOR})
"""Kinds of subjects that may enter an agreement or party for an officer to countersign."""
_TAKE_TWO = (Agreed, Extended, Released)


@dataclass(frozen=True, slots=True)
class Countersigned:
    """An agreement that counts for the organisation, in its state at the moment of a register."""

    digest: str
    """Digest of the statement, by which extensions, notices and ends refer to it."""
    agreed: Agreed
    since: datetime
    """The moment of the countersignature."""
    end: datetime
    """End according to the agreement and its extensions, or the moment at which it was ended early."""
    extended: bool

    def covers(self, moment: datetime) -> bool:
        """Return whether the agreement is in force at a moment."""
        return max(self.agreed.start, self.since) <= moment < self.end


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice of a sub-supplier, and whether an officer's objection is in force."""

    digest: str
    given: NoticeGiven
    at: datetime
    objected: bool


@dataclass(frozen=True, slots=True)
class Register:
    """The parties, agreements, notices and choices of an organisation that are known at a moment."""

    organisation: str
    moment: datetime
    parties: dict[Party, PartyNamed]
    agreements: tuple[Countersigned, ...]
    """Agreements countersigned until the moment, whether in force or not."""
    waiting: tuple[tuple[str, Agreed], ...]
    """Agreements that have not been countersigned yet."""
    notices: tuple[Notice, ...]
    released: frozenset[str]
    choices: tuple[tuple[datetime, AtEnd], ...] = ()

    @property
    def own(self) -> Party | None:
        """The party that the organisation itself is, or ``None`` if it has not stated one."""
        mine = [each.party for each in self.parties.values() if each.participant == self.organisation]
        return mine[-1] if mine else None

    def chosen(self, moment: datetime) -> AtEnd:
        """Return the latest choice for sending stated until ``moment``, by default to stop."""
        before = [choice for at, choice in self.choices if at <= moment]
        return before[-1] if before else AtEnd.STOP


@dataclass(slots=True)
class _Row:
    statement: Statement
    approved: datetime | None = None
    ended: datetime | None = None
    objections: dict[str, tuple[datetime, datetime | None]] = field(default_factory=dict)
    """Moments at which each objection was made and ended, by its digest."""
    extensions: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Moments at which an extension was approved, with the new end."""


class Agreements:
    """Agreements of one organisation, folded from its statements."""

    def __init__(self, organisation: str, is_officer: IsOfficer) -> None:
        self.organisation = organisation
        self._is_officer = is_officer
        self._rows: dict[str, _Row] = {}
        self._objections: dict[str, str] = {}
        """Digest of the notice for each objection."""
        self._parties: set[Party] = set()
        """All parties named so far."""

    @classmethod
    def of(cls, state: State) -> Self:
        """Return the agreements of a state's organisation, whose rights determine authority."""
        return cls(state.organisation, state.is_officer)

    def concerns(self, statement: Statement) -> bool:
        """Return whether a statement is about agreements."""
        match statement.act:
            case Approved(of) | Objected(of):
                return of in self._rows
            case Ended(of=str(of)):
                return of in self._rows or of in self._objections
            case act:
                return isinstance(act, AGREEMENT_ACTS)

    def judge(self, statement: Statement) -> Effect:
        """Return the effect that a statement would have, without changing anything."""
        by, at = statement.by, statement.at
        officer = self._is_officer(by, at)
        match statement.act:
            case Approved(of):
                return self._judge_approval(self._rows[of], by, at, officer)
            case Objected(of):
                return self._judge_objection(self._rows[of], at, officer)
            case Ended(of=str(of)):
                return self._judge_end(of, by, officer)
            case PartyNamed() if officer:
                return Effect.TAKEN
            case Agreed(organisations=whose) if self.organisation not in whose:
                return Effect.OTHER_ORGANISATION
            case Agreed() as agreed if not self._named(agreed.principal, agreed.performer):
                return Effect.NAMES_NOTHING
            case NoticeGiven(of=of, performer=performer):
                row = self._rows.get(of)
                known = row is not None and isinstance(row.statement.act, Agreed) and row.approved is not None
                if not known or not self._named(performer):
                    return Effect.NAMES_NOTHING
                return Effect.TAKEN if officer or by.kind in _ENTER else Effect.NO_AUTHORITY
            case PartyNamed() | Agreed():
                return Effect.WAITING if officer or by.kind in _ENTER else Effect.NO_AUTHORITY
            case Chosen():
                return Effect.TAKEN if officer else Effect.NO_AUTHORITY
            case Extended() as extended:
                return self._judge_extension(extended, at) if officer else Effect.NO_AUTHORITY
            case _:
                return Effect.WAITING if officer else Effect.NO_AUTHORITY

    def take(self, statement: Statement) -> None:
        """Fold in a statement; one without an effect changes nothing."""
        if not self.concerns(statement):
            return
        effect, at = self.judge(statement), statement.at
        if effect not in (Effect.TAKEN, Effect.WAITING):
            return
        match statement.act:
            case Approved(of):
                self._rows[of].approved = at
                act = self._rows[of].statement.act
                if isinstance(act, Extended):
                    self._rows[act.of].extensions.append((at, act.end))
            case Objected(of):
                self._rows[of].objections[statement.digest] = (at, None)
                self._objections[statement.digest] = of
            case Ended(of=str(of)) if of in self._objections:
                objections = self._rows[self._objections[of]].objections
                objections[of] = (objections[of][0], at)
            case Ended(of=str(of)):
                self._rows[of].ended = at
            case act:
                self._rows[statement.digest] = _Row(statement, at if effect is Effect.TAKEN else None)
                if isinstance(act, PartyNamed):
                    self._parties.add(act.party)

    def moments(self) -> set[datetime]:
        """Return the moments at which something that counts begins, ends or is stated.

        Agreements that are not countersigned are left out, so that entering many does not slow down
        decisions.
        """
        found: set[datetime] = set()
        for row in self._rows.values():
            act = row.statement.act
            if row.approved is None:
                continue
            found |= {row.statement.at, *(each for each in (row.approved, row.ended) if each is not None)}
            found |= {each for pair in row.objections.values() for each in pair if each is not None}
            found |= {each for pair in row.extensions for each in pair}
            if isinstance(act, Agreed):
                found |= {act.start, act.end}
            elif isinstance(act, NoticeGiven):
                found |= {act.window, act.start}
        return found

    def at(self, moment: datetime) -> Register:
        """Return the register that results from the statements until ``moment``."""
        parties: dict[Party, PartyNamed] = {}
        agreements, waiting, notices = [], [], []
        released, choices = set(), []
        for digest, row in self._rows.items():
            known = row.approved is not None and row.approved <= moment
            gone = row.ended is not None and row.ended <= moment
            match row.statement.act:
                case PartyNamed(party=party) as named if known and not gone:
                    parties.pop(party, None)
                    parties[party] = named
                case Agreed() as agreed if known:
                    agreements.append(_countersigned(digest, agreed, row, moment))
                case Agreed() as agreed if row.statement.at <= moment and not gone:
                    waiting.append((digest, agreed))
                case NoticeGiven() as given if known:
                    stands = any(
                        since <= moment and not (until is not None and until <= moment)
                        for since, until in row.objections.values()
                    )
                    notices.append(Notice(digest, given, row.statement.at, stands))
                case Released(duty=duty) if known:
                    released.add(duty)
                case Chosen(sending=sending) if known:
                    choices.append((row.statement.at, sending))
                case _:
                    pass
        return Register(
            self.organisation,
            moment,
            parties,
            tuple(agreements),
            tuple(waiting),
            tuple(notices),
            frozenset(released),
            tuple(choices),
        )

    def _named(self, *parties: Party) -> bool:
        return self._parties.issuperset(parties)

    def _judge_approval(self, row: _Row, by: Subject, at: datetime, officer: bool) -> Effect:
        act = row.statement.act
        if not isinstance(act, (*_TAKE_TWO, PartyNamed)):
            return Effect.NAMES_NOTHING
        if same_person(by, row.statement.by):
            return Effect.SELF
        if not officer:
            return Effect.NO_AUTHORITY
        if row.approved is not None or row.ended is not None:
            return Effect.OVER
        if isinstance(act, Agreed | Extended) and act.end <= at:
            return Effect.OVER
        return Effect.TAKEN

    def _judge_objection(self, row: _Row, at: datetime, officer: bool) -> Effect:
        if not isinstance(row.statement.act, NoticeGiven):
            return Effect.NAMES_NOTHING
        if not officer:
            return Effect.NO_AUTHORITY
        return Effect.TAKEN if at < row.statement.act.window else Effect.OVER

    def _judge_end(self, of: str, by: Subject, officer: bool) -> Effect:
        if of in self._objections:
            over = self._rows[self._objections[of]].objections[of][1] is not None
        else:
            row = self._rows[of]
            if isinstance(row.statement.act, Released | Chosen | Extended) and row.approved is not None:
                return Effect.NAMES_NOTHING
            over = row.ended is not None
            officer = officer or (row.approved is None and by == row.statement.by)
        if not officer:
            return Effect.NO_AUTHORITY
        return Effect.OVER if over else Effect.TAKEN

    def _judge_extension(self, extended: Extended, at: datetime) -> Effect:
        row = self._rows.get(extended.of)
        if row is None or row.approved is None or not isinstance(row.statement.act, Agreed):
            return Effect.NAMES_NOTHING
        if row.ended is not None:
            return Effect.OVER
        end = max(row.statement.act.end, at)
        return Effect.WAITING if extended.end <= end + LONGEST_EXTENSION else Effect.TOO_LONG


def _countersigned(digest: str, agreed: Agreed, row: _Row, moment: datetime) -> Countersigned:
    until = [end for since, end in row.extensions if since <= moment]
    end = max([agreed.end, *until])
    if row.ended is not None and row.ended <= moment:
        end = min(end, row.ended)
    return Countersigned(digest, agreed, row.approved or agreed.start, end, end > agreed.end)
