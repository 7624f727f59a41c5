"""Synchronisation of groups in an organisation's directories: their members are frozen into its record.

Only groups that a signed grant in force names are read. A directory does not remove anyone if it answers
late, with an error, in part, with an empty list, or with far fewer people than before: its groups stay as
they were frozen until the grants end, and their age is shown. A person who is missing from a complete answer
is removed by the statement about it, which every role has when :meth:`Synchroniser.synchronise` returns.

Statements name people by the message client's ids. A person who has not signed in yet gets an id there, just
like a person who is given a right before signing in for the first time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.events import GovEvent
from samdrift.governance.records import Records, StatementRefused
from samdrift.net.directories import GroupListing
from samdrift.rights.fields import Subject, SubjectKind
from samdrift.rights.folding import Effect
from samdrift.rights.groupfold import groups_in
from samdrift.rights.groups import MembersListed, changes, directory_of, name_in_directory
from samdrift.rights.keyacts import PublicKey, Scheme
from samdrift.rights.memberships import Reading
from samdrift.rights.record import Record
from samdrift.rights.signing import Refusal, Signed, namespace
from samdrift.rights.statements import Statement
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.people import Identity
from samdrift.vault.signedstatements import StatementTaken
from samdrift.wire.crypto.sshsig import public_line, sign
from samdrift.wire.identifiers import ParticipantIdentifier

MANY = 10
"""Largest group that one reading may reduce by any number of people."""
CONFIRMED_AFTER = timedelta(hours=20)
"""Age of the last reading after which a new reading is stated even if nothing changed."""
OUT_OF_DATE = CONFIRMED_AFTER + timedelta(hours=6)
"""Age of the last reading after which a directory that another process reads is regarded as gone."""
_WHY = "reading of the directory"
_ATTEMPTS = 3
_AGAIN = frozenset({Refusal.OUT_OF_ORDER, Refusal.REPEATED, Effect.OTHER_LISTING})
"""Refusals which mean that another process has added a statement in the meantime."""


class Reader(Protocol):
    """Reader of groups by distinguished name; raises a :class:`Temporary` error if it cannot."""

    async def read(self, groups: Collection[str]) -> Mapping[str, GroupListing]:
        """Return the people in each group, or the reason why it could not be listed."""
        ...


@dataclass(frozen=True)
class Source:
    """A directory of one organisation."""

    name: str
    server: str
    """Address, as recorded in statements."""
    issuer: str
    """The sign-in service that identifies people by the same names as the directory."""
    reader: Reader
    key: Ed25519PrivateKey

    @property
    def subject(self) -> Subject:
        """The subject that states the members of the directory's groups."""
        return Subject(SubjectKind.DIRECTORY, self.name)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of its key, which officers enrol."""
        return PublicKey(Scheme.SSH, public_line(self.key)).fingerprint


class Outcome(StrEnum):
    """Results of reading a group."""

    CHANGED = "changed"
    SAME = "same"
    KEPT = "kept"
    """The group is unchanged, because it could not be listed or the list removes too many people."""


@dataclass(frozen=True, slots=True)
class Synchronised:
    """The result of synchronising one group."""

    group: Subject
    outcome: Outcome
    joined: int = 0
    left: int = 0
    members: int = 0
    unknown: int = 0
    """Number of members in the directory's list who are not among its people."""
    reason: str = ""
    """Reason why the group was kept unchanged."""


class DirectoryNotEnrolled(Temporary):
    """Error raised when a directory's key is not enrolled, or its enrolment has ended."""

    service = "LDAP"

    def __init__(self, name: str, fingerprint: str) -> None:
        self.cause = "its key is not enrolled, or has ended"
        super().__init__(
            f"the key of the directory {name} ({fingerprint[:16]}…) is not enrolled, or has ended: an officer"
            " asks for it by samdrift gov officer enrol, and another approves it"
        )


class PeopleUnavailable(Temporary):
    """Error raised when the message client's vault is not open here, so that people cannot be given ids."""

    service = "LDAP"

    def __init__(self) -> None:
        self.cause = "the message client's vault is not open to this process"
        super().__init__(
            "the vault of the organisation's message client is locked or not open to this process: run "
            "samdrift gov group synchronise by a timer, or unlock it"
        )


