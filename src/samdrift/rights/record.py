"""The record of one organisation: its signed statements in order, verified by earlier keys, and folded.

An appended statement has a valid signature, is not earlier than the last one, and has an effect; a statement
without an effect is refused and never stored. Its author says when it was made, its entry in the log when it
came: a reader who knows the latter accepts no statement that came more than a day later, and counts the time
that custodians have to wait from it. Everything in a record therefore counts, and every reader of
it, in another role or without Samdrift, comes to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Protocol, Self, TypeAlias

from samdrift.rights.agreements import AGREEMENT_ACTS
from samdrift.rights.enrolment import WAITING_TIME, Keys
from samdrift.rights.fields import StatementError, SubjectKind
from samdrift.rights.folding import Effect, State
from samdrift.rights.keyacts import Enrolled
from samdrift.rights.reviews import ReviewAct, ReviewOpened
from samdrift.rights.signing import Refusal, Signed, Verified, timely, verify
from samdrift.rights.statements import Approved, Ended, Given, NotUnderstood, Objected, Reviewed, Statement

Verdict: TypeAlias = Effect | Refusal
"""The effect of a statement, or the reason why its signature or its place is not accepted."""
ASKED_FOR = timedelta(days=1)
"""Time within which a custodian can approve another custodian's request once people have keys."""
MAX_A_DAY = 300
"""Maximum number of statements about agreements that a subject can make in a day."""
MAX_A_SECOND = 500
"""Maximum number of statements in one second, unless all of them are grants or requests."""
GOOD = frozenset({Effect.TAKEN, Effect.WAITING})


class Fold(Protocol):
    """The interpretation of further kinds of statements, such as agreements and consents."""

    def concerns(self, statement: Statement) -> bool:
        """Return whether a statement is for this fold, which then judges it alone."""
        ...

    def judge(self, statement: Statement) -> Effect:
        """Return the effect that a statement would have."""
        ...

    def take(self, statement: Statement) -> None:
        """Fold in a statement that has an effect; of another fold's statement, only the moment counts."""
        ...


Further: TypeAlias = Callable[[State], Fold]
"""Factory of a fold for the organisation of a state, whose rights the fold may query."""


class Broken(ValueError):
    """Error raised for an invalid record: the ``number`` of the first statement at fault, and the reason."""

    def __init__(self, number: int, verdict: Verdict) -> None:
        super().__init__(f"statement {number}: {verdict}")
        self.number = number
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Entry:
    """A statement in a record."""

    number: int
    signed: Signed
    verified: Verified
    effect: Effect
    logged: datetime | None = None
    """Moment of its entry in the log, where the reader knows it."""

    @property
    def statement(self) -> Statement:
        """The statement without its signature."""
        return self.signed.statement


