"""Keys of people, folded: the owner of each key at a moment, and who may enrol and end it.

An organisation begins with its custodians. Each of them states their own key. These keys are the root of
trust, and a verifier of the record compares their few fingerprints. Two custodians enrol the first officers.
From then on:

- two officers of the organisation (administrators or security officers) enrol another person's key, or a
  further one of their own;
- an officer who has lost all keys asks with a code on paper, which works once, and needs no second person if
  no other officer has a key;
- an officer asks and a custodian approves, for example while there is no second officer;
- two custodians can still enrol a key, as they do when an organisation joins. If they ask for one while a
  person has a key, it begins a week after the entry of the approval in the log, so that a date in the past
  shortens nothing. An officer can see and end it before then, so that the operator
  alone cannot make up an officer;
- two custodians enrol keys of the operator's staff, who have no authority in the organisation;
- the key of a directory, which states the members of its groups, is requested by an officer and approved like
  another person's: custodians alone cannot enrol one, so that the operator cannot make up a directory.

A key is ended or reported lost by its owner, by the subject that asked for it, or by an officer.
Custodians can end a key that they asked for, but a person's only before it begins. A lost key never
comes back.

Unlike rights, keys follow the order of the record: a signature is judged by the keys that precede it in the
record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from samdrift.rights.fields import Subject, SubjectKind, same_person
from samdrift.rights.folding import Effect, State
from samdrift.rights.keyacts import Enrolled, Lost, PublicKey, Scheme
from samdrift.rights.statements import Approved, Ended, Statement

_OFFICERS_ENROL = frozenset({SubjectKind.PERSON, SubjectKind.DIRECTORY})
WAITING_TIME = timedelta(days=7)
"""Delay of keys that custodians enrol while the organisation's own people have keys."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A key that was requested, and its outcome."""

    statement: Statement
    act: Enrolled
    begins: datetime | None = None
    """Moment at which it begins; ``None`` while it waits for a second person."""
    statements: tuple[str, ...] = ()
    delayed: bool = False
    """True when custodians asked for it while a person had a key."""
    ended: datetime | None = None
    """Moment of its end, or of the use of a code on paper."""
    lost_since: datetime | None = None
    counter: int = 0
    """The highest counter that the authenticator has reported."""

    @property
    def id(self) -> str:
        """Digest of the statement that requested it."""
        return self.statement.digest

    @property
    def key(self) -> PublicKey:
        """The public key that is enrolled."""
        return self.act.key

    @property
    def over(self) -> bool:
        """True when it was ended or reported lost."""
        return self.ended is not None

    def in_force(self, moment: datetime) -> bool:
        """Return whether the key is in force at ``moment``, according to the record so far."""
        return not self.over and self.begins is not None and self.begins <= moment < self.act.end


