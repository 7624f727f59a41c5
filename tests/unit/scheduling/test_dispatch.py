"""Turns are fair, and none is forgotten."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from samdrift.contracts.errors import NotServed, Temporary
from samdrift.contracts.principals import Role
from samdrift.scheduling import dispatch
from samdrift.scheduling.dispatch import Dispatcher, InFlight
from samdrift.scheduling.leases import Leases, partition_of
from samdrift.vault.errors import VaultDenied
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import due_now
from tests.virtualtime import in_virtual_time, now

A = ParticipantIdentifier("0203:a.se")
B = ParticipantIdentifier("0203:b.se")


async def run_for(
    dispatcher: Dispatcher, seconds: float, *organisations: ParticipantIdentifier, look_every: float = 300
) -> None:
    task = asyncio.create_task(dispatcher.run(due_now(*organisations), look_every))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@in_virtual_time
async def test_one_with_a_backlog_does_not_delay_the_others() -> None:
    turns: list[ParticipantIdentifier] = []

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        turns.append(organisation)
        await asyncio.sleep(0.001)
        return now() if organisation == A else None

    dispatcher = Dispatcher(turn, now, on_failure=lambda _: None)
    task = asyncio.create_task(dispatcher.run(due_now(A)))
    await asyncio.sleep(0.05)
    dispatcher.wake(B)
    before = len(turns)
    await asyncio.sleep(0.05)
    task.cancel()
    assert B in turns[before : before + 3]


@in_virtual_time
async def test_work_that_becomes_due_later_gets_its_turn_then() -> None:
    turns: list[datetime] = []
    start = now()

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        turns.append(now())
        return start + timedelta(seconds=0.1) if len(turns) == 1 else None

    await run_for(Dispatcher(turn, now, on_failure=lambda _: None), 0.3, A)
    assert len(turns) == 2
    assert turns[1] >= start + timedelta(seconds=0.1)


@in_virtual_time
async def test_a_failed_turn_is_reported_and_does_not_stop_the_others() -> None:
    failures: list[BaseException] = []
    turns: list[ParticipantIdentifier] = []

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        turns.append(organisation)
        if organisation == A:
            raise RuntimeError
        return None

    await run_for(Dispatcher(turn, now, on_failure=failures.append), 0.05, A, B)
    assert turns == [A, B]
    assert len(failures) == 1


@in_virtual_time
async def test_a_wake_during_a_turn_leads_to_another_one() -> None:
    turns = 0

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        nonlocal turns
        turns += 1
        if turns == 1:
            dispatcher.wake(A)
        return None

    dispatcher = Dispatcher(turn, now, on_failure=lambda _: None)
    await run_for(dispatcher, 0.05, A)
    assert turns == 2


@in_virtual_time
async def test_one_with_work_to_come_does_not_keep_the_others_from_their_look() -> None:
    turns: list[ParticipantIdentifier] = []

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        turns.append(organisation)
        return now() + timedelta(hours=1) if organisation == A else None

    await run_for(Dispatcher(turn, now, on_failure=lambda _: None), 0.3, A, B, look_every=0.1)
    assert turns.count(B) >= 2


@in_virtual_time
async def test_one_that_is_always_busy_does_not_keep_the_others_from_their_look() -> None:
    turns: list[ParticipantIdentifier] = []

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        turns.append(organisation)
        return now() + timedelta(seconds=0.02) if organisation == A else None

    await run_for(Dispatcher(turn, now, on_failure=lambda _: None), 0.3, A, B, look_every=0.1)
    assert turns.count(B) >= 2


@in_virtual_time
async def test_who_has_work_now_or_later_is_known() -> None:
    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        return now() + timedelta(hours=1) if organisation == A else None

    dispatcher = Dispatcher(turn, now, on_failure=lambda _: None)
    dispatcher.wake(B)
    assert dispatcher.expecting() == {B}
    await run_for(dispatcher, 0.1, A, B)
    assert dispatcher.expecting() == {A}


@in_virtual_time
async def test_news_that_comes_with_the_end_does_not_put_the_end_off() -> None:
    """asyncio.wait_for of Python 3.11 would return the news and drop the cancellation."""

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        return None

    dispatcher = Dispatcher(turn, now, on_failure=lambda _: None)
    task = asyncio.create_task(dispatcher.run(due_now(A)))
    await asyncio.sleep(0.01)
    dispatcher.wake(B)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=60)
    assert task in done
    assert task.cancelled()


@in_virtual_time
async def test_behind_thousands_of_one_organisation_nobody_waits_for_more_than_one_turn_of_each() -> None:
    """Turns are counted: B always has work, and A has an endless backlog."""
    turns: list[ParticipantIdentifier] = []
    others = [ParticipantIdentifier(f"0203:b{number}.se") for number in range(20)]
    over = asyncio.Event()

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        turns.append(organisation)
        dispatcher.wake(organisation)
        for _ in range(1000):
            dispatcher.wake(A)
        if len(turns) == 5000:
            over.set()
        await asyncio.sleep(0)
        return None

    dispatcher = Dispatcher(turn, now, on_failure=lambda _: None)
    task = asyncio.create_task(dispatcher.run(due_now(A, *others)))
    await over.wait()
    task.cancel()
    for organisation in others:
        places = [place for place, one in enumerate(turns[:5000]) if one == organisation]
        gaps = [after - before for before, after in itertools.pairwise(places)]
        assert len(places) > 200
        assert max(gaps) <= len(others) + 1


class _Outage(Temporary):
    """An outage that no person caused."""


class _Asked(Temporary):
    """An outage that a person caused, and that ends without notice."""

    expected = True


class _Announced(_Asked):
    """An outage with an announced end."""

    announced = True


@pytest.mark.parametrize(
    ("outage", "reported", "due"), [(_Outage, 1, {A}), (_Asked, 0, {A}), (_Announced, 0, set())]
)
@in_virtual_time
async def test_an_outage_is_tried_again_and_reported_only_where_nobody_caused_it(
    outage: type[Temporary], reported: int, due: set[ParticipantIdentifier]
) -> None:
    failures: list[BaseException] = []

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        raise outage

    dispatcher = Dispatcher(turn, now, on_failure=failures.append)
    await run_for(dispatcher, 0.05, A)
    assert len(failures) == reported
    assert dispatcher.expecting() == due


@in_virtual_time
async def test_an_organisation_that_has_left_gets_no_more_turns_until_it_is_announced() -> None:
    turns: list[ParticipantIdentifier] = []
    failures: list[Exception] = []

    async def turn(organisation: ParticipantIdentifier) -> datetime | None:
        turns.append(organisation)
        if organisation == A:
            raise VaultDenied
        return None

    dispatcher = Dispatcher(turn, now, on_failure=failures.append)
    task = asyncio.create_task(dispatcher.run(due_now(A, B), look_every=0.001))
    async with asyncio.timeout(60):
        while turns.count(B) < 5:
            await asyncio.sleep(0.001)
        assert (turns.count(A), failures) == (1, [])
        dispatcher.wake(A)
        while turns.count(A) < 2:
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Slow(InFlight):
    """A queue that takes as long to claim a job as a database does."""

    def __init__(self) -> None:
        super().__init__(now, parallel=1, lease=timedelta(seconds=60), on_failure=lambda _: None)
        self.begun = 0

    async def _claim(
        self, organisation: ParticipantIdentifier, room: int, cut: Sequence[str]
    ) -> datetime | None:
        await asyncio.sleep(1)
        self._start(organisation, "one", self._job)
        return None

    async def _give_back(self, organisation: ParticipantIdentifier) -> None:
        pass

    async def _job(self) -> datetime | None:
        self.begun += 1
        return None


@in_virtual_time
@pytest.mark.parametrize(("stopped_after", "begun"), [(2, 1), (0.5, 0)])
async def test_nothing_is_begun_after_the_end(stopped_after: float, begun: int) -> None:
    """A turn was claiming when the work ended, and its job met a client that was closed."""
    work = Slow()
    task = asyncio.create_task(work.dispatcher.run(due_now(A), 300))
    await asyncio.sleep(stopped_after)
    await work.stop()
    await asyncio.sleep(2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert work.begun == begun


class Cut(InFlight):
    """A queue with a job of A that does not end, which records the jobs that are given back."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__(now, parallel=1, lease=timedelta(seconds=60), on_failure=lambda _: None)
        self.given_back: list[ParticipantIdentifier] = []
        self._failures = [*failures]

    async def _claim(
        self, organisation: ParticipantIdentifier, room: int, cut: Sequence[str]
    ) -> datetime | None:
        self._start(organisation, "one", self._job)
        return None

    async def _give_back(self, organisation: ParticipantIdentifier) -> None:
        self.given_back.append(organisation)
        if self._failures:
            raise self._failures.pop()

    async def _job(self) -> datetime | None:
        await asyncio.sleep(3600)
        return None


