"""One process at a time is in charge of each partition, whatever happens to the processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Purpose, Role
from samdrift.scheduling.claims import Claimant
from samdrift.scheduling.leases import PARTITIONS, Leases, NotLeased, Partition, partition_of
from samdrift.vault.database.session import Row
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.leasing import LeaseKeeper, LeaseTimes
from samdrift.vault.moments import Moments
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import Superuser, superuser
from tests.vaults import NOW, WORKER, Installation, submitted, until
from tests.virtualtime import in_virtual_time, seconds

AP, MT, MK = Role.ACCESS_POINT, Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT
BOTH = (AP, MT)
A = ParticipantIdentifier("0203:a.se")


class Registry:
    """The registry of an installation, as the keepers of several processes use it."""

    def __init__(self, installation: Installation, administrator: Superuser) -> None:
        self._installation = installation
        self._administrator = administrator

    async def ask(self, sql: str, *values: Any) -> list[Row]:
        session = await self._installation.gate.database.registry_session()
        try:
            return (await session.run([(sql, values)]))[0]
        finally:
            session.close()

    def process(self, name: str, roles: Sequence[Role] = BOTH, ended: Sequence[str] = ()) -> LeaseKeeper:
        """Return the keeper of a process that has just begun, and renews on request."""
        leases = Leases()
        leases.begin()
        return LeaseKeeper(self.ask, leases, Claimant(name, frozenset(ended)), roles)

    def lapse(self, name: str) -> None:
        """Let a process's leases expire, on the database's clock."""
        self._administrator.rows("UPDATE registry.lessees SET until = now() WHERE process = %s", name)

    def clear(self) -> None:
        self._administrator.rows("DELETE FROM registry.lessees")
        self._administrator.rows("UPDATE registry.partitions SET former = NULL, last = NULL")


@pytest_asyncio.fixture
async def registry(installation: Installation) -> AsyncIterator[Registry]:
    """Yield a registry without leases."""
    found = Registry(installation, await superuser(installation))
    found.clear()
    yield found
    found.clear()


async def settled(*processes: LeaseKeeper) -> None:
    """Let all of them renew until each has its part, with the rest given back and taken."""
    for _ in range(3):
        for each in processes:
            await each.renew()
            await asyncio.gather(*each._tasks)


def numbers(process: LeaseKeeper, role: Role) -> set[int]:
    return {each.number for each in process.leases.held() if each.role is role}


async def test_one_process_is_in_charge_of_everything(registry: Registry) -> None:
    one = registry.process("one")
    await one.renew()
    assert len(one.leases.held()) == 2 * PARTITIONS + 1
    assert one.leases.holds(A, AP)
    assert one.leases.holds(None, None)
    assert not one.leases.holds(A, MK), "the process does not serve that role"


async def test_processes_share_evenly_and_nothing_is_two_processes_at_a_time(registry: Registry) -> None:
    processes = [registry.process(name) for name in ("one", "two", "three")]
    for number in range(1, 4):
        for _ in range(3):
            for each in processes[:number]:
                await each.renew()
                await asyncio.gather(*each._tasks)
                held = [partition for process in processes for partition in process.leases.held()]
                assert len(held) == len(set(held)), "two processes are in charge of one partition"
    parts = [len(numbers(each, AP)) for each in processes]
    assert sum(parts) == PARTITIONS
    assert max(parts) - min(parts) <= 2
    for each in processes:
        assert numbers(each, AP) == numbers(each, MT), "an organisation's roles must be in one process"
    assert sum(Partition() in each.leases.held() for each in processes) == 1


async def test_a_process_gets_leases_of_the_roles_that_it_serves_alone(registry: Registry) -> None:
    transfers, messages = registry.process("one", [AP]), registry.process("two", [MT])
    await settled(transfers, messages)
    assert len(numbers(transfers, AP)) == PARTITIONS
    assert not numbers(transfers, MT)
    assert len(numbers(messages, MT)) == PARTITIONS


async def test_leases_of_a_process_that_is_gone_are_taken_over_when_their_time_is_over(
    registry: Registry,
) -> None:
    one, two = registry.process("one"), registry.process("two")
    await settled(one, two)
    theirs = one.leases.held()
    await two.renew()
    assert not two.leases.held() & theirs, "the other process may still be working"
    registry.lapse("one")
    await two.renew()
    assert two.leases.held() >= theirs
    taken = next(each for each in theirs if each.role is AP)
    organisation = next(
        each
        for each in (ParticipantIdentifier(f"0203:{number}.se") for number in range(10_000))
        if partition_of(each, AP) == taken
    )
    assert two.leases.gained(organisation, AP).former == "one", (
        "the former holder must be known, to take over its claims"
    )


async def test_leases_of_a_process_that_is_known_to_have_ended_are_taken_over_immediately(
    registry: Registry,
) -> None:
    killed = registry.process("killed")
    await killed.renew()
    again = registry.process("again", ended=["killed"])
    await again.renew()
    assert again.leases.held() == killed.leases.held()


async def test_one_process_finds_that_another_is_gone_without_having_ended_in_order(
    registry: Registry,
) -> None:
    """It may not have announced its last commits; the first to find it has everything examined."""
    one, two, three = (registry.process(name) for name in ("one", "two", "three"))
    found: list[str] = []
    for each in (one, two, three):
        each.found_gone = partial(found.append, each.claimant.name)
    await settled(one, two, three)
    assert found == []
    registry.lapse("one")
    await three.renew()
    await two.renew()
    assert found == ["three"]
    await three.stop()
    await two.renew()
    assert found == ["three"], "a process that ended in order has announced everything"
    registry.lapse("two")
    await two.renew()
    assert found == ["three"], "a process that renews its own leases is not gone"


@in_virtual_time
async def test_what_was_claimed_before_a_lapse_is_taken_up_also_where_nobody_had_it_meanwhile() -> None:
    """The claim could not be given back while the registry was away."""
    registry = Answers()
    keeper = kept(registry)
    await keeper.start()
    registry.there = False
    await asyncio.sleep(60)
    assert not keeper.leases.holds(A, AP)
    registry.there = True
    await asyncio.sleep(10)
    assert keeper.leases.gained(A, AP).former == "this"
    await keeper.stop()


async def test_what_a_killed_process_has_told_nobody_of_is_found_by_another(
    installation: Installation,
) -> None:
    """Some moments pass between a commit and its announcement, and requests come to every process."""
    organisation = await installation.organisation([AP])
    killed, other = await Gate.start(installation.settings), await Gate.start(installation.settings)
    heard: set[tuple[ParticipantIdentifier, Role]] = set()
    listening = asyncio.create_task(_hear(other, heard))
    try:
        for each in (killed._announcements, killed._moments):
            await each.stop()  # As if killed before sending: its commits are not announced to any process.
        async with killed.open(WORKER, organisation, AP, Purpose.PROCESS) as vault:
            await submitted(vault)
        soon = NOW + timedelta(days=9)
        assert organisation not in dict(await other.due(AP, soon))
        heard.clear()
        other.lease_keeper([AP]).found_gone()
        await until(lambda: (organisation, AP) in heard)
        assert organisation in dict(await other.due(AP, soon))
    finally:
        listening.cancel()
        await killed.close()
        await other.close()


async def test_what_fails_unexpectedly_while_that_is_looked_for_is_in_the_log(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(moments: Moments) -> None:
        raise RuntimeError

    monkeypatch.setattr(Moments, "bring", fails)
    installation.gate.lease_keeper([AP]).found_gone()
    await until(lambda: "unexpected RuntimeError in what a lost process left" in caplog.text)


async def _hear(gate: Gate, heard: set[tuple[ParticipantIdentifier, Role]]) -> None:
    async for each in gate.wakeups():
        heard.add(each)


async def test_a_process_that_ends_in_order_gives_its_leases_back(registry: Registry) -> None:
    one, two = registry.process("one"), registry.process("two")
    await settled(one, two)
    await one.stop()
    assert not one.leases.held()
    await two.renew()
    assert len(two.leases.held()) == 2 * PARTITIONS + 1


async def test_a_lease_is_given_to_another_process_only_when_the_work_under_it_has_ended(
    registry: Registry,
) -> None:
    one, two = registry.process("one"), registry.process("two")
    await one.renew()
    # A process gives up the partitions with the highest numbers first.
    last = next(
        each
        for each in (ParticipantIdentifier(f"0203:{number}.se") for number in range(10_000))
        if partition_of(each, AP).number == PARTITIONS - 1
    )
    may_end = asyncio.Event()

    async def work() -> None:
        with contextlib.suppress(NotLeased):
            async with one.leases.working(last, AP, may_end.wait):  # type: ignore[arg-type]
                await asyncio.sleep(3600)

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    await two.renew()
    await one.renew()
    await until(lambda: not one.leases.holds(last, AP))
    for _ in range(2):
        await one.renew()
        await two.renew()
        assert not two.leases.holds(last, AP), "the other process is still working"
    may_end.set()
    await working
    await asyncio.gather(*one._tasks)
    await one.renew()
    await two.renew()
    assert two.leases.holds(last, AP)


async def test_a_process_that_comes_back_after_its_leases_went_gets_none_that_are_anothers(
    registry: Registry,
) -> None:
    one, two = registry.process("one"), registry.process("two")
    await one.renew()
    registry.lapse("one")
    await two.renew()
    await one.renew()
    assert one.leases.held() == set()
    await settled(two, one)
    assert len(numbers(one, AP)) == len(numbers(two, AP)) == PARTITIONS // 2


HOUR = timedelta(hours=1)


def of_day(ahead: timedelta) -> Callable[[], datetime]:
    """Return a clock that is that far ahead of the database's."""
    return lambda: datetime.now(UTC) + ahead


