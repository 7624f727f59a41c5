"""Groups of an organisation's directories, synchronised: who is in them is frozen into its record.

Groups that are read are those that a signed grant in force names, and no others. A directory that answers
late, with an error, in part, with nobody or with far fewer people than before removes nobody: its groups stay
as they were frozen until the grants end, and their age is shown. A person who is gone from a full answer is
out with the statement that says so, which every role has when :meth:`Synchroniser.synchronise` returns.

Statements name people by the message client's ids. Who has not signed in yet gets one there, as somebody does
who is given a right before the first sign-in.
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
"""Most people of whom any number may leave a group by one reading."""
CONFIRMED_AFTER = timedelta(hours=20)
"""Age of the last reading after which one that found no change is stated as well."""
OUT_OF_DATE = CONFIRMED_AFTER + timedelta(hours=6)
"""Age of the last reading after which a directory that another process reads counts as gone."""
_WHY = "reading of the directory"
_ATTEMPTS = 3
_AGAIN = frozenset({Refusal.OUT_OF_ORDER, Refusal.REPEATED, Effect.OTHER_LISTING})
"""Refusals that mean that another process has added a statement meanwhile."""


class Reader(Protocol):
    """Reads groups by their distinguished names; a :class:`Temporary` error where it cannot."""

    async def read(self, groups: Collection[str]) -> Mapping[str, GroupListing]:
        """Return the people in each group, or why there is no list of it."""
        ...


@dataclass(frozen=True)
class Source:
    """A directory of one organisation."""

    name: str
    server: str
    """Address, as statements have it."""
    issuer: str
    """The sign-in service that calls people as the directory does."""
    reader: Reader
    key: Ed25519PrivateKey

    @property
    def subject(self) -> Subject:
        """The one who states who is in its groups."""
        return Subject(SubjectKind.DIRECTORY, self.name)

    @property
    def fingerprint(self) -> str:
        """Name of its key, as officers enrol it."""
        return PublicKey(Scheme.SSH, public_line(self.key)).fingerprint


class Outcome(StrEnum):
    """Results of a reading of a group."""

    CHANGED = "changed"
    SAME = "same"
    KEPT = "kept"
    """There is no list, or none that removes people: the group is as it was."""


@dataclass(frozen=True, slots=True)
class Synchronised:
    """A group after a reading."""

    group: Subject
    outcome: Outcome
    joined: int = 0
    left: int = 0
    members: int = 0
    unknown: int = 0
    """Members whom the directory names and who are not among its people."""
    reason: str = ""
    """The reason why it was kept."""


class DirectoryNotEnrolled(Temporary):
    """A directory whose key the organisation's officers have not enrolled, or have ended."""

    service = "LDAP"

    def __init__(self, name: str, fingerprint: str) -> None:
        self.cause = "its key is not enrolled, or has ended"
        super().__init__(
            f"the key of the directory {name} ({fingerprint[:16]}…) is not enrolled, or has ended: an officer"
            " asks for it by samdrift gov officer enrol, and another approves it"
        )


class NobodyToName(Temporary):
    """A message client whose vault is not open here, so that people have no ids to be named by."""

    service = "LDAP"

    def __init__(self) -> None:
        self.cause = "the message client's vault is not open to this process"
        super().__init__(
            "the vault of the organisation's message client is locked or not open to this process: have"
            " samdrift gov group synchronise run by a timer, or unlock it"
        )


class Synchroniser:
    """Reads groups and freezes who is in them."""

    def __init__(self, gate: Gate, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._office = gate.worker("groups", Role.GOVERNANCE)
        self._people = gate.worker("groups", Role.MESSAGE_CLIENT)
        self._kept: dict[tuple[ParticipantIdentifier, Subject], str] = {}
        """Reasons that are in the log already."""

    async def synchronise(
        self, organisation: ParticipantIdentifier, source: Source, *, shrink: bool = False
    ) -> tuple[Synchronised, ...]:
        """Read the groups of a directory that have rights, and state what changed.

        With ``shrink`` a group may lose more than half of many people at once; a person has looked.
        :class:`~samdrift.contracts.errors.Temporary` where the directory cannot be read: nothing changes.
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
        """Return if people can be named here, before a directory is asked; :class:`NobodyToName` if not."""
        try:
            async with self._people.open(organisation, Purpose.AUTHORISE):
                pass
        except VaultError:
            raise NobodyToName from None

    async def _named(
        self,
        organisation: ParticipantIdentifier,
        source: Source,
        record: Record,
        found: Mapping[Subject, GroupListing],
        *,
        shrink: bool,
    ) -> Mapping[str, str]:
        """Return the ids of people by what the directory calls them; who is new in a group is entered.

        Nobody is entered whom only a list names that is not taken: a directory that lists others each time
        would otherwise fill the message client's vault.
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
            raise NobodyToName from None
        return known

    async def _log(self, organisation: ParticipantIdentifier, done: Sequence[Synchronised]) -> None:
        """Put into the organisation's log which groups are kept as they were, once for each reason."""
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
    """Return the groups of a directory that a grant in force names, in order."""
    subjects = {each.given.what.subject for each in record.state.holdings(moment)}
    groups = (each for each in subjects if each.kind is SubjectKind.GROUP)
    return tuple(sorted((each for each in groups if directory_of(each) == directory), key=str))


def out_of_date(record: Record, directory: str, moment: datetime) -> bool:
    """Return whether a group that has rights was never read, or not for longer than a day and some hours."""
    read = (record.state.memberships.reading(each, moment) for each in wanted(record, directory, moment))
    return any(each is None or moment - each.act.read_at > OUT_OF_DATE for each in read)


def held(before: Collection[str], after: Collection[str], *, shrink: bool = False) -> str:
    """Return why a list of people does not replace the one before; nothing where it does."""
    if not after:
        return "the directory lists nobody in it"
    stay = len(frozenset(before).intersection(after))
    if not shrink and len(before) > MANY and 2 * stay < len(before):
        return f"the directory lists {stay} of the {len(before)} people who were in it"
    return ""


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group that has rights, as the record has it."""

    group: Subject
    members: int
    reading: Reading | None
    """The last reading; its age is the age of the list."""
    until: datetime
    """Moment at which the last grant to it ends."""


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
    """Return the ids of the people in a list; those who have none yet are one more together."""
    return frozenset(known.get(each.subject, "") for each in listing.people)


def _is_old(reading: Reading | None, now: datetime) -> bool:
    return reading is None or now - reading.act.read_at >= CONFIRMED_AFTER


def _signed(organisation: ParticipantIdentifier, source: Source, at: datetime, act: MembersListed) -> Signed:
    statement = Statement(organisation.value, source.subject, at, _WHY, act)
    return Signed.by_ssh(statement, sign(source.key, statement.content, namespace(statement)))


def _nobody(_: Subject) -> Collection[str]:
    """Return no key: a directory introduces no custodian."""
    return ()
