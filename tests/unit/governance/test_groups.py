"""Groups of a directory frozen into the record: members who come and go, and lists that remove no one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Role
from samdrift.governance.events import GovEvent
from samdrift.governance.groups import (
    MANY,
    DirectoryNotEnrolled,
    Outcome,
    PeopleUnavailable,
    Source,
    Synchronised,
    Synchroniser,
    held,
    states,
)
from samdrift.governance.records import Records, StatementRefused
from samdrift.messageclient.permissions import Assignments
from samdrift.net.directories import DirectoryUnavailable, GroupListing, ListedPerson
from samdrift.net.ldap import LdapDirectory
from samdrift.rights import Ended, Given, Right, Rights, Subject
from samdrift.rights.groups import MAX_CHANGES
from samdrift.rights.signing import Signed
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.slapd import GROUPS, PEOPLE, Slapd, group, person, requires_slapd
from tests.unit.governance.test_records import logged, roots, statements
from tests.unit.rights.building import AD, ANNA, BO, SCHOOL
from tests.unit.rights.signers import House, Ssh, founded
from tests.vaults import NOW, Installation

IDP = "https://idp.habo.se"
NIGHT = Subject.group("ad", f"cn=Nattskiftet,{GROUPS}")
NIGHT_NAME = f"cn=Nattskiftet,{GROUPS}"


@dataclass
class Listed:
    """A directory that answers as a test sets it, or fails."""

    groups: dict[str, GroupListing | Exception] = field(default_factory=dict)
    asked: list[Collection[str]] = field(default_factory=list)

    def say(self, *subjects: str, fault: str = "") -> None:
        people = frozenset(ListedPerson(each, each.title()) for each in subjects)
        self.groups[NIGHT_NAME] = GroupListing(people, fault=fault)

    async def read(self, groups: Collection[str]) -> Mapping[str, GroupListing]:
        self.asked.append(groups)
        found = {each: self.groups.get(each, GroupListing()) for each in groups}
        for each in found.values():
            if isinstance(each, Exception):
                raise each
        return {name: each for name, each in found.items() if isinstance(each, GroupListing)}


@dataclass
class World:
    """An organisation whose officers have enrolled its directory, and granted a group a right."""

    installation: Installation
    organisation: ParticipantIdentifier
    house: House
    records: Records
    reader: Listed | LdapDirectory
    given: str = ""
    name: str = "ad"

    @property
    def source(self) -> Source:
        key = Ssh(AD, f"{self.organisation} ad").private
        return Source(self.name, "ldaps://dc1.habo.se:636", IDP, self.reader, key)

    @property
    def listed(self) -> Listed:
        assert isinstance(self.reader, Listed)
        return self.reader

    async def append(self, *signed: Signed) -> None:
        await self.records.append(self.organisation, signed, roots)

    async def synchronise(self, *, shrink: bool = False) -> tuple[Synchronised, ...]:
        self.house.now += timedelta(minutes=15)
        done = await Synchroniser(self.installation.gate, self.records, lambda: self.house.now).synchronise(
            self.organisation, self.source, shrink=shrink
        )
        await self.follow()
        return done

    async def follow(self) -> None:
        """Add the directory's statements to the house's record."""
        record = await self.records.read(self.organisation)
        for entry in record.entries[self.house.record.number :]:
            self.house.record.append(entry.signed)

    async def may(self, subject: str, right: Right = Right.READ) -> bool:
        """Return whether the message client admits a person with this sign-in."""
        vaults = self.installation.gate.worker("pages", Role.MESSAGE_CLIENT)
        assigned = Assignments(vaults, lambda: self.house.now)
        person = await assigned.of(self.organisation, IDP, subject, {})
        return person.may(right, SCHOOL.mailbox)


async def enrol(world: World) -> None:
    before = world.house.record.number
    world.house.now += timedelta(minutes=1)
    world.house.enrolled(Ssh(AD, f"{world.organisation} ad"), ANNA, BO)
    await world.append(*statements(world.house)[before:])


async def give(world: World, group_: Subject = NIGHT) -> str:
    start = world.house.now + timedelta(minutes=1)
    what = Rights(group_, SCHOOL, frozenset({Right.READ}))
    given = world.house.state(ANNA, Given(what, start, start + timedelta(days=90), asked=False))
    await world.append(statements(world.house)[-1])
    return given.digest


async def founded_world(
    installation: Installation,
    reader: Listed | LdapDirectory | None = None,
    roles: Collection[Role] = (Role.GOVERNANCE, Role.MESSAGE_CLIENT),
) -> World:
    """Return an organisation whose first officers have been enrolled."""
    organisation = await installation.organisation(roles)
    house = founded(organisation.value, NOW)
    records = Records(installation.gate, lambda: house.now)
    await records.append(organisation, statements(house), roots)
    return World(installation, organisation, house, records, reader or Listed())


async def made(installation: Installation, reader: Listed | LdapDirectory | None = None) -> World:
    world = await founded_world(installation, reader)
    await enrol(world)
    world.given = await give(world)
    return world


async def test_who_is_in_the_group_gets_in_and_who_is_gone_is_out_at_the_next_request(
    installation: Installation,
) -> None:
    world = await made(installation)
    world.listed.say("cilla", "dag")
    (done,) = await world.synchronise()
    assert (done.outcome, done.joined, done.members) == (Outcome.CHANGED, 2, 2)
    assert [await world.may(each) for each in ("cilla", "dag", "eva")] == [True, True, False]
    assert not await world.may("cilla", Right.WRITE)
    world.listed.say("dag", "eva")
    (done,) = await world.synchronise()
    assert (done.outcome, done.joined, done.left) == (Outcome.CHANGED, 1, 1)
    assert [await world.may(each) for each in ("cilla", "dag", "eva")] == [False, True, True]


async def test_the_record_names_people_by_random_ids_and_nothing_of_the_directorys(
    installation: Installation,
) -> None:
    world = await made(installation)
    world.listed.say("19900101-1234")
    await world.synchronise()
    entry = (await world.records.read(world.organisation)).entries[-1]
    assert entry.statement.by == AD
    assert b"19900101" not in entry.signed.content
    assert (
        b"19900101"
        not in repr(await logged(world.installation, world.organisation, GovEvent.GROUP_KEPT)).encode()
    )


async def test_an_answer_that_would_remove_all_or_most_removes_nobody_and_is_in_the_log_once(
    installation: Installation,
) -> None:
    world = await made(installation)
    many = [f"p{number}" for number in range(MANY + 1)]
    world.listed.say(*many)
    await world.synchronise()
    before = (await world.records.read(world.organisation)).number
    synchroniser = Synchroniser(installation.gate, world.records, lambda: world.house.now)
    reasons = []
    for answer in (
        GroupListing(),
        GroupListing(fault="there is no such group, or it may not be read"),
        GroupListing(frozenset({ListedPerson("p1", "P")})),
    ):
        world.listed.groups[NIGHT_NAME] = answer
        for _ in range(2):
            (done,) = await synchroniser.synchronise(world.organisation, world.source)
            assert (done.outcome, done.members) == (Outcome.KEPT, len(many))
        reasons.append(done.reason)
    assert (await world.records.read(world.organisation)).number == before
    assert all([await world.may(each) for each in many])
    entries = await logged(installation, world.organisation, GovEvent.GROUP_KEPT)
    assert entries == [{"group": str(NIGHT), "reason": each} for each in reasons]


async def test_a_directory_that_fails_removes_nobody_and_the_list_grows_old(
    installation: Installation,
) -> None:
    world = await made(installation)
    world.listed.say("cilla")
    await world.synchronise()
    read_at = world.house.now
    world.listed.groups[NIGHT_NAME] = DirectoryUnavailable("no answer in time")
    world.house.now += timedelta(days=60)
    with pytest.raises(DirectoryUnavailable):
        await world.synchronise()
    assert await world.may("cilla")
    (state,) = states(await world.records.read(world.organisation), world.house.now)
    assert state.reading is not None
    assert (state.reading.act.read_at, state.members) == (read_at, 1)
    world.house.now += timedelta(days=31)  # The grant expires, however old the list is.
    assert not await world.may("cilla")


async def test_a_person_who_has_looked_lets_a_group_shrink_but_never_to_nobody(
    installation: Installation,
) -> None:
    world = await made(installation)
    world.listed.say(*(f"p{number}" for number in range(MANY + 1)))
    await world.synchronise()
    world.listed.say("p1")
    (done,) = await world.synchronise(shrink=True)
    assert (done.left, done.members) == (MANY, 1)
    world.listed.say()
    (done,) = await world.synchronise(shrink=True)
    assert (done.outcome, done.members) == (Outcome.KEPT, 1)
    assert await world.may("p1")


async def test_a_group_that_has_got_another_groups_name_lets_nobody_in_before_a_person_has_looked(
    installation: Installation,
) -> None:
    """The directory lists entirely different people under the name, as many as before."""
    world = await made(installation)
    own, others = ([f"{of}{number}" for number in range(MANY + 1)] for of in "pq")
    world.listed.say(*own)
    await world.synchronise()
    world.listed.say(*others)
    (done,) = await world.synchronise()
    assert (done.outcome, done.members) == (Outcome.KEPT, len(own))
    assert done.reason == f"the directory lists 0 of the {len(own)} people who were in it"
    assert [await world.may(each) for each in (own[0], others[0])] == [True, False]
    (done,) = await world.synchronise(shrink=True)
    assert (done.joined, done.left) == (len(others), len(own))


async def test_nobody_is_entered_whom_only_a_list_names_that_is_not_taken(installation: Installation) -> None:
    """Otherwise a directory with a different list each time would fill the message client's vault."""
    world = await made(installation)
    world.listed.say(*(f"p{number}" for number in range(MANY + 1)))
    await world.synchronise()
    for turn in range(3):
        world.listed.say(*(f"q{turn}{number}" for number in range(MANY + 1)))
        (done,) = await world.synchronise()
        assert done.outcome is Outcome.KEPT
        world.listed.say("x", "y", fault="it has more than 10000 members")
        (done,) = await world.synchronise()
        assert done.outcome is Outcome.KEPT
    async with installation.open(world.organisation, Role.MESSAGE_CLIENT) as vault:
        assert len(await vault.persons()) == MANY + 1