@in_virtual_time
@pytest.mark.parametrize("failures", [(), (_Outage(),), (NotServed(),)])
async def test_what_is_in_flight_at_the_end_is_given_back(failures: tuple[Exception, ...]) -> None:
    """One job may fail to be given back, and the next start takes it up."""
    work = Cut(*failures)
    task = asyncio.create_task(work.run(due_now(A, B)))
    await asyncio.sleep(1)
    await work.stop()
    assert work.given_back == [A, B]
    assert work.room(A) == 0, "a stopped process must not begin new work"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the real time after a failure, which tests with a real clock shorten."""
    monkeypatch.setattr(dispatch, "_AFTER_FAILURE", timedelta(seconds=5))


class Breaks(InFlight):
    """A queue with one job, with a lease of an hour, that first breaks in several ways."""

    def __init__(self, failures: Sequence[Exception], leases: Leases | None = None) -> None:
        super().__init__(
            now,
            parallel=1,
            lease=timedelta(hours=1),
            on_failure=lambda _: None,
            leases=leases,
        )
        self.claimed: list[datetime] = []
        self.given_back: list[list[str]] = []
        self._failures = [*failures]
        self._due = now()

    async def _claim(
        self, organisation: ParticipantIdentifier, room: int, cut: Sequence[str]
    ) -> datetime | None:
        if cut:
            self.given_back.append([*cut])
            self._due = now()
        if self._due <= now():
            self.claimed.append(now())
            self._due = now() + self._lease
            self._start(organisation, "one", self._job)
        return None

    async def _give_back(self, organisation: ParticipantIdentifier) -> None:
        pass

    async def _job(self) -> datetime | None:
        if self._failures:
            raise self._failures.pop()
        return None


async def broken(work: Breaks, seconds: float) -> list[float]:
    """Run for ``seconds``; return the seconds from the start at which the job was claimed."""
    start = now()
    task = asyncio.create_task(work.run(due_now()))
    work.dispatcher.wake(A)
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return [round((each - start).total_seconds()) for each in work.claimed]


@pytest.mark.usefixtures("five_seconds")
@in_virtual_time
async def test_what_an_outage_cuts_off_does_not_wait_for_its_lease() -> None:
    work = Breaks([_Outage()] * 3)
    assert await broken(work, 1800) == [0, 5, 10, 15]
    assert work.given_back == [["one"]] * 3


@pytest.mark.usefixtures("five_seconds")
@in_virtual_time
async def test_what_is_cut_off_time_and_again_or_by_a_fault_waits_for_its_lease() -> None:
    assert await broken(Breaks([_Outage()] * 9), 1800) == [0, 5, 10, 15, 20, 25]
    assert await broken(Breaks([RuntimeError()]), 1800) == [0]


@pytest.mark.usefixtures("five_seconds")
@in_virtual_time
async def test_what_was_cut_off_before_another_process_was_in_charge_is_not_given_back() -> None:
    """The other may be working on it: the process that gains the lease takes up this one's claims."""
    work = Breaks([_Outage()], leases := Leases(lambda: asyncio.get_running_loop().time()))
    leases.begin()
    leases.renewed({partition_of(A, Role.ACCESS_POINT): None}, math.inf)
    asyncio.get_running_loop().call_later(2, leases.renewed, {}, math.inf)
    asyncio.get_running_loop().call_later(
        3, leases.renewed, {partition_of(A, Role.ACCESS_POINT): "another"}, math.inf
    )
    assert await broken(work, 1800) == [0]
    assert work.given_back == []
