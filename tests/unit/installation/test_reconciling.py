"""The service that compares an organisation's logs each night: its findings, entries and notes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.audit.entries import Happening, LogEntry
from samdrift.contracts.principals import Role
from samdrift.evidence.reconciliation import Kind
from samdrift.installation import reconciling
from samdrift.installation.events import RunEvent
from samdrift.installation.health import ClockDiffers, Dependency
from samdrift.installation.reconciling import Reconciler
from samdrift.messageservice.events import MTEvent
from samdrift.scheduling.leases import Leases, partition_of
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.logbook import append_statement
from samdrift.vault.registry import Registration, RegistrationState, Registry
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import virtualtime
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.evidence.exchanges import BEGUN, HABO, World, exchanged
from tests.vaults import Installation

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ROLES = (AP, MT)


@dataclass
class Scene:
    """An organisation whose vaults have a world's logs, and the service that examines them afterwards."""

    installation: Installation
    organisation: ParticipantIdentifier
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    noted: list[tuple[str, ...]] = field(default_factory=list)

    async def fill(self, world: World) -> None:
        shift = datetime.now(UTC) + timedelta(minutes=1) - BEGUN
        for role in ROLES:
            happenings = [
                Happening(at + shift, event, "worker:test", "", ids)
                for at, event, ids in world.logs[HABO, role.value].entries[1:]
            ]
            async with self.installation.open(self.organisation, role) as vault:
                statement, values = append_statement(happenings)
                await vault._work.query(statement, *values)
        self.now = world.now + shift
        await self.sign()

    async def sign(self) -> None:
        for role in ROLES:
            for _ in range(2):  # The first checkpoint adds an entry: the key's announcement.
                async with self.installation.open(self.organisation, role) as vault:
                    await vault.tree.sign(self.now)

    @property
    def service(self) -> Reconciler:
        return Reconciler(self.installation.gate, lambda: self.now, lambda *noted: self.noted.append(noted))

    async def recorded(self, role: Role) -> list[LogEntry]:
        async with self.installation.open(self.organisation, role) as vault:
            return [entry for entry in await vault.log(0, 1000) if entry.event == RunEvent.LOG_RECONCILED]

    async def change(self, sql: str) -> None:
        login = await vault_login(self.installation, self.organisation, MT)
        (await superuser(self.installation)).rows(sql.format(f"{login.schema}.log"))


@pytest.fixture
async def scene(installation: Installation) -> Scene:
    return Scene(installation, await installation.organisation(ROLES))


async def test_logs_that_agree_leave_an_entry_in_each_and_no_alarm(scene: Scene) -> None:
    await scene.fill(exchanged())
    found = await scene.service.compare(scene.organisation)
    assert found is not None
    assert found.holds
    for role in ROLES:
        (entry,) = await scene.recorded(role)
        assert (entry.principal, entry.purpose) == ("worker:reconciliation", "trace")
        assert entry.ids == {
            "compared": str(sum(found.compared.values())),
            "under_way": "0",
            "differences": "0",
        }
    assert [(kind, reason) for kind, _, reason in scene.noted] == [(Dependency.RECONCILIATION, "")]


