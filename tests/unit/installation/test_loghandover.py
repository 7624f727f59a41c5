"""Logs handed over to their organisations' log systems: completely, at least once, and only their own."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.events import Retention
from samdrift.contracts.principals import Role
from samdrift.installation import loghandover
from samdrift.installation.loghandover import LogHandOver, LogSystemClient
from samdrift.net.addresses import any_address
from samdrift.transparency.handover import Connect, NotTaken
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.transparency.logsystem import LogSystem
from tests.vaults import NOW, Installation

ROLES = (Role.ACCESS_POINT,)
AP = Role.ACCESS_POINT


def system(connect: Connect) -> LogSystemClient:
    """Return a log system that is reached through ``connect``."""
    return cast(LogSystemClient, SimpleNamespace(connect=connect, place="logs.example.se:6514"))


@dataclass
class Scene:
    """Two organisations, one with a log system, and one with a system that does not exist."""

    installation: Installation
    own: ParticipantIdentifier
    other: ParticipantIdentifier
    system: LogSystem
    noted: list[tuple[str, str, str]] = field(default_factory=list)
    files: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    def keeper(self, settle: float = 0.01) -> LogHandOver:
        """Return a keeper as another process would start it."""
        systems = {
            self.own: LogSystemClient(self.system.config, any_address, self.files),
            self.other: LogSystemClient(
                replace(self.system.config, certificate=Path("/nowhere.pem")), any_address, self.files
            ),
        }
        return LogHandOver(
            self.installation.gate,
            systems,
            lambda: NOW,
            lambda *each: self.noted.append(each[:3]),
            settle=settle,
        )

    async def log(self, whose: ParticipantIdentifier, entries: int) -> None:
        async with self.installation.open(whose, AP) as vault:
            for number in range(entries):
                vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=f"{whose.value} {number}")

    async def numbers(self, whose: ParticipantIdentifier) -> list[int]:
        async with self.installation.open(whose, AP) as vault:
            _, rows = await vault.tree.to_hand_over(100_000)
            end = await vault.log_end()
        assert [row[0] for row in rows] == list(range(end - len(rows) + 1, end + 1))
        return list(range(1, end + 1))


@pytest.fixture
async def scene(installation: Installation, tmp_path: Path) -> AsyncIterator[Scene]:
    async with _scene(installation, tmp_path) as scene:
        yield scene


@asynccontextmanager
async def _scene(installation: Installation, folder: Path) -> AsyncIterator[Scene]:
    own, other = [await installation.organisation(ROLES) for _ in range(2)]
    system = LogSystem(folder)
    scene = Scene(installation, own, other, system)
    async with system.running(), scene.files:
        yield scene


async def test_each_entry_is_handed_over_once_and_its_place_outlives_the_process(scene: Scene) -> None:
    for new in (3, 0, 5):
        await scene.log(scene.own, new)
        keeper = scene.keeper()
        while await keeper.round(scene.own, AP):
            pass
        end = (await scene.numbers(scene.own))[-1]
        assert [each["number"] for each in scene.system.facts] == list(range(1, end + 1))
    assert not any(reason for _, _, reason in scene.noted)


async def test_the_hand_over_leaves_no_entry_that_would_have_to_be_handed_over(scene: Scene) -> None:
    await scene.log(scene.own, 1)
    await scene.keeper().round(scene.own, AP)
    assert await scene.keeper().round(scene.own, AP) == 0


async def test_only_the_organisations_own_log_is_handed_over_with_its_facts(scene: Scene) -> None:
    await scene.log(scene.own, 2)
    await scene.log(scene.other, 2)
    await scene.keeper().round(scene.own, AP)
    assert {each["organisation"] for each in scene.system.facts} == {scene.own.value}
    named = [each["ids"]["envelope"] for each in scene.system.facts if "envelope" in each["ids"]]
    assert named == [f"{scene.own.value} 0", f"{scene.own.value} 1"]
    assert scene.other.value not in str(scene.system.streams)


async def test_what_a_killed_log_system_may_have_lost_comes_again(scene: Scene) -> None:
    await scene.log(scene.own, 20)
    scene.system.leaves_after = 3000
    keeper = scene.keeper(settle=60)
    with pytest.raises(NotTaken):  # as soon as the connection breaks, before `settle` is over
        await keeper.round(scene.own, AP)
    before = len(scene.system.streams)
    scene.system.leaves_after, keeper._settle = None, 0.01
    await keeper.round(scene.own, AP)
    again = LogSystem(scene.system.folder, scene.system.streams[before:]).facts
    assert [each["number"] for each in again] == await scene.numbers(scene.own)
    address = scene.system.config.address
    place = f"{address.host}:{address.port}"
    assert {each[:2] for each in scene.noted} == {("log-system", place)}, "all logs must share one condition"
    assert [bool(reason) for *_, reason in scene.noted] == [True, False]


async def test_files_that_cannot_be_used_concern_their_organisation_alone(scene: Scene) -> None:
    await scene.log(scene.other, 1)
    await scene.log(scene.own, 1)
    keeper = scene.keeper()
    with pytest.raises(NotTaken, match="the files of its configuration cannot be used, FileNotFoundError"):
        await keeper.round(scene.other, AP)
    assert await keeper.round(scene.own, AP) > 0


async def test_what_was_disposed_of_is_handed_over_as_that(scene: Scene) -> None:
    await scene.log(scene.own, 3)
    schema = (await vault_login(scene.installation, scene.own, AP)).schema
    (await superuser(scene.installation)).rows(
        f"UPDATE {schema}.log SET content = NULL, salt = NULL, traces = '{{}}' WHERE retention = %s",
        Retention.TRANSFER,
    )
    await scene.keeper().round(scene.own, AP)
    assert [each["number"] for each in scene.system.facts] == await scene.numbers(scene.own)
    assert sum("disposed" in each for each in scene.system.facts) == 3


async def test_an_organisation_whose_log_system_takes_its_time_has_one_place(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to occupy one per log, as long as they grew, so that four organisations occupied all."""
    roles = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT)
    slow, other = await installation.organisation(roles), await installation.organisation(roles[2:])
    begun, reached = list[None](), asyncio.Event()

    async def hangs() -> tuple[StreamReader, StreamWriter]:
        begun.append(None)
        return await asyncio.Future()

    async def answers() -> tuple[StreamReader, StreamWriter]:
        reached.set()
        return await asyncio.Future()

    monkeypatch.setattr(loghandover, "_AT_ONCE", 2)
    keeper = LogHandOver(installation.gate, {slow: system(hangs), other: system(answers)}, lambda: NOW)
    async with asyncio.TaskGroup() as keeping:
        begins = keeping.create_task(keeper.keep(roles[:2]))
        while not begun:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # Leave time for its other log to begin, which it must not.
        follows = keeping.create_task(keeper.keep(roles[2:]))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reached.wait(), 60)
        begins.cancel()
        follows.cancel()
    assert (reached.is_set(), len(begun)) == (True, 1)