@pytest.mark.parametrize("ahead", [HOUR, -HOUR, timedelta(seconds=31)], ids=str)
async def test_a_process_whose_clock_is_wrong_leaves_its_work_to_one_whose_clock_is_right(
    registry: Registry, ahead: timedelta
) -> None:
    """Deferred work would wait by its clock; it learns of the error once, and again when it is over."""
    right, wrong = registry.process("right"), registry.process("wrong")
    heard = list[bool]()
    wrong.set_aside = heard.append
    await settled(right, wrong)
    assert len(numbers(wrong, AP)) == PARTITIONS // 2
    wrong.of_day = of_day(ahead)
    await settled(wrong, right, wrong, right)
    assert not wrong.leases.held()
    assert len(right.leases.held()) == 2 * PARTITIONS + 1, "it must hold all leases, instead of half"
    assert heard == [True]
    wrong.of_day = of_day(timedelta())
    await settled(wrong, right)
    assert len(numbers(wrong, AP)) == len(numbers(right, AP)) == PARTITIONS // 2
    assert heard == [True, False]


async def test_a_process_whose_clock_is_wrong_gives_nothing_back_that_it_still_works_on(
    registry: Registry,
) -> None:
    right, wrong = registry.process("right"), registry.process("wrong")
    await wrong.renew()
    may_end = asyncio.Event()

    async def work() -> None:
        with contextlib.suppress(NotLeased):
            async with wrong.leases.working(A, AP, may_end.wait):  # type: ignore[arg-type]
                await asyncio.sleep(3600)

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    wrong.of_day = of_day(HOUR)
    await right.renew()
    await wrong.renew()
    await until(lambda: not wrong.leases.holds(A, AP))
    for _ in range(2):
        await wrong.renew()
        await right.renew()
        assert not right.leases.holds(A, AP), "the other process is still working"
    may_end.set()
    await working
    await settled(wrong, right)
    assert right.leases.holds(A, AP)


