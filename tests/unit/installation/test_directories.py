"""Directories while governance is served: read when due, and each with a state and its reason."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.config.directories import DirectoryConfig
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Role
from samdrift.governance.groups import OUT_OF_DATE
from samdrift.governance.records import Records
from samdrift.installation import directories
from samdrift.installation.directories import DirectoryKeeper, Place, source_of
from samdrift.installation.health import Health
from samdrift.net.background import in_background
from samdrift.net.directories import DirectoryUnavailable, GroupListing, LdapSecurity
from samdrift.rights import Ended
from samdrift.rights.groups import MembersListed, changes
from samdrift.rights.record import Record
from samdrift.rights.signing import Signed
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.programs import requires
from tests.secretfiles import secret_file
from tests.slapd import PASSWORD, PEOPLE, READER, Slapd, group, person, requires_slapd
from tests.unit.governance.test_groups import IDP, NIGHT, World, enrol, founded_world, give
from tests.unit.rights.building import AD, BO
from tests.unit.rights.signers import Ssh
from tests.vaults import Installation

pytestmark = requires_slapd
ANNA_DN = f"uid=anna,{PEOPLE}"


@dataclass
class Ground:
    """A directory in a configuration, the organisation, and its health."""

    world: World
    server: Slapd
    place: Place
    health: Health
    keeper: DirectoryKeeper

    def state(self) -> str:
        """Return the reason that the directory is gone; empty while it is there."""
        (condition,) = self.health.conditions()
        assert (condition.dependency, condition.at) == ("directory", "localhost")
        return condition.reason


@pytest.fixture
async def ground(
    installation: Installation, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Ground]:
    caplog.set_level(logging.WARNING, "samdrift")
    server = Slapd(tmp_path / "slapd")
    server.fill(person("anna"), group("Nattskiftet", ANNA_DN))
    await server.start()
    world = await founded_world(installation)
    key = Ssh(AD, f"{world.organisation} ad").private
    content = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    own = DirectoryConfig(
        "ad",
        "localhost",
        READER,
        secret_file(tmp_path / "password", PASSWORD.encode()),
        secret_file(tmp_path / "key", content),
        PEOPLE,
        "employeeNumber",
        port=server.plain_port,
        security=LdapSecurity.NONE,
        seconds=1,
    )
    place = Place(world.organisation, IDP, own)
    health = Health(lambda: world.house.now)
    keeper = DirectoryKeeper(installation.gate, world.records, [place], health.note, lambda: world.house.now)
    yield Ground(world, server, place, health, keeper)
    server.stop()


async def test_a_directory_is_gone_with_its_reason_and_back_with_its_answer(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    await give(ground.world)
    ground.world.house.now += timedelta(minutes=2)
    await ground.keeper.look(ground.place)
    assert ground.state() == "its key is not enrolled, or has ended"
    await enrol(ground.world)
    await ground.keeper.look(ground.place)
    assert ground.state() == ""
    assert await ground.world.may("sub-anna")
    await ground.server.refill(person("anna"))
    await ground.keeper.look(ground.place)
    assert ground.state().startswith("a group is kept as it was: there is no such group")
    ground.server.stop()
    await ground.keeper.look(ground.place)
    assert ground.state() == f"connection refused at localhost:{ground.server.plain_port}"
    ground.place.own.password_file.unlink()
    await ground.keeper.look(ground.place)
    assert ground.state() == "password_file: cannot be read: no such file or directory"
    assert await ground.world.may("sub-anna")
    lines = [each.getMessage() for each in caplog.records]
    assert [line.partition(": ")[0] for line in lines] == ["directory localhost"] * 3
    assert "anna" not in caplog.text


async def test_a_group_that_gets_a_right_is_read_at_once_and_later_when_it_is_time(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_PAUSE", "_SOON"):  # The test moves the clock, but pauses take real time.
        monkeypatch.setattr(directories, name, timedelta(milliseconds=20))
    await enrol(ground.world)
    failures: list[BaseException] = []
    work = (ground.keeper.keep(), ground.keeper.hear())
    async with in_background(*work, on_failure=failures.append):
        await give(ground.world)
        ground.world.house.now += timedelta(minutes=2)
        async with asyncio.timeout(60):
            while not await ground.world.may("sub-anna"):
                await asyncio.sleep(0.02)
        await ground.world.follow()
        await ground.server.refill(
            person("anna"), person("bo"), group("Nattskiftet", ANNA_DN, f"uid=bo,{PEOPLE}")
        )
        ground.world.house.now += timedelta(minutes=16)
        async with asyncio.timeout(60):
            while not await ground.world.may("sub-bo"):
                await asyncio.sleep(0.02)
    assert failures == []


async def test_a_directory_read_while_the_clock_was_ahead_is_read_again_when_it_is_right(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_PAUSE", "_SOON"):
        monkeypatch.setattr(directories, name, timedelta(milliseconds=20))
    house = ground.world.house
    right, house.now = house.now, house.now + timedelta(days=30)
    await ground.keeper.look(ground.place)
    house.now = right
    looked = asyncio.Event()

    async def look(place: Place) -> None:
        looked.set()

    monkeypatch.setattr(ground.keeper, "look", look)
    failures: list[BaseException] = []
    async with in_background(ground.keeper.keep(), on_failure=failures.append):
        async with asyncio.timeout(60):
            await looked.wait()
    assert failures == []


async def test_a_directory_that_is_gone_is_asked_each_minute_until_it_is_back(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person who repaired it would otherwise wait a quarter of an hour to see the result."""
    for name in ("_PAUSE", "_SOON"):
        monkeypatch.setattr(directories, name, timedelta(milliseconds=20))
    await enrol(ground.world)
    await give(ground.world)
    ground.world.house.now += timedelta(minutes=2)
    ground.server.stop()
    await ground.keeper.look(ground.place)
    assert "refused" in ground.state()
    await ground.server.start()
    ground.world.house.now += timedelta(seconds=61)
    failures: list[BaseException] = []
    async with in_background(ground.keeper.keep(), on_failure=failures.append):
        async with asyncio.timeout(60):
            while ground.state():
                await asyncio.sleep(0.02)
    assert failures == []