def test_the_limit_of_a_group_that_shrinks() -> None:
    assert not held({"a", "b"}, {"a"})
    few, many = set(map(str, range(MANY))), set(map(str, range(2 * MANY)))
    assert not held(few, {"1"})
    assert not held(many, set(map(str, range(MANY))))
    assert held(many, set(map(str, range(MANY - 1))))
    assert not held(many, set(map(str, range(MANY, 3 * MANY))))
    assert held(many, set(map(str, range(MANY + 1, 3 * MANY))))
    assert not held(many, {"1"}, shrink=True)
    assert held(many, set(), shrink=True)


async def test_no_group_is_read_that_no_grant_in_force_names(installation: Installation) -> None:
    world = await made(installation)
    world.listed.say("cilla")
    world.listed.groups[f"cn=Chefer,{GROUPS}"] = GroupListing(frozenset({ListedPerson("eva", "Eva")}))
    await world.synchronise()
    assert world.listed.asked == [[NIGHT_NAME]]
    ended = world.house.sign(BO, Ended(of=world.given))
    await world.append(ended)
    assert await world.synchronise() == ()
    assert len(world.listed.asked) == 1


async def test_a_group_of_another_directory_is_not_read_here(installation: Installation) -> None:
    world = await made(installation)
    world.house.now += timedelta(minutes=1)
    await give(world, Subject.group("external", f"cn=Inhyrda,{GROUPS}"))
    world.listed.say("cilla")
    await world.synchronise()
    assert world.listed.asked == [[NIGHT_NAME]]


