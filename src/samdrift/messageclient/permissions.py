"""Rights of people in an organisation's message client, decided from the statements in its vault.

Every request asks for them again, from a copy in memory that is first brought up to date, so a right that
ended a moment ago no longer counts. Nothing is cached for longer, and no right exists without a statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose
from samdrift.contracts.statements import NumberedStatement, RightsBehind
from samdrift.messageclient.events import MKEvent
from samdrift.rights import (
    ORGANISATION,
    Behind,
    Contradiction,
    Copy,
    Effect,
    Request,
    Right,
    Rights,
    Scope,
    Statement,
    Subject,
    SubjectKind,
    Substitution,
)
from samdrift.rights.consentfold import Consent, consents_of, moment_of
from samdrift.rights.deciding import decide_by
from samdrift.rights.folding import Holding
from samdrift.rights.folds import FOLDS
from samdrift.rights.record import Broken, Record
from samdrift.rights.settlingfold import settled_in
from samdrift.rights.statements import OF_CONTENT, Act
from samdrift.vault.coverkeeping import CoverFacts
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import PersonRecord
from samdrift.vault.signedstatements import StatementTaken
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 500
_ATTEMPTS = 5
_EVER = datetime.max.replace(tzinfo=UTC)
OF_MAILBOX = OF_CONTENT | {Right.MANAGE}

Claims = Mapping[str, Sequence[str]]


def person_subject(person: str) -> Subject:
    """Return a person, given by id, as the subject of statements."""
    return Subject(SubjectKind.PERSON, person)


def claim_subjects(issuer: str, claims: Claims) -> frozenset[Subject]:
    """Return the claims of a sign-in as subjects of statements, leaving out those that cannot be one."""
    return frozenset(_subjects(issuer, claims))


def _subjects(issuer: str, claims: Claims) -> Iterator[Subject]:
    for name, values in claims.items():
        for value in values:
            try:
                yield Subject.claim(issuer, name, value)
            except ValueError:
                continue


class PersonPermissions:
    """The rights of one person at one moment: :class:`samdrift.messageclient.desk.Permissions`."""

    def __init__(
        self,
        person: str,
        assigned: Assigned,
        claims: frozenset[Subject],
    ) -> None:
        self._person = person
        self._assigned = assigned
        self._claims = claims

    @property
    def person(self) -> str:
        """Random id of the person in this organisation."""
        return self._person

    @property
    def consents(self) -> Sequence[tuple[Consent, str]]:
        """Consents in force in the organisation, each with the name of the party given access."""
        return self._assigned.consents

    def may(self, right: Right, mailbox: str | None = None) -> bool:
        """Return whether the person has a right to a mailbox or, without one, in the organisation."""
        return self._assigned.allows(self._person, self._claims, right, mailbox)

    def holders(self, right: Right, mailbox: str) -> Sequence[str]:
        """Return the ids of the people who have a right to a mailbox now.

        Rights by claim are those of each person's latest sign-in.
        """
        return self._assigned.holders(right, mailbox)

    def substitutes(self, mailbox: str) -> Mapping[str, Sequence[str]]:
        """Return the substitutes who can write in a mailbox now, by the id of the absent person."""
        return self._assigned.substitutes(mailbox)

    def held(self) -> frozenset[Right]:
        """Return all rights that the person has, to any mailbox or in the organisation.

        A substitute counts as having the rights to read and write.
        """
        ways = self._assigned.ways(person_subject(self._person), self._claims)
        rights = (
            what.rights if isinstance(what := holding.given.what, Rights) else _OF_SUBSTITUTES
            for holding in ways
        )
        return frozenset[Right]().union(*rights)

    def ended(self, mailbox: str | None = None) -> bool:
        """Return whether a right that the person was given, to one mailbox or to any, has ended."""
        state, moment = self._assigned.copy.state, self._assigned.moment
        stopped = state.stopped(moment, person_subject(self._person), *self._claims)
        return any(mailbox is None or _concerns(holding, mailbox) for holding, _ in stopped)

    def any(self) -> bool:
        """Return whether the person has any right at all, and the pages therefore have something to show."""
        return any(True for _ in self._assigned.ways(person_subject(self._person), self._claims))


_OF_SUBSTITUTES = frozenset({Right.READ, Right.WRITE})


@dataclass(frozen=True, slots=True)
class Assigned:
    """The rights of everyone in an organisation at one moment."""

    organisation: str
    copy: Copy
    persons: tuple[PersonRecord, ...]
    at: datetime
    """Not earlier than the last statement or a witness's confirmed time, whatever the local clock shows."""
    another_day: bool = False
    """True if ``at`` is a past or future moment that was asked for, rather than now."""
    consents: tuple[tuple[Consent, str], ...] = ()
    """Consents that are in force, each with the name of the party to which it gives access."""

    def allows(
        self, person: str, claims: frozenset[Subject], right: Right, mailbox: str | None = None
    ) -> bool:
        """Return whether a person has a right; raises :class:`RightsBehind` if a statement cannot be read."""
        request = Request(self.organisation, person_subject(person), right, Scope(mailbox), claims)
        if self.another_day:
            return decide_by(self.copy.state, request, self.at).allowed
        try:
            return self.copy.decide(request, self.at).allowed
        except Behind as behind:
            raise RightsBehind(behind.number, behind.wanted) from None

    def holders(self, right: Right, mailbox: str) -> Sequence[str]:
        """Return the ids of the people who have a right; rights by claim are those of the latest sign-in."""
        return [each.id for each in self.persons if self.allows(each.id, claims_of(each), right, mailbox)]

    def vouched_for(self, person: str) -> frozenset[Subject]:
        """Return the claims of a person's latest sign-in; empty for an unknown person."""
        return next((claims_of(each) for each in self.persons if each.id == person), frozenset())

    def substitutes(self, mailbox: str) -> Mapping[str, Sequence[str]]:
        """Return the ids of the substitutes who write in a mailbox now, by the id of the absent person."""
        found: dict[str, list[str]] = {}
        for holding in self.copy.state.holdings(self.moment):
            what = holding.given.what
            if isinstance(what, Substitution) and _lends(what, mailbox):
                found.setdefault(what.absent.id, []).append(what.subject.id)
        writers = set(self.holders(Right.WRITE, mailbox)) if found else set()
        able = {absent: sorted(writers.intersection(those)) for absent, those in found.items()}
        return {absent: those for absent, those in able.items() if those}

    def ways(self, subject: Subject, claims: frozenset[Subject] = frozenset()) -> Iterator[Holding]:
        """Yield what a subject currently has been given: directly, by a claim, or by a directory group."""
        state = self.copy.state
        yield from state.holdings(self.moment, subject, *sorted(claims, key=str))
        yield from (holding for holding, _ in state.groups(subject, self.moment))

    @property
    def moment(self) -> datetime:
        """Moment for which rights are decided. Setting the clock back does not prolong a right."""
        return self.at if self.another_day else max(self.at, self.copy.state.last or self.at)

    def readers(self, mailbox: str) -> tuple[Reader, ...]:
        """Return everyone who has a right to a mailbox now, by name, with the ways they have it.

        Groups are listed separately; their members are included here as of their latest sign-in.
        """
        found = [
            Reader(each.id, each.identity.name, rights, tuple(self._through(each, mailbox)), each.seen_at)
            for each in self.persons
            if (
                rights := frozenset(
                    right for right in OF_MAILBOX if self.allows(each.id, claims_of(each), right, mailbox)
                )
            )
        ]
        return tuple(sorted(found, key=lambda reader: (reader.name.casefold(), reader.person)))

    def on(self, moment: datetime) -> Assigned:
        """Return the rights of everyone at another moment, from the statements that exist now.

        Groups are those of the latest sign-in, because earlier memberships are not stored.
        """
        return replace(self, at=moment, another_day=True)

    def systems(self, mailbox: str) -> tuple[tuple[str, Way], ...]:
        """Return the systems with rights to a mailbox, by id, and the way in which each has them."""
        return tuple(
            (holding.given.what.subject.id, self._way(Through.ASSIGNMENT, holding))
            for holding in self.copy.state.holdings(self.moment)
            if _gives(holding, mailbox) and holding.given.what.subject.kind is SubjectKind.SYSTEM
        )

    def coming(self, mailbox: str) -> tuple[tuple[str, Way], ...]:
        """Return rights to a mailbox that start later, each with its subject's id, earliest first."""
        found = [
            (holding.given.what.subject.id, self._way(_kind(holding), holding))
            for holding, ended in self.copy.state.between(self.moment, _EVER)
            if ended is None and _begins(holding) > self.moment and _gives_or_lends(holding, mailbox)
        ]
        return tuple(sorted(found, key=lambda pair: (pair[1].since, pair[0])))

    def groups(self, mailbox: str) -> tuple[Way, ...]:
        """Return the groups that have rights to a mailbox now.

        These are claims of the sign-in service, and groups of a directory with the time when they were read.
        """
        return tuple(
            self._way(_GROUPS[holding.given.what.subject.kind], holding)
            for holding in self.copy.state.holdings(self.moment)
            if _gives(holding, mailbox) and holding.given.what.subject.kind in _GROUPS
        )

    def _through(self, person: PersonRecord, mailbox: str) -> Iterator[Way]:
        subject, claims = person_subject(person.id), claims_of(person)
        state, moment = self.copy.state, self.moment
        for holding in state.holdings(moment, subject):
            if _gives(holding, mailbox):
                yield self._way(Through.ASSIGNMENT, holding)
            what = holding.given.what
            if isinstance(what, Substitution) and _lends(what, mailbox):
                lent = [each for each in state.holdings(moment, what.absent) if _gives(each, mailbox)]
                if lent:
                    yield self._way(Through.SUBSTITUTION, holding)
        for holding in state.holdings(moment, *sorted(claims, key=str)) if claims else ():
            if _gives(holding, mailbox):
                yield self._way(Through.GROUP, holding)
        for holding, _ in state.groups(subject, moment):
            if _gives(holding, mailbox):
                yield self._way(Through.DIRECTORY, holding)

    def _way(self, through: Through, holding: Holding) -> Way:
        given, number = holding.given, self.copy.number_of(holding.statements[0])
        what = given.what
        author = self.copy.state.statement(holding.statements[-1])
        listed = through is Through.DIRECTORY
        reading = self.copy.state.memberships.reading(what.subject, self.moment) if listed else None
        return Way(
            through,
            number,
            author.by,
            author.why,
            what.rights if isinstance(what, Rights) else OF_CONTENT,
            given.start,
            given.end,
            what.subject.id if through in _GROUPS.values() else "",
            what.absent.id if isinstance(what, Substitution) else "",
            holding.statements[0],
            None if reading is None else reading.act.read_at,
        )