async def test_processes_whose_clocks_are_all_wrong_go_on_for_it_may_be_the_databases(
    registry: Registry,
) -> None:
    one, two = registry.process("one"), registry.process("two")
    one.of_day = two.of_day = of_day(HOUR)
    heard = list[bool]()
    one.set_aside = two.set_aside = heard.append
    await one.renew()
    assert len(one.leases.held()) == 2 * PARTITIONS + 1
    await settled(one, two)
    assert len(numbers(one, AP)) == len(numbers(two, AP)) == PARTITIONS // 2
    assert heard == []


async def test_a_process_whose_clock_is_wrong_takes_over_when_the_last_that_is_right_is_gone(
    registry: Registry,
) -> None:
    right, wrong = registry.process("right"), registry.process("wrong")
    wrong.of_day = of_day(HOUR)
    heard = list[bool]()
    wrong.set_aside = heard.append
    await settled(right, wrong)
    registry.lapse("right")
    await wrong.renew()
    assert len(wrong.leases.held()) == 2 * PARTITIONS + 1
    await right.renew()
    await settled(wrong, right)
    assert not wrong.leases.held()
    assert len(right.leases.held()) == 2 * PARTITIONS + 1
    assert heard == [True, False, True]


async def test_a_process_whose_clock_is_wrong_keeps_the_roles_that_nobody_else_serves(
    registry: Registry,
) -> None:
    right, wrong = registry.process("right", [AP]), registry.process("wrong", BOTH)
    wrong.of_day = of_day(HOUR)
    heard = list[bool]()
    wrong.set_aside = heard.append
    await settled(right, wrong)
    assert not numbers(wrong, AP)
    assert len(numbers(wrong, MT)) == PARTITIONS
    assert heard == []