class Synchroniser:
    """Synchroniser of groups: reads them, and freezes their members into the record."""

    def __init__(self, gate: Gate, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._office = gate.worker("groups", Role.GOVERNANCE)
        self._people = gate.worker("groups", Role.MESSAGE_CLIENT)
        self._kept: dict[tuple[ParticipantIdentifier, Subject], str] = {}
        """Reasons that have already been logged."""

    async def synchronise(
        self, organisation: ParticipantIdentifier, source: Source, *, shrink: bool = False
    ) -> tuple[Synchronised, ...]:
        """Read the groups of a directory that have rights, and state the changes.

        With ``shrink`` a large group may lose more than half of its members, because a person has checked
        it. Raise :class:`~samdrift.contracts.errors.Temporary`, changing nothing, if the directory cannot
        be read.
        """
        record = await self._records.read(organisation)
        groups = wanted(record, source.name, self._now(record))
        if not groups:
            return ()
        if not self._enrolled(record, source):
            raise DirectoryNotEnrolled(source.name, source.fingerprint)
        listings = await source.reader.read([name_in_directory(each) for each in groups])
        read_at = self._clock().replace(microsecond=0)
        found = {each: listings[name_in_directory(each)] for each in groups}
        people = await self._named(organisation, source, record, found, shrink=shrink)
        done = [
            await self._freeze(organisation, source, each, found[each], people, read_at, shrink=shrink)
            for each in groups
        ]
        await self._log(organisation, done)
        return tuple(done)

    async def _freeze(
        self,
        organisation: ParticipantIdentifier,
        source: Source,
        group: Subject,
        listing: GroupListing,
        people: Mapping[str, str],
        read_at: datetime,
        *,
        shrink: bool,
    ) -> Synchronised:
        after = _ids(listing, people)
        for attempt in range(_ATTEMPTS):
            record = await self._records.read(organisation)
            before = groups_in(record).members(group)
            reason = listing.fault or held(before, after, shrink=shrink)
            if not reason and "" in after:
                reason = "it was read at the same time by another process"
            if reason:
                kept = Outcome.KEPT
                return Synchronised(group, kept, members=len(before), unknown=listing.unknown, reason=reason)
            joined, left = len(after - before), len(before - after)
            now = self._now(record)
            if joined or left or _is_old(record.state.memberships.reading(group, now), now):
                at = max(now, read_at)
                acts = changes(group, source.server, read_at, before, after)
                signed = [_signed(organisation, source, at, act) for act in acts]
                try:
                    await self._records.append(organisation, signed, _nobody)
                except (StatementRefused, StatementTaken) as lost:
                    again = isinstance(lost, StatementTaken) or lost.verdict in _AGAIN
                    if again and attempt + 1 < _ATTEMPTS:
                        continue
                    raise
            outcome = Outcome.CHANGED if joined or left else Outcome.SAME
            return Synchronised(group, outcome, joined, left, len(after), listing.unknown)
        raise AssertionError

    async def require_people(self, organisation: ParticipantIdentifier) -> None:
        """Raise :class:`PeopleUnavailable` if ids cannot be assigned here, before a directory is read."""
        try:
            async with self._people.open(organisation, Purpose.AUTHORISE):
                pass
        except VaultError:
            raise PeopleUnavailable from None

    async def _named(
        self,
        organisation: ParticipantIdentifier,
        source: Source,
        record: Record,
        found: Mapping[Subject, GroupListing],
        *,
        shrink: bool,
    ) -> Mapping[str, str]:
        """Return people's ids by their names in the directory, and register new members of a group.

        People who are only in a list that is not accepted are not registered: a directory that lists other
        people each time would otherwise fill the message client's vault.
        """
        frozen = groups_in(record)
        try:
            async with self._people.open(organisation, Purpose.AUTHORISE) as vault:
                known = {
                    one.identity.subject: one.id
                    for one in await vault.persons()
                    if one.identity.issuer == source.issuer
                }
                for group, listing in found.items():
                    if listing.fault or held(frozen.members(group), _ids(listing, known), shrink=shrink):
                        continue
                    for person in listing.people:
                        if person.subject not in known:
                            identity = Identity(source.issuer, person.subject, person.name)
                            known[person.subject] = await vault.know_person(identity)
        except VaultError:
            raise PeopleUnavailable from None
        return known

    async def _log(self, organisation: ParticipantIdentifier, done: Sequence[Synchronised]) -> None:
        """Record in the organisation's log which groups are kept unchanged, once for each reason."""
        now = {(organisation, each.group): each.reason for each in done}
        new = [
            each for each in done if each.reason and self._kept.get((organisation, each.group)) != each.reason
        ]
        self._kept |= now
        if new:
            async with self._office.open(organisation, Purpose.READ) as vault:
                for each in new:
                    vault.record(GovEvent.GROUP_KEPT, group=str(each.group), reason=each.reason)

    def _enrolled(self, record: Record, source: Source) -> bool:
        keys = record.keys.in_force(self._now(record), source.subject)
        return any(each.key.fingerprint == source.fingerprint for each in keys)

    def _now(self, record: Record) -> datetime:
        now = self._clock().replace(microsecond=0)
        return max(now, record.last or now)


def wanted(record: Record, directory: str, moment: datetime) -> tuple[Subject, ...]:
    """Return the groups of a directory to which a grant in force gives rights, in order."""
    subjects = {each.given.what.subject for each in record.state.holdings(moment)}
    groups = (each for each in subjects if each.kind is SubjectKind.GROUP)
    return tuple(sorted((each for each in groups if directory_of(each) == directory), key=str))


def out_of_date(record: Record, directory: str, moment: datetime) -> bool:
    """Return whether a group that has rights was never read, or not within ``OUT_OF_DATE``."""
    read = (record.state.memberships.reading(each, moment) for each in wanted(record, directory, moment))
    return any(each is None or moment - each.act.read_at > OUT_OF_DATE for each in read)


def held(before: Collection[str], after: Collection[str], *, shrink: bool = False) -> str:
    """Return the reason why a list does not replace the previous members, or an empty string if it does."""
    if not after:
        return "the directory lists no member of it"
    stay = len(frozenset(before).intersection(after))
    if not shrink and len(before) > MANY and 2 * stay < len(before):
        return f"the directory lists {stay} of the {len(before)} people who were in it"
    return ""


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group that has rights, according to the record."""

    group: Subject
    members: int
    reading: Reading | None
    """The last reading, from which the age of the list follows."""
    until: datetime
    """Moment at which the last grant to the group ends."""


def states(record: Record, moment: datetime) -> tuple[GroupState, ...]:
    """Return every group that has rights at a moment, with the age of its list."""
    ends: dict[Subject, datetime] = {}
    for each in record.state.holdings(moment):
        subject = each.given.what.subject
        if subject.kind is SubjectKind.GROUP:
            ends[subject] = max(each.given.end, ends.get(subject, each.given.end))
    memberships = record.state.memberships
    return tuple(
        GroupState(
            group,
            len(memberships.members(group, moment)),
            memberships.reading(group, moment),
            ends[group],
        )
        for group in sorted(ends, key=str)
    )


def _ids(listing: GroupListing, known: Mapping[str, str]) -> frozenset[str]:
    """Return the ids of the people in a list; all who have no id yet are represented by one empty id."""
    return frozenset(known.get(each.subject, "") for each in listing.people)


def _is_old(reading: Reading | None, now: datetime) -> bool:
    return reading is None or now - reading.act.read_at >= CONFIRMED_AFTER


def _signed(organisation: ParticipantIdentifier, source: Source, at: datetime, act: MembersListed) -> Signed:
    statement = Statement(organisation.value, source.subject, at, _WHY, act)
    return Signed.by_ssh(statement, sign(source.key, statement.content, namespace(statement)))


def _nobody(_: Subject) -> Collection[str]:
    """Return no key, because a directory cannot appoint custodians."""
    return ()