class Through(StrEnum):
    """Kinds of ways in which a person can have a right."""

    ASSIGNMENT = "assignment"
    GROUP = "group"
    """Through a claim of the sign-in service."""
    DIRECTORY = "directory"
    """Through a group of a directory, the members of which are fixed in signed statements."""
    SUBSTITUTION = "substitution"


_GROUPS = {SubjectKind.CLAIM: Through.GROUP, SubjectKind.GROUP: Through.DIRECTORY}


@dataclass(frozen=True, slots=True)
class Way:
    """A way in which a subject has rights to a mailbox, with the statement that it is based on."""

    through: Through
    number: str
    """Number of the statement, ``S12`` for a signed one."""
    by: Subject
    """The subject that gave the right, or approved it."""
    why: str = field(repr=False)
    rights: frozenset[Right]
    since: datetime
    until: datetime
    group: str = ""
    """Issuer, claim and value of a claim; or directory and distinguished name of a group."""
    absent: str = ""
    """Id of the person who is absent and substituted for."""
    digest: str = ""
    """Digest of the statement."""
    read_at: datetime | None = None
    """Latest time when the group was read from its directory; ``None`` if never, and for other ways."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A person with rights to a mailbox: a line on the *Who can read* page (*Vilka kan läsa*)."""

    person: str
    name: str = field(repr=False)
    rights: frozenset[Right]
    ways: tuple[Way, ...]
    seen_at: datetime | None
    """Time of the person's latest use of the pages; ``None`` before the first."""