class Laborious:
    """A directory that takes long to read, and is then refused."""

    def __init__(self, world: World, takes: timedelta) -> None:
        self.world, self.takes = world, takes

    async def read(self, groups: Collection[str]) -> Mapping[str, GroupListing]:
        self.world.house.now += self.takes
        raise DirectoryUnavailable("it sends more than 64 MB")


@pytest.mark.parametrize(("takes", "again"), [(0, 60), (3, 60), (12, 240), (59, 841)])
async def test_a_directory_that_is_laborious_is_asked_less_often_than_one_that_is_gone(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, takes: int, again: int
) -> None:
    """Decoding its answer uses the processor of a process that all organisations share."""
    world = ground.world
    source = replace(world.source, reader=Laborious(world, timedelta(seconds=takes)))
    monkeypatch.setattr(directories, "source_of", lambda place: source)
    await enrol(world)
    await give(world)
    world.house.now += timedelta(minutes=2)
    await ground.keeper.look(ground.place)
    assert (ground.keeper._next[ground.place] - world.house.now).total_seconds() == again


class Silent:
    """A directory that never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def read(self, groups: Collection[str]) -> Mapping[str, GroupListing]:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("it is cancelled")


@pytest.mark.parametrize("how", ["when it is time", "when a group gets a right"])
async def test_a_directory_that_never_answers_holds_up_no_other_organisations(
    ground: Ground, installation: Installation, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Otherwise people who left another organisation's group would go on reading (invariant 17)."""
    held, other, silent = ground.world, await founded_world(installation), Silent()
    places = [ground.place, replace(ground.place, organisation=other.organisation)]
    sources = {places[0]: replace(held.source, reader=silent), places[1]: other.source}
    monkeypatch.setattr(directories, "source_of", sources.__getitem__)
    other.listed.say("cilla")

    def clock() -> datetime:
        return held.house.now + timedelta(minutes=2)

    records = Records(installation.gate, clock)
    keeper = DirectoryKeeper(installation.gate, records, places, ground.health.note, clock)
    for world in (held, other):
        await enrol(world)
    failures: list[BaseException] = []
    if how == "when it is time":
        for world in (held, other):
            await give(world)
        async with in_background(keeper.keep(), on_failure=failures.append):
            assert await got_in(other, "cilla")
    else:
        async with in_background(keeper.hear(), on_failure=failures.append):
            await give(held)
            async with asyncio.timeout(60):
                await silent.asked.wait()
            await give(other)
            assert await got_in(other, "cilla")
    assert silent.asked.is_set()
    assert failures == []


