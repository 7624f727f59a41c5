"""Folding of statements about consents: what the operator's staff may see at a moment, by which consent.

The authority for a statement is that of its moment:

- one of the operator's staff or a custodian makes a request for themselves, an officer (a person with a role
  in the organisation) for anyone;
- an officer approves it within four days, but neither the person who gets access nor the one who asked.
  **Content requires two people** of the organisation who are officers when the second one signs; an officer
  who asks for another person is one of them. A person cannot approve for themselves, as any kind of subject;
- any officer can end it, before or after it has begun, and so can the person who asked or gets access. **An
  end wins over an approval of the same second**, in whichever order the two reach the record;
- an emergency counts for an hour, once another of the operator's staff has signed it within an hour. After
  two in a week, the next one needs an officer or, if none answers, two custodians and one more of the staff,
  in addition to the one who states it: emergencies do not replace consents;
- one of the staff gives an account of an emergency, once.

Access cannot be prolonged, and a request never vanishes: one that was not approved has lapsed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from samdrift.rights.consents import (
    ANSWERED,
    CONSENT_ACTS,
    EMERGENCIES_A_WEEK,
    EMERGENCY,
    WAITS,
    WEEK,
    Access,
    AccessAsked,
    AccountGiven,
    EmergencyStated,
    Level,
    is_staff,
)
from samdrift.rights.fields import Subject, SubjectKind, same_person
from samdrift.rights.folding import Effect, State
from samdrift.rights.keyacts import Scheme
from samdrift.rights.record import Record
from samdrift.rights.statements import Approved, Ended, Statement


class Stage(StrEnum):
    """The state of a request at a moment."""

    WAITING = "waiting"
    LAPSED = "lapsed"
    """Not approved in time."""
    DECLINED = "declined"
    """Ended before it began."""
    IN_FORCE = "in-force"
    REVOKED = "revoked"
    OVER = "over"
    """Its time has passed."""


@dataclass(slots=True)
class Consent:
    """A request for access or an emergency, and its outcome."""

    statement: Statement
    act: Access
    approvals: list[tuple[Subject, datetime, str]] = field(default_factory=list)
    """Officers who approved, with the moments and the digests of their statements.

    The first may be the officer who made the request.
    """
    begins: datetime | None = None
    ended: datetime | None = None
    ended_by: Subject | None = None
    account: tuple[datetime, str] | None = None
    """Moment of the account of an emergency, and the digest of the statement."""

    @property
    def id(self) -> str:
        """Digest of the statement that makes the request."""
        return self.statement.digest

    @property
    def end(self) -> datetime | None:
        """Moment before which it is in force unless it is ended early; ``None`` before it begins."""
        return None if self.begins is None else self.begins + self.act.lasts

    @property
    def over(self) -> datetime | None:
        """The moment at which it ends, by itself or by a revocation; ``None`` if it never began."""
        if self.begins is None or self.end is None:
            return None
        return self.end if self.ended is None else min(self.ended, self.end)

    @property
    def emergency(self) -> bool:
        """True for an emergency, which does not need an approval by the organisation."""
        return isinstance(self.act, EmergencyStated)

    @property
    def missing(self) -> int:
        """Number of people who still have to approve it, while it waits."""
        needed = 1 if self.emergency or self.act.level is Level.METADATA else 2
        return max(0, needed - len(self.approvals)) if self.begins is None else 0

    @property
    def waits_until(self) -> datetime:
        """The moment until which it can be approved."""
        return self.statement.at + (EMERGENCY if self.emergency else WAITS)

    def stage(self, moment: datetime) -> Stage:
        """Return its state at ``moment``."""
        begun = self.begins is not None and self.begins <= moment
        if self.ended is not None and self.ended <= moment:
            return Stage.REVOKED if begun else Stage.DECLINED
        if not begun:
            return Stage.WAITING if moment <= self.waits_until else Stage.LAPSED
        assert self.end is not None
        return Stage.IN_FORCE if moment < self.end else Stage.OVER

    def unanswered(self, moment: datetime) -> bool:
        """Return whether it is an emergency without an account within a day."""
        if not self.emergency or self.begins is None or self.account is not None:
            return False
        return moment > self.begins + ANSWERED


class Consents:
    """The consents of one organisation, folded from its statements."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rows: dict[str, Consent] = {}

    @classmethod
    def of(cls, state: State) -> Self:
        """Return the consents of a state's organisation, whose roles determine authority."""
        return cls(state)

    def all(self) -> tuple[Consent, ...]:
        """Return all requests and emergencies, in order."""
        return tuple(self._rows.values())

    def find(self, digest: str) -> Consent | None:
        """Return the request or emergency in the statement ``digest``, or ``None``."""
        return self._rows.get(digest)

    def in_force(self, moment: datetime) -> tuple[Consent, ...]:
        """Return the consents and emergencies in force at ``moment``."""
        return tuple(each for each in self._rows.values() if each.stage(moment) is Stage.IN_FORCE)

    def emergencies(self, moment: datetime) -> int:
        """Return the number of emergencies that began in the week up to ``moment``."""
        begun = (each.begins for each in self._rows.values() if each.emergency)
        return sum(each is not None and moment - WEEK < each <= moment for each in begun)

    def needs_officer(self, consent: Consent, moment: datetime) -> bool:
        """Return whether an emergency takes more than two of the staff, since there were others this week."""
        return consent.emergency and consent.begins is None and self.emergencies(moment) >= EMERGENCIES_A_WEEK

    def concerns(self, statement: Statement) -> bool:
        """Return whether a statement is about consents."""
        match statement.act:
            case Approved(of) | Ended(of=str(of)):
                return of in self._rows
            case act:
                return isinstance(act, CONSENT_ACTS)

    def judge(self, statement: Statement) -> Effect:
        """Return the effect that a statement would have, without changing anything."""
        by, at = statement.by, statement.at
        match statement.act:
            case AccessAsked() as act:
                if self._state.is_officer(by, at):
                    return Effect.TAKEN if self._counts_at_once(by, act) else Effect.WAITING
                return Effect.WAITING if is_staff(by) and by == act.to else Effect.NO_AUTHORITY
            case EmergencyStated() as act:
                return Effect.WAITING if is_staff(by) and by == act.to else Effect.NO_AUTHORITY
            case AccountGiven(of):
                return self._judge_account(self._rows.get(of), by, at)
            case Approved(of):
                return self._judge_approval(self._rows[of], by, at)
            case Ended(of=str(of)):
                return self._judge_end(self._rows[of], by, at)
            case _:
                return Effect.NAMES_NOTHING

    def take(self, statement: Statement) -> None:
        """Fold in a statement; one without an effect changes nothing."""
        if not self.concerns(statement):
            return
        effect, by, at = self.judge(statement), statement.by, statement.at
        if effect not in (Effect.TAKEN, Effect.WAITING):
            return
        match statement.act:
            case AccessAsked() | EmergencyStated() as act:
                row = self._rows[statement.digest] = Consent(statement, act)
                officer = self._state.is_officer(by, at) and not row.emergency
                if officer and not same_person(by, act.to):
                    row.approvals.append((by, at, statement.digest))
                if effect is Effect.TAKEN:
                    row.begins = at
            case AccountGiven(of):
                self._rows[of].account = (at, statement.digest)
            case Approved(of):
                row = self._rows[of]
                row.approvals = [*self._standing(row, at), (by, at, statement.digest)]
                if effect is Effect.TAKEN:
                    row.begins = at
            case Ended(of=str(of)):
                self._rows[of].ended, self._rows[of].ended_by = at, by

    def _counts_at_once(self, by: Subject, act: AccessAsked) -> bool:
        """Return whether an officer's request needs no further approval.

        This is so if the request is for metadata and for another person.
        """
        return act.level is Level.METADATA and not same_person(by, act.to)

    def _standing(self, row: Consent, at: datetime) -> list[tuple[Subject, datetime, str]]:
        """Return the approvals by people who are still officers."""
        if row.emergency:
            return row.approvals
        return [each for each in row.approvals if self._state.is_officer(each[0], at)]

    def _judge_approval(self, row: Consent, by: Subject, at: datetime) -> Effect:
        if same_person(by, row.act.to) or same_person(by, row.statement.by):
            return Effect.SELF
        officer, many = self._state.is_officer(by, at), self.needs_officer(row, at)
        if not (is_staff(by) or (many and officer) if row.emergency else officer):
            return Effect.NO_AUTHORITY
        if row.stage(at) is not Stage.WAITING:
            return Effect.OVER
        standing = self._standing(row, at)
        if any(same_person(by, who) for who, _, _ in standing):
            return Effect.OVER
        if many and not officer:
            signed = [by, *(who for who, _, _ in standing)]
            custodians = sum(each.kind is SubjectKind.CUSTODIAN for each in signed)
            return Effect.TAKEN if custodians >= 2 and len(signed) >= 3 else Effect.WAITING
        needed = 2 if row.act.level is Level.CONTENT else 1
        return Effect.TAKEN if len(standing) + 1 >= needed else Effect.WAITING

    def _judge_end(self, row: Consent, by: Subject, at: datetime) -> Effect:
        concerned = by in (row.statement.by, row.act.to)
        if not concerned and not self._state.is_officer(by, at):
            return Effect.NO_AUTHORITY
        return Effect.TAKEN if row.stage(at) in (Stage.WAITING, Stage.IN_FORCE) else Effect.OVER

    def _judge_account(self, row: Consent | None, by: Subject, at: datetime) -> Effect:
        if row is None or not row.emergency or row.begins is None:
            return Effect.NAMES_NOTHING
        if not is_staff(by):
            return Effect.NO_AUTHORITY
        return Effect.OVER if row.account is not None else Effect.TAKEN