async def test_the_same_name_at_another_sign_in_service_is_another_person(
    installation: Installation,
) -> None:
    world = await made(installation)
    elsewhere = Identity("https://other.example", "cilla", "Cilla")
    async with installation.open(world.organisation, Role.MESSAGE_CLIENT) as vault:
        other = await vault.know_person(elsewhere)
    world.listed.say("cilla")
    await world.synchronise()
    assert await world.may("cilla")
    (state,) = states(await world.records.read(world.organisation), world.house.now)
    assert state.reading is not None
    assert other not in state.reading.act.joined


async def test_a_key_that_officers_did_not_enrol_reads_nothing(installation: Installation) -> None:
    world = await founded_world(installation)
    await give(world)
    world.listed.say("cilla")
    with pytest.raises(Explained) as refused:
        await world.synchronise()
    assert isinstance(refused.value, DirectoryNotEnrolled)
    assert world.listed.asked == []
    assert not await world.may("cilla")


async def test_a_reading_without_a_change_is_stated_once_a_day_alone(installation: Installation) -> None:
    world = await made(installation)
    world.listed.say("cilla")
    await world.synchronise()
    before = (await world.records.read(world.organisation)).number
    for _ in range(3):
        assert [each.outcome for each in await world.synchronise()] == [Outcome.SAME]
    assert (await world.records.read(world.organisation)).number == before
    world.house.now += timedelta(hours=24)
    await world.synchronise()
    record = await world.records.read(world.organisation)
    assert record.number == before + 1
    (state,) = states(record, world.house.now)
    assert state.reading is not None
    assert state.reading.act.read_at == world.house.now