async def test_a_difference_is_in_the_logs_in_health_and_an_alarm_until_they_agree(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.fill(exchanged(lambda world: world.without(HABO, MTEvent.MT_MESSAGE_RETRIEVED, "from-1")))
    with caplog.at_level(logging.ERROR):
        found = await scene.service.compare(scene.organisation)
    assert found is not None
    assert Kind.ARRIVED_NOT_FETCHED in {each.kind for each in found.differences}
    (entry,) = await scene.recorded(AP)
    assert "arrived-not-fetched from-1" in entry.ids["first"]
    ((kind, origin, reason),) = scene.noted
    assert kind == Dependency.RECONCILIATION
    assert "arrived-not-fetched" in reason
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("ALARM logs that begin with samdrift.log/")
    assert scene.organisation.value not in f"{line} {origin} {reason}", "the organisation must not be named"
    assert "from-1" not in f"{line} {reason}"


async def test_what_nobody_signed_is_not_compared(scene: Scene) -> None:
    await scene.fill(exchanged())
    before = await scene.service.compare(scene.organisation)
    async with scene.installation.open(scene.organisation, MT) as vault:
        vault.record(MTEvent.MT_MESSAGE_READ, message="none")
    after = await scene.service.compare(scene.organisation)
    assert before is not None
    assert after is not None
    assert (before.compared, before.differences) == (after.compared, after.differences)


DAMAGES = {
    "facts": (
        "UPDATE {} SET content = convert_to(replace(convert_from(content, 'UTF8'), 'test', 'best'), 'UTF8')"
        " WHERE sequence = 12",
        "its facts are not those",
    ),
    "leaf": (
        "UPDATE {} SET hash = sha256('x'), content = NULL, salt = NULL WHERE sequence = 12",
        "not those that the log signed",
    ),
    "gap": ("DELETE FROM {} WHERE sequence = 12", "it is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_log_that_was_changed_is_not_compared_but_named(scene: Scene, damage: str) -> None:
    await scene.fill(exchanged())
    sql, why = DAMAGES[damage]
    await scene.change(sql)
    assert await scene.service.compare(scene.organisation) is None
    assert why in scene.noted[0][2]
    assert why in (await scene.recorded(AP))[0].ids["fault"]


async def test_an_organisation_without_traffic_gets_no_entry(scene: Scene) -> None:
    await scene.sign()
    found = await scene.service.compare(scene.organisation)
    assert found is not None
    assert not found.compared
    assert await scene.recorded(AP) == []


async def test_a_log_in_its_third_month_is_read_from_two_weeks_ago_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older entries are neither read nor missed."""
    await scene.fill(exchanged(lambda world: world.without(HABO, MTEvent.MT_MESSAGE_RETRIEVED, "from-1")))
    read = list[int]()

    def placed(row: Any) -> LogEntry:
        read.append(row[0])
        return entry(row)

    entry = reconciling.logbook.entry
    monkeypatch.setattr(reconciling.logbook, "entry", placed)
    scene.now += timedelta(days=60)
    found = await scene.service.compare(scene.organisation)
    assert found is not None
    assert found.holds
    assert len(read) < 2 * 16, "only the search for the start may read entries"


def gate_of(*organisations: ParticipantIdentifier) -> Gate:
    leases = Leases()
    registry = Registry(leases=leases)
    registry.replace(
        Registration(each, role, RegistrationState.ACTIVE, f"{each} {role}", "", b"", "")
        for each in organisations
        for role in ROLES
    )
    return cast(Gate, SimpleNamespace(registry=registry, leases=leases))


def comparing(monkeypatch: pytest.MonkeyPatch, act: Callable[[ParticipantIdentifier], None]) -> None:
    async def compare(self: Reconciler, organisation: ParticipantIdentifier) -> None:
        act(organisation)

    monkeypatch.setattr(Reconciler, "compare", compare)


@virtualtime.in_virtual_time
async def test_each_organisation_is_compared_soon_after_a_start_and_then_once_a_night(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times: dict[str, list[datetime]] = {}
    comparing(monkeypatch, lambda one: times.setdefault(one.value, []).append(virtualtime.now()))
    members = [ParticipantIdentifier(f"0203:kommun{number}.se") for number in range(20)]
    keeping = asyncio.create_task(Reconciler(gate_of(*members), virtualtime.now).keep())
    await asyncio.sleep(timedelta(days=3).total_seconds())
    keeping.cancel()
    assert set(times) == {one.value for one in members}
    for each in times.values():
        first, *nights = each
        assert first - virtualtime.BEGAN <= timedelta(minutes=16)
        assert len(nights) == 3
        assert all(one.hour < 4 or (one.hour == 4 and one.minute < 2) for one in nights)
    assert len({each[1] for each in times.values()}) > 10, (
        "organisations must not all be compared at the same time"
    )


@virtualtime.in_virtual_time
async def test_a_vault_that_does_not_open_is_compared_an_hour_later_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    locked, other = ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se")
    times: dict[str, list[datetime]] = {}

    def act(organisation: ParticipantIdentifier) -> None:
        times.setdefault(organisation.value, []).append(virtualtime.now())
        if organisation == locked:
            raise VaultUnavailable

    comparing(monkeypatch, act)
    keeping = asyncio.create_task(Reconciler(gate_of(locked, other), virtualtime.now).keep())
    await asyncio.sleep(timedelta(hours=6).total_seconds())
    keeping.cancel()
    assert len(times[locked.value]) >= 5
    assert len(times[other.value]) == 1


@virtualtime.in_virtual_time
async def test_nothing_is_compared_while_the_clock_is_wrong_and_all_soon_after_it_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a clock three hours ahead, transfers under way raised an alarm: `delivery-not-known`."""
    organisation, times = ParticipantIdentifier("0203:a.se"), list[timedelta]()
    comparing(monkeypatch, lambda one: times.append(virtualtime.now() - virtualtime.BEGAN))

    async def agree() -> None:
        if virtualtime.now() - virtualtime.BEGAN < timedelta(hours=1):
            raise ClockDiffers(10800.0)

    service = Reconciler(gate_of(organisation), virtualtime.now, agree=agree)
    keeping = asyncio.create_task(service.keep())
    await asyncio.sleep(timedelta(hours=1, minutes=2).total_seconds())
    keeping.cancel()
    (first,) = times
    assert timedelta(hours=1) <= first <= timedelta(hours=1, minutes=1)


@virtualtime.in_virtual_time
@pytest.mark.parametrize("wrong", [False, True])
async def test_all_are_compared_soon_after_a_clock_that_was_ahead_is_set_right(
    monkeypatch: pytest.MonkeyPatch, wrong: bool
) -> None:
    """Whether the difference was noticed meanwhile or not."""
    organisation, times, ahead = ParticipantIdentifier("0203:a.se"), list[timedelta](), timedelta(days=30)
    comparing(monkeypatch, lambda one: times.append(virtualtime.now() - virtualtime.BEGAN))

    async def agree() -> None:
        if ahead and wrong:
            raise ClockDiffers(ahead.total_seconds())

    service = Reconciler(gate_of(organisation), lambda: virtualtime.now() + ahead, agree=agree)
    keeping = asyncio.create_task(service.keep())
    await asyncio.sleep(timedelta(minutes=20).total_seconds())
    before, ahead = len(times), timedelta()
    await asyncio.sleep(timedelta(minutes=20).total_seconds())
    keeping.cancel()
    assert (before, len(times)) == ((0, 1) if wrong else (1, 2))


@virtualtime.in_virtual_time
async def test_what_another_process_compares_from_now_on_has_no_state_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other process finds differences itself; this one would never find that a difference is over."""
    organisation, noted = ParticipantIdentifier("0203:a.se"), list[tuple[object, ...]]()

    async def compare(self: Reconciler, one: ParticipantIdentifier) -> None:
        self._noted(one, "samdrift.log/00", "2 differences")

    monkeypatch.setattr(Reconciler, "compare", compare)
    gate = gate_of(organisation)
    gate.leases.begin()
    gate.leases.renewed({partition_of(organisation, role): None for role in Role}, inf)
    service = Reconciler(gate, virtualtime.now, lambda *told: noted.append(told))
    keeping = asyncio.create_task(service.keep())
    await asyncio.sleep(timedelta(hours=1, minutes=2).total_seconds())
    gate.leases.renewed({}, inf)
    await asyncio.sleep(timedelta(minutes=2).total_seconds())
    keeping.cancel()
    assert [reason for _, _, reason in noted] == ["2 differences", None]