def consents_of(record: Record) -> Consents:
    """Return the consents in a record that was read with all folds."""
    return next(each for each in record.folds if isinstance(each, Consents))


def moment_of(record: Record, clock: datetime, witnessed: datetime | None = None) -> datetime:
    """Return the current moment, which does not go back if the clock is set back.

    It is not earlier than the last statement, nor than the time that a witness signed for the log.
    """
    return max(clock, record.last or clock, witnessed or clock)


def officers(record: Record, moment: datetime) -> tuple[Subject, ...]:
    """Return the people who can sign at ``moment``: officers with a key that is not on paper."""
    found = dict.fromkeys(
        each.act.to
        for each in record.keys.in_force(moment)
        if each.act.to.kind is SubjectKind.PERSON and each.key.scheme is not Scheme.PAPER
    )
    return tuple(each for each in found if record.state.is_officer(each, moment))


def approvers(record: Record, consent: Consent, moment: datetime) -> tuple[Subject, ...]:
    """Return the subjects that can approve a request and have not done so."""
    if consents_of(record).needs_officer(consent, moment):
        staff = (each.act.to for each in record.keys.in_force(moment) if is_staff(each.act.to))
        able = dict.fromkeys([*officers(record, moment), *staff])
    elif consent.emergency:
        able = dict.fromkeys(each.act.to for each in record.keys.in_force(moment) if is_staff(each.act.to))
    else:
        able = dict.fromkeys(officers(record, moment))
    taken = (consent.act.to, consent.statement.by, *(who for who, _, _ in consent.approvals))
    return tuple(each for each in able if not any(same_person(each, other) for other in taken))