class RightsRefused(Explained):
    """A statement that was not stored because it would have no effect, for the reason in ``effect``."""

    def __init__(self, effect: Effect) -> None:
        super().__init__(f"nothing was changed: {_REASONS[effect]}")
        self.effect = effect


class SignedAlone(RightsRefused):
    """An unsigned statement in an organisation in which only signed ones count."""

    def __init__(self) -> None:
        super().__init__(Effect.OVER)
        self.args = (
            "nothing was changed: here, rights are given only by signed decisions (samdrift gov grant)",
        )


_REASONS = {
    Effect.OTHER_ORGANISATION: "it is about another organisation",
    Effect.NO_AUTHORITY: "you may not do that; an administrator may, and for read, write and approve on a"
    " mailbox its manager",
    Effect.SELF: "you cannot grant yourself a right or approve your own request; ask a colleague",
    Effect.TAKES_TWO: "a role in the organisation needs two people: one to request and another to approve it",
    Effect.NAMES_NOTHING: "there is no such decision; list them to see their numbers",
    Effect.OVER: "that has ended already, or was approved before",
}


class Assignments:
    """The statements of all organisations served here, kept folded in memory, and the means to add more."""

    def __init__(self, vaults: WorkerGate[MessageClientVault], clock: Clock) -> None:
        self._vaults = vaults
        self._clock = clock
        self._copies: dict[ParticipantIdentifier, Copy] = {}
        self._records: dict[ParticipantIdentifier, Record] = {}

    async def now(self, organisation: ParticipantIdentifier) -> Assigned:
        """Return the current rights of everyone in an organisation."""
        async with self._vaults.open(organisation, Purpose.READ) as vault:
            return await self.read(organisation, vault)

    async def of(
        self, organisation: ParticipantIdentifier, issuer: str, subject: str, claims: Claims
    ) -> PersonPermissions:
        """Return the rights of a person who is signed in; an unknown person has none.

        A claim of the session counts only if the person's latest sign-in also vouches for it. Leaving a group
        therefore ends its rights in older sessions too, in agreement with *who can read*.
        """
        async with self._vaults.open(organisation, Purpose.READ) as vault:
            person = await vault.person(issuer, subject) or ""
            assigned = await self.read(organisation, vault)
        vouched = claim_subjects(issuer, claims) & assigned.vouched_for(person)
        return PersonPermissions(person, assigned, vouched)

    async def read(self, organisation: ParticipantIdentifier, vault: MessageClientVault) -> Assigned:
        """Return the rights of everyone, read from a vault that is already open."""
        facts = await vault.cover_facts()
        copy = await self._current(organisation, vault, facts)
        record = self._records[organisation]
        now = moment_of(record, self._clock(), facts.witnessed)
        consents = consents_of(record).in_force(now)
        named = tuple((each, record.keys.name_of(each.act.to)) for each in consents)
        return Assigned(organisation.value, copy, await vault.persons(), now, consents=named)

    async def state(
        self,
        organisation: ParticipantIdentifier,
        by: Subject,
        why: str,
        act: Callable[[datetime], Act],
    ) -> Statement:
        """Store a statement and return it; raises :class:`RightsRefused` if it would have no effect.

        ``act`` is called with the time of the statement and returns the act to state. An invalid statement
        raises :class:`~samdrift.rights.StatementError`.
        """
        for _ in range(_ATTEMPTS):
            try:
                return await self._stated(organisation, by, why, act)
            except StatementTaken as taken:
                conflict = taken
        raise conflict

    async def _stated(
        self,
        organisation: ParticipantIdentifier,
        by: Subject,
        why: str,
        act: Callable[[datetime], Act],
    ) -> Statement:
        async with self._vaults.open(organisation, Purpose.ADMINISTER) as vault:
            facts = await vault.cover_facts()
            copy = await self._current(organisation, vault, facts)
            if copy.not_understood is not None:
                raise RightsBehind(copy.number, copy.not_understood)
            if copy.settled is not None:
                raise SignedAlone
            now = self._clock().replace(microsecond=0)
            at = max(now, copy.state.last or now, facts.witnessed or now)
            statement = Statement(organisation.value, by, at, why, act(at))
            number, content = copy.number + 1, statement.content
            effect = copy.state.judge(statement)
            if effect not in (Effect.TAKEN, Effect.WAITING):
                raise RightsRefused(effect)
            await vault.append_statements([NumberedStatement(number, content)])
            vault.record(MKEvent.MK_RIGHTS_STATED, statement=str(number), by=str(by), digest=statement.digest)
        return statement

    async def _current(
        self, organisation: ParticipantIdentifier, vault: MessageClientVault, facts: CoverFacts
    ) -> Copy:
        copy = self._copies.setdefault(organisation, Copy.of(organisation.value))
        last, record = await vault.last_statement(), await self._signed(organisation, vault, facts.statements)
        if last < copy.number or record.number < len(copy.signed):  # The database was restored.
            copy = self._copies[organisation] = Copy.of(organisation.value)
        while copy.number < last and copy.not_understood is None:
            found = await vault.statements_after(copy.number, _PAGE)
            copy.accept((each.number, each.content) for each in found)
        try:
            copy.include(record.statements(), settled_in(record))
        except Contradiction as other:
            raise RightsBehind(copy.number, other.number) from None
        return copy

    async def _signed(
        self, organisation: ParticipantIdentifier, vault: MessageClientVault, last: int
    ) -> Record:
        """Return the record of signed statements, each verified with the keys enrolled before it."""
        record = self._records.get(organisation)
        if record is None or last < record.number:
            record = self._records[organisation] = Record(organisation.value, FOLDS)
        try:
            while record.number < last and record.not_understood is None:
                for each in await vault.signed_statements_after(record.number, _PAGE):
                    record.accept(each.content, each.number, each.logged)
        except Broken as broken:
            raise RightsBehind(record.number, broken.number) from None
        if record.not_understood is not None:
            raise RightsBehind(record.number, record.not_understood)
        return record


def claims_of(person: PersonRecord) -> frozenset[Subject]:
    """Return the claims of a person's latest sign-in, as subjects of statements."""
    return claim_subjects(person.identity.issuer, person.identity.claims)


def _concerns(holding: Holding, mailbox: str) -> bool:
    return holding.given.what.scope == Scope(mailbox)


def _gives(holding: Holding, mailbox: str) -> bool:
    what = holding.given.what
    return isinstance(what, Rights) and what.scope == Scope(mailbox)


def _lends(what: Substitution, mailbox: str) -> bool:
    return what.scope in (ORGANISATION, Scope(mailbox))


def _gives_or_lends(holding: Holding, mailbox: str) -> bool:
    what = holding.given.what
    return _lends(what, mailbox) if isinstance(what, Substitution) else _gives(holding, mailbox)


def _begins(holding: Holding) -> datetime:
    return max(holding.given.start, holding.begins[0])


def _kind(holding: Holding) -> Through:
    """Return the way in which a holding gives rights: assignment, group, directory or substitution."""
    what = holding.given.what
    if isinstance(what, Substitution):
        return Through.SUBSTITUTION
    return _GROUPS.get(what.subject.kind, Through.ASSIGNMENT)