async def test_a_process_of_the_version_before_renews_without_saying_what_its_clock_is(
    registry: Registry,
) -> None:
    this = registry.process("this")
    renew = "SELECT role, number, former, surplus FROM renew_leases($1, $2, $3, $4, $5, $6)"
    values = "before", ["", "ap", "mt"], timedelta(seconds=20), [], [], []
    taken = await registry.ask(renew, *values)
    assert len(taken) == 2 * PARTITIONS + 1
    await this.renew()
    rows = await registry.ask(renew, *values)
    surplus = [(role, number) for role, number, _, more in rows if more]
    assert len(surplus) == PARTITIONS
    await registry.ask(renew, *values[:4], [role for role, _ in surplus], [number for _, number in surplus])
    await this.renew()
    assert len(numbers(this, AP)) == PARTITIONS // 2
    this.of_day = of_day(HOUR)
    await settled(this)
    assert not this.leases.held(), "the process of the former version must count as right"
    registry.lapse("this")
    rows = await registry.ask(renew, *values)
    assert (None, None, "this", False) in rows


def kept(ask: Callable[..., Any], times: LeaseTimes | None = None) -> LeaseKeeper:
    """Return a keeper that uses the running loop's clock."""
    return LeaseKeeper(
        ask, Leases(seconds), Claimant("this"), [AP], times=times or LeaseTimes(), clock=seconds
    )


class Answers:
    """A registry that leases everything whenever it can be reached."""

    def __init__(self) -> None:
        self.there = True
        self.cause = ""
        self.hangs = False
        self.asked: list[float] = []

    async def __call__(self, sql: str, *values: Any) -> list[Row]:
        self.asked.append(seconds())
        if self.hangs:
            await asyncio.sleep(1e9)
        if not self.there:
            raise VaultUnavailable(self.cause)
        return [("ap", [*range(PARTITIONS)], None, False)]


@in_virtual_time
async def test_leases_are_renewed_long_before_their_end() -> None:
    registry = Answers()
    keeper = kept(registry)
    await keeper.start()
    for _ in range(100):
        await asyncio.sleep(1)
        assert keeper.leases.holds(A, AP)
    await keeper.stop()
    assert 20 <= len(registry.asked) <= 25


@pytest.mark.parametrize(
    ("cut", "cause", "level"),
    [("there", "", "WARNING"), ("there", "connection refused at db:5432", "INFO"), ("hangs", "", "WARNING")],
)
def test_a_process_that_is_cut_off_stops_its_work_before_another_may_begin(
    cut: str, cause: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If the database is away, that has its own line, which warns."""

    @in_virtual_time
    async def run() -> None:
        registry, times = Answers(), LeaseTimes()
        registry.cause = cause
        keeper, ended = kept(registry, times), list[float]()
        await keeper.start()
        await asyncio.sleep(7)
        last = registry.asked[-1]

        async def work() -> None:
            with contextlib.suppress(NotLeased):
                async with keeper.leases.working(A, AP):
                    await asyncio.sleep(1e9)
            ended.append(seconds())

        working = asyncio.create_task(work())
        setattr(registry, cut, not getattr(registry, cut))
        await working
        assert last + 10 < ended[0] <= last + times.lasts - times.margin
        assert not keeper.leases.holds(A, AP)
        await asyncio.sleep(100)
        setattr(registry, cut, not getattr(registry, cut))
        await asyncio.sleep(10)
        assert keeper.leases.holds(A, AP)
        await keeper.stop()

    with caplog.at_level(logging.INFO, "samdrift"):
        run()
    assert {each.levelname for each in caplog.records} == {level}
    assert [each.getMessage().partition(":")[2].strip() for each in caplog.records] == [
        "could not be renewed in time: background work stops here and is left to other processes",
        "renewed again; background work resumes here",
    ]