async def test_two_who_read_at_once_state_the_same_once(installation: Installation) -> None:
    world = await made(installation)
    world.listed.say(*(f"p{number}" for number in range(20)))
    other = Records(installation.gate, lambda: world.house.now)
    readers = [
        Synchroniser(installation.gate, each, lambda: world.house.now) for each in (world.records, other)
    ]
    world.house.now += timedelta(minutes=1)
    done = await asyncio.gather(*(each.synchronise(world.organisation, world.source) for each in readers))
    assert [each[0].members for each in done] == [20, 20]
    assert all([await world.may(f"p{number}") for number in range(20)])


async def test_another_organisations_directory_states_nothing_here(installation: Installation) -> None:
    """Name, group and server are the same, but the key and each statement are the other organisation's."""
    mine, theirs = await made(installation), await made(installation)
    theirs.listed.say("cilla")
    await theirs.synchronise()
    assert await theirs.may("cilla")
    assert not await mine.may("cilla")
    stolen = Synchroniser(installation.gate, mine.records, lambda: mine.house.now)
    with pytest.raises(DirectoryNotEnrolled):
        await stolen.synchronise(mine.organisation, theirs.source)
    reading = (await theirs.records.read(theirs.organisation)).entries[-1].signed
    with pytest.raises(StatementRefused):
        await mine.append(reading)
    assert not await mine.may("cilla")


async def test_without_the_message_client_nobody_has_an_id_and_nothing_changes(
    installation: Installation,
) -> None:
    """The organisation does not have the message client's role, so there is no vault with ids."""
    world = await founded_world(installation, roles=(Role.GOVERNANCE,))
    await enrol(world)
    await give(world)
    world.listed.say("cilla")
    before = world.house.record.number
    with pytest.raises(PeopleUnavailable):
        await world.synchronise()
    assert (await world.records.read(world.organisation)).number == before


# With a real directory server.


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Slapd]:
    made_ = Slapd(tmp_path)
    yield made_
    made_.stop()


@requires_slapd
async def test_a_real_directory_through_its_life(installation: Installation, server: Slapd) -> None:
    """The group is filled, loses a member, is gone, loses all members, is late, and is back again."""
    people = [person(each) for each in ("anna", "bo", "cilla")]
    dn = {each: f"uid={each},{PEOPLE}" for each in ("anna", "bo", "cilla")}
    server.fill(*people, group("Nattskiftet", *dn.values()))
    await server.start()
    world = await made(installation, server.directory())

    async def allowed() -> set[str]:
        return {each for each in dn if await world.may(f"sub-{each}")}

    await world.synchronise()
    assert await allowed() == {"anna", "bo", "cilla"}
    await server.refill(*people, group("Nattskiftet", dn["anna"], dn["cilla"]))
    await world.synchronise()
    assert await allowed() == {"anna", "cilla"}
    await server.refill(*people)
    assert [each.outcome for each in await world.synchronise()] == [Outcome.KEPT]
    await server.refill(*people, group("Nattskiftet", f"uid=nobody,{PEOPLE}"))
    assert [(each.outcome, each.unknown) for each in await world.synchronise()] == [(Outcome.KEPT, 1)]
    world.reader = server.directory(seconds=0.3)
    server.pause()
    with pytest.raises(DirectoryUnavailable):
        await world.synchronise()
    assert await allowed() == {"anna", "cilla"}
    server.go_on()
    world.reader = server.directory()
    await server.refill(*people, group("Nattskiftet", dn["bo"]))
    await world.synchronise()
    assert await allowed() == {"bo"}


@requires_slapd
async def test_more_people_than_one_statement_holds_are_frozen_whole(
    installation: Installation, server: Slapd
) -> None:
    many = [f"p{number:03}" for number in range(MAX_CHANGES + 50)]
    server.fill(*map(person, many), group("Nattskiftet", *(f"uid={each},{PEOPLE}" for each in many)))
    await server.start()
    world = await made(installation, server.directory())
    before = (await world.records.read(world.organisation)).number
    (done,) = await world.synchronise()
    record = await world.records.read(world.organisation)
    assert (done.joined, record.number - before) == (len(many), 2)
    assert await world.may("sub-p000")
    assert await world.may(f"sub-{many[-1]}")