async def got_in(world: World, who: str) -> bool:
    """Wait a minute at most until a person may read; return whether that happened."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while not await world.may(who):
                await asyncio.sleep(0.02)
            return True
    return False


async def test_a_directory_without_groups_that_have_rights_is_not_asked(ground: Ground) -> None:
    await enrol(ground.world)
    ground.server.stop()
    await ground.keeper.look(ground.place)
    assert ground.state() == ""


async def test_a_directory_whose_key_has_ended_reads_no_more(ground: Ground) -> None:
    await enrol(ground.world)
    await give(ground.world)
    ground.world.house.now += timedelta(minutes=2)
    await ground.keeper.look(ground.place)
    await ground.world.follow()
    (key,) = (each for each in ground.world.house.record.keys.all() if each.act.to == AD)
    ended: Signed = ground.world.house.sign(BO, Ended(of=key.id))
    await ground.world.append(ended)
    await ground.keeper.look(ground.place)
    assert ground.state() == "its key is not enrolled, or has ended"
    record = await ground.world.records.read(ground.world.organisation)
    assert sum(isinstance(each.statement.act, MembersListed) for each in record.entries) == 1
    assert await ground.world.may("sub-anna")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("password_file", b"", "is empty"),
        ("password_file", b"\n", "is empty"),
        ("password_file", b"\xff\xfe", "is not text"),
        ("key_file", b"", "private key of OpenSSH"),
        ("key_file", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "private key of OpenSSH"),
        ("tls_issuers", b"no certificate", "tls_issuers"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(
    ground: Ground, tmp_path: Path, name: str, content: bytes, fault: str
) -> None:
    file = secret_file(tmp_path / "unfit", content)
    changed = {name: file, "security": LdapSecurity.TLS}
    with pytest.raises(ConfigError, match=fault):
        source_of(replace(ground.place, own=replace(ground.place.own, **changed)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["password_file", "key_file"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
async def test_a_secret_that_others_than_its_owner_can_read_or_write_is_not_used(
    ground: Ground, name: str, mode: int
) -> None:
    """The key's holder, even a worker that was taken over, decides who is in the directory's groups."""
    await enrol(ground.world)
    await give(ground.world)
    getattr(ground.place.own, name).chmod(mode)
    ground.world.house.now += timedelta(minutes=2)
    await ground.keeper.look(ground.place)
    assert ground.state() == f"{name}: users other than its owner can read or write it: chmod 600"
    assert not await ground.world.may("sub-anna")


@requires("ssh-keygen", "openssh-client")
@pytest.mark.parametrize("kind", [("-t", "ecdsa", "-N", ""), ("-t", "ed25519", "-N", "hemligt")])
async def test_a_key_of_another_kind_or_with_a_passphrase_signs_no_readings(
    ground: Ground, tmp_path: Path, kind: tuple[str, ...]
) -> None:
    file = tmp_path / "made"
    subprocess.run(["ssh-keygen", "-q", *kind, "-f", file], check=True)
    with pytest.raises(ConfigError, match="Ed25519 and without a passphrase"):
        source_of(replace(ground.place, own=replace(ground.place.own, key_file=file)))


async def test_where_a_timer_reads_the_directory_it_is_gone_once_the_list_is_out_of_date(
    ground: Ground, installation: Installation
) -> None:
    """At isolation level process, this process does not open the message client's vault."""
    world = await founded_world(installation, roles=(Role.GOVERNANCE,))
    await enrol(world)
    await give(world)
    place = replace(ground.place, organisation=world.organisation)
    place.own.key_file.unlink()  # It cannot read the directory's key either.
    keeper = DirectoryKeeper(
        installation.gate, world.records, [place], ground.health.note, lambda: world.house.now
    )
    await keeper.look(place)
    assert ground.state() == "the message client's vault is not open to this process"
    (act,) = changes(NIGHT, "ldaps://dc1.habo.se:636", world.house.now, (), ["cilla"])
    await world.append(world.house.sign(AD, act))
    await keeper.look(place)
    assert ground.state() == ""
    world.house.now += OUT_OF_DATE + timedelta(minutes=1)
    await keeper.look(place)
    assert ground.state() == "the message client's vault is not open to this process"


async def test_whatever_goes_wrong_a_directory_is_read_again_when_its_time_comes(
    ground: Ground,
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An unforeseen error used to end the work, and no organisation's directories were read from then on."""
    monkeypatch.setattr(directories, "_PAUSE", timedelta(milliseconds=10))
    monkeypatch.setattr(directories, "_SOON", timedelta(milliseconds=10))
    world = await founded_world(installation, roles=(Role.GOVERNANCE,))
    await enrol(world)
    await give(world)
    records, times = Records(installation.gate, lambda: world.house.now), 0

    async def read(organisation: ParticipantIdentifier) -> Record:
        nonlocal times
        times += 1
        raise ValueError("nobody foresaw this")

    monkeypatch.setattr(records, "read", read)
    place = replace(ground.place, organisation=world.organisation, own=replace(ground.place.own, minutes=0))
    keeper = DirectoryKeeper(installation.gate, records, [place], ground.health.note, lambda: world.house.now)
    ended: list[BaseException] = []
    async with in_background(keeper.keep(), on_failure=ended.append):
        async with asyncio.timeout(60):
            while times < 3:
                await asyncio.sleep(0.01)
    assert ended == []
    assert "unexpected ValueError in directories" in caplog.text