class Keys:
    """The keys of one organisation's people, in the order of its record."""

    def __init__(self, state: State) -> None:
        """``state`` has the rights from the same statements, folded up to the previous one."""
        self._state = state
        self._enrolments: dict[str, Enrolment] = {}
        self._by_key: dict[str, list[str]] = {}

    def enrolment(self, digest: str) -> Enrolment:
        """Return an enrolment by the digest of its statement; raise :class:`KeyError` if there is none."""
        return self._enrolments[digest]

    def all(self) -> tuple[Enrolment, ...]:
        """Return all enrolments and requests, in order."""
        return tuple(self._enrolments.values())

    def name_of(self, subject: Subject) -> str:
        """Return the name in a subject's latest enrolment, or its id if it never had one."""
        return next((each.act.name for each in reversed(self.all()) if each.act.to == subject), subject.id)

    def of_key(self, fingerprint: str) -> tuple[Enrolment, ...]:
        """Return all enrolments of one key, in order."""
        return tuple(self._enrolments[digest] for digest in self._by_key.get(fingerprint, ()))

    def in_force(self, moment: datetime, subject: Subject | None = None) -> Iterator[Enrolment]:
        """Yield the keys in force at ``moment``, of one subject or of all."""
        for each in self._enrolments.values():
            if each.in_force(moment) and subject in (None, each.act.to):
                yield each

    def persons_sign(self, moment: datetime) -> bool:
        """Return whether a person of the organisation has a key, not counting codes on paper."""
        return any(
            each.act.to.kind is SubjectKind.PERSON and each.key.scheme is not Scheme.PAPER
            for each in self.in_force(moment)
        )

    def concerns(self, statement: Statement) -> bool:
        """Return whether a statement is about a key."""
        match statement.act:
            case Enrolled() | Lost():
                return True
            case Approved(of) | Ended(of=of):
                return of in self._enrolments
            case _:
                return False

    def judge(self, statement: Statement, signed_with: str, came: datetime) -> Effect:
        """Return the effect of a statement about a key, signed with the key ``signed_with``.

        The key is given by its fingerprint; ``came`` is the later one of the moments that the author and the
        log give for the statement. Nothing changes.
        """
        return self._effect(statement, signed_with, came)[0]

    def take(self, statement: Statement, signed_with: str, counter: int, came: datetime) -> Effect:
        """Fold in a verified statement, and the use of the key that signed it.

        Its act has an effect here only if it is about a key.
        """
        effect, changed = Effect.TAKEN, None
        if self.concerns(statement):
            effect, changed = self._effect(statement, signed_with, came)
        if changed is not None:
            if changed.id not in self._enrolments:
                self._by_key.setdefault(changed.key.fingerprint, []).append(changed.id)
            self._enrolments[changed.id] = changed
        self._use(statement, signed_with, counter)
        return effect

    def _use(self, statement: Statement, signed_with: str, counter: int) -> None:
        """Store the counter of every enrolment of the key, and end the key if it is a code on paper."""
        for each in self.of_key(signed_with):
            served = statement.at if each.key.scheme is Scheme.PAPER and not each.over else each.ended
            self._enrolments[each.id] = replace(each, counter=max(each.counter, counter), ended=served)

    def _effect(
        self, statement: Statement, signed_with: str, came: datetime
    ) -> tuple[Effect, Enrolment | None]:
        match statement.act:
            case Enrolled() as act:
                return self._enrol(statement, act, signed_with, came)
            case Approved(of):
                return self._approve(statement, self._enrolments.get(of), came)
            case Ended(of=of):
                return self._end(statement, self._enrolments.get(of or ""), None)
            case Lost(of, since):
                return self._end(statement, self._enrolments.get(of), since)
            case _:
                return Effect.NAMES_NOTHING, None

    def _enrol(
        self, statement: Statement, act: Enrolled, signed_with: str, came: datetime
    ) -> tuple[Effect, Enrolment | None]:
        by, at, fingerprint = statement.by, statement.at, act.key.fingerprint
        asked = Enrolment(statement, act, statements=(statement.digest,))
        for known in self.of_key(fingerprint):
            held = not known.over and at < known.act.end
            if known.lost_since is not None or known.act.to != act.to or held:
                return Effect.KEY_TAKEN, None
        if act.to.kind is SubjectKind.CUSTODIAN:
            own = by == act.to and signed_with == fingerprint
            return (Effect.TAKEN, replace(asked, begins=at)) if own else (Effect.NO_AUTHORITY, None)
        if act.to.kind is SubjectKind.DIRECTORY:
            officer = by.kind is SubjectKind.PERSON and self._state.is_officer(by, at)
            paper = self._on_paper(signed_with)
            return (Effect.WAITING, asked) if officer and not paper else (Effect.NO_AUTHORITY, None)
        if by.kind is SubjectKind.CUSTODIAN:
            delayed = act.to.kind is SubjectKind.PERSON and self.persons_sign(came)
            return Effect.WAITING, replace(asked, delayed=delayed)
        if act.to.kind is not SubjectKind.PERSON or by.kind is not SubjectKind.PERSON:
            return Effect.NO_AUTHORITY, None
        if self._on_paper(signed_with):
            if by != act.to or act.key.scheme is Scheme.PAPER:
                return Effect.NO_AUTHORITY, None
            alone = not self._officers(at, other_than=by)
            return (Effect.TAKEN, replace(asked, begins=at)) if alone else (Effect.WAITING, asked)
        return (Effect.WAITING, asked) if self._state.is_officer(by, at) else (Effect.NO_AUTHORITY, None)

    def _approve(
        self, statement: Statement, asked: Enrolment | None, came: datetime
    ) -> tuple[Effect, Enrolment | None]:
        by, at = statement.by, statement.at
        if asked is None:
            return Effect.NAMES_NOTHING, None
        if same_person(by, asked.statement.by) or same_person(by, asked.act.to):
            return Effect.SELF, None
        if asked.over or asked.begins is not None or asked.act.end <= at:
            return Effect.OVER, None
        officer = asked.act.to.kind in _OFFICERS_ENROL and self._state.is_officer(by, at)
        if not officer and by.kind is not SubjectKind.CUSTODIAN:
            return Effect.NO_AUTHORITY, None
        waits = asked.delayed and by.kind is SubjectKind.CUSTODIAN
        begins = came + WAITING_TIME if waits else at
        return Effect.TAKEN, replace(asked, begins=begins, statements=(asked.id, statement.digest))

    def _end(
        self, statement: Statement, named: Enrolment | None, lost_since: datetime | None
    ) -> tuple[Effect, Enrolment | None]:
        if named is None:
            return Effect.NAMES_NOTHING, None
        by, at = statement.by, statement.at
        officer = by.kind is SubjectKind.PERSON and self._state.is_officer(by, at)
        asked = by == named.statement.by
        if by.kind is SubjectKind.CUSTODIAN:
            begun = named.begins is not None and named.begins <= at
            asked = named.statement.by.kind is SubjectKind.CUSTODIAN and not (
                begun and named.act.to.kind is SubjectKind.PERSON
            )
        if not (officer or asked or by == named.act.to):
            return Effect.NO_AUTHORITY, None
        if named.over and (lost_since is None or named.lost_since is not None):
            return Effect.OVER, None
        return Effect.TAKEN, replace(named, ended=named.ended or at, lost_since=lost_since)

    def _on_paper(self, fingerprint: str) -> bool:
        return any(each.key.scheme is Scheme.PAPER for each in self.of_key(fingerprint))

    def _officers(self, moment: datetime, other_than: Subject | None = None) -> set[Subject]:
        """Return the officers who have a key other than a code on paper."""
        return {
            each.act.to
            for each in self.in_force(moment)
            if each.key.scheme is not Scheme.PAPER
            and each.act.to.kind is SubjectKind.PERSON
            and each.act.to != other_than
            and self._state.is_officer(each.act.to, moment)
        }