class Record:
    """The signed statements of one organisation, verified and folded."""

    def __init__(self, organisation: str, folds: Sequence[Further] = ()) -> None:
        self.organisation = organisation
        self.state = State(organisation)
        """The rights that result from the statements."""
        self.keys = Keys(self.state)
        """The keys of the organisation's people."""
        self.entries: list[Entry] = []
        self.not_understood: int | None = None
        """Number of the first statement that is not understood, before which the record ends."""
        self.folds = tuple(each(self.state) for each in folds)
        """The folds for further kinds of statements, in the order given."""
        self._digests: set[str] = set()

    @classmethod
    def of(cls, organisation: str, contents: Iterable[bytes], folds: Sequence[Further] = ()) -> Self:
        """Return the record of some signed statements; raise :class:`Broken` naming the first at fault."""
        record = cls(organisation, folds)
        for content in contents:
            record.accept(content)
        return record

    @property
    def number(self) -> int:
        """Number of the last statement, or 0 if there is none."""
        return len(self.entries)

    @property
    def last(self) -> datetime | None:
        """The moment of the last statement, or ``None`` without any."""
        return self.entries[-1].statement.at if self.entries else None

    def statements(self) -> tuple[Statement, ...]:
        """Return the statements in order."""
        return tuple(each.statement for each in self.entries)

    def accept(self, content: bytes, number: int = 0, logged: datetime | None = None) -> None:
        """Continue the record with a stored statement; raise :class:`Broken` if it is invalid.

        A statement whose ``number`` the record already has is ignored, because two callers may read the
        same page at the same time. ``logged`` is the moment of its entry in the log.
        """
        if self.not_understood is not None or 0 < number <= self.number:
            return
        try:
            signed = Signed.parse(content)
        except NotUnderstood:
            self.not_understood = self.number + 1
            return
        except StatementError:
            raise Broken(self.number + 1, Refusal.MALFORMED) from None
        verdict = self.append(signed, logged)
        if verdict not in GOOD:
            raise Broken(self.number + 1, verdict)

    def judge(self, signed: Signed, now: datetime) -> Verdict:
        """Return the verdict on a statement if it were appended now, without changing anything."""
        if not timely(signed.statement, now):
            return Refusal.EXPIRED
        if self._states_too_much(signed.statement):
            return Refusal.TOO_MANY
        if self._crowds(signed.statement):
            return Refusal.CROWDED
        return self._judge(signed, now)[0]

    def append(self, signed: Signed, logged: datetime | None = None) -> Verdict:
        """Verify a statement, and fold it in if it has an effect, regardless of the current time.

        One that was ``logged`` at a moment at which it could not be appended is refused.
        """
        if logged is not None and not timely(signed.statement, logged):
            return Refusal.EXPIRED
        verdict, verified = self._judge(signed, logged)
        if verified is None or not isinstance(verdict, Effect) or verdict not in GOOD:
            return verdict
        statement = signed.statement
        self.state.extend([statement])
        self.keys.take(statement, signed.key, verified.counter, _came(statement, logged))
        for fold in self.folds:
            fold.take(statement)
        self._digests.add(statement.digest)
        self.entries.append(Entry(self.number + 1, signed, verified, verdict, logged))
        return verdict

    def _states_too_much(self, statement: Statement) -> bool:
        """Return whether a subject makes more statements about agreements than are allowed in a day.

        Each of them makes decisions about cover a little slower. Statements that are already in a record
        stay valid.
        """
        if not isinstance(statement.act, AGREEMENT_ACTS):
            return False
        count = 0
        for each in reversed(self.entries):
            if each.statement.at <= statement.at - timedelta(days=1):
                break
            count += each.statement.by == statement.by and isinstance(each.statement.act, AGREEMENT_ACTS)
        return count >= MAX_A_DAY

    def _crowds(self, statement: Statement) -> bool:
        """Return whether a second has too many statements to add another one.

        Statements of the same second are judged together, so that each one makes the next more expensive.
        This does not apply to grants and requests, which do not depend on each other.
        """
        if self.number < MAX_A_SECOND or self.entries[-MAX_A_SECOND].statement.at != statement.at:
            return False
        before = (each.statement for each in reversed(self.entries))
        same = takewhile(lambda one: one.at == statement.at, before)
        return not all(isinstance(one.act, Given) for one in (statement, *same))

    def _judge(self, signed: Signed, logged: datetime | None) -> tuple[Verdict, Verified | None]:
        statement = signed.statement
        if statement.organisation != self.organisation:
            return Refusal.OTHER_ORGANISATION, None
        if statement.digest in self._digests:
            return Refusal.REPEATED, None
        if self.last is not None and statement.at < self.last:
            return Refusal.OUT_OF_ORDER, None
        verified = verify(signed, self.keys)
        if isinstance(verified, Refusal):
            return verified, None
        return self._effect(statement, signed.key, _came(statement, logged)), verified

    def foresee(self, statement: Statement) -> Effect:
        """Return the effect that a statement would have if its author signed it."""
        keys = [each.key.fingerprint for each in self.keys.in_force(statement.at, statement.by)]
        return self._effect(statement, keys[0] if keys else "", statement.at)

    def _effect(self, statement: Statement, signed_with: str, came: datetime) -> Effect:
        if self._beyond_custodians(statement, came):
            return Effect.NO_AUTHORITY
        if self.keys.concerns(statement):
            return self.keys.judge(statement, signed_with, came)
        for fold in self.folds:
            if fold.concerns(statement):
                return fold.judge(statement)
        if isinstance(statement.act, Given | Approved | Reviewed | Objected | Ended | ReviewAct):
            return self.state.judge(statement)
        return Effect.NAMES_NOTHING

    def _beyond_custodians(self, statement: Statement, came: datetime) -> bool:
        """Return whether custodians would decide something that the organisation's people can see to.

        Custodians set an organisation up, and help it when all its keys are lost. While a person has a key,
        a role that custodians request begins a week later, like a key. They cannot end a right that has
        begun, and cannot object to rights or review them.
        """
        if statement.by.kind is not SubjectKind.CUSTODIAN or not self.keys.persons_sign(came):
            return False
        match statement.act:
            case Given() as given:
                return given.start < came + WAITING_TIME
            case Enrolled():
                return False
            case Approved(of):
                return self._asked_long_ago(of, came)
            case Ended(of=of) if of is not None and of in {each.id for each in self.keys.all()}:
                return False  # Judged with the keys: only a key not yet in force may be ended.
            case Ended(of=of) if of is not None:
                return self._begun(of, statement)
            case act:
                return isinstance(act, Ended | Objected | Reviewed | ReviewOpened)

    def _asked_long_ago(self, digest: str, came: datetime) -> bool:
        """Return whether a custodian requested it more than a day ago, perhaps before a person had a key."""
        try:
            asked = self.state.statement(digest)
        except KeyError:
            return False
        return asked.by.kind is SubjectKind.CUSTODIAN and came > asked.at + ASKED_FOR

    def _begun(self, digest: str, statement: Statement) -> bool:
        """Return whether a statement gives a right that has begun."""
        try:
            named = self.state.statement(digest).act
        except KeyError:
            return False
        return isinstance(named, Given) and named.start <= statement.at


def _came(statement: Statement, logged: datetime | None) -> datetime:
    """Return the later one of the moment that a statement's author gives and that of its entry in the log."""
    return statement.at if logged is None else max(statement.at, logged)
