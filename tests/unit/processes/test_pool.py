"""Workers of one installation look like one process from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.installation import control
from samdrift.installation.control import ControlRefused
from samdrift.installation.doors import Door
from samdrift.installation.health import Condition
from samdrift.installation.reporting import HEALTH
from samdrift.installation.unlocking import AGAIN, UNLOCK
from samdrift.processes import pool
from samdrift.processes.child import Child
from samdrift.processes.pool import WorkerStart, together
from tests.roles.processes import SOURCES
from tests.vaults import until

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
ORGANISATION, OFFICERS, WRONG = "0203:aneby.se", "the officer's own words", "other words"
CALM: dict[str, Any] = {"dependencies": [], "held": []}


@dataclass
class Worker:
    """A worker that answers its parent, as a child that can be called and killed."""

    name: str
    pid: int
    serves: bool = True
    locked: bool = True
    heard: list[Mapping[str, Any]] = field(default_factory=list)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the worker answers."""
    health: dict[str, Any] = field(default_factory=lambda: CALM)
    kills: int = 0

    def kill(self) -> None:
        self.kills += 1

    async def unlock(self, told: Mapping[str, Any]) -> dict[str, Any]:
        self.heard.append(told)
        await self.answers.wait()
        if not self.locked:
            return {"unlocked": []}
        if told["passphrase"] != OFFICERS:
            return {"unlocked": [], "refused": "the passphrase is not the officer's"}
        self.locked = False
        return {"unlocked": ["mt"]}

    async def report(self, told: Mapping[str, Any]) -> dict[str, Any]:
        await self.answers.wait()
        return self.health


@dataclass
class Scene:
    """A parent with simulated workers."""

    pool: pool._Pool
    workers: list[Worker]

    async def unlock(self, passphrase: str) -> dict[str, Any]:
        return await self.pool.unlock({"organisation": ORGANISATION, "passphrase": passphrase})

    def handed(self) -> Mapping[str, str]:
        """Return the hand-over to a worker that starts now."""
        handed = self.pool._hand(1)
        for sock in handed.sockets:
            sock.close()
        return WorkerStart.read(handed.line).unlocked


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    workers = [Worker(f"worker {number}", number) for number in (1, 2, 3)]
    vaults = SimpleNamespace(control=tmp_path / "control", secrets=tmp_path)
    config = SimpleNamespace(vaults=vaults, isolation=SimpleNamespace(workers=len(workers)))
    parent = pool._Pool(cast(Any, config), tmp_path, frozenset({Role.MESSAGE_SERVICE}), "all", tmp_path)
    parent._children = cast(list[Child], workers)
    async with contextlib.AsyncExitStack() as stack:
        for each in workers:
            each.answers.set()
            commands = {UNLOCK: each.unlock, HEALTH: each.report}
            listener = control._listening(control._socket_of(parent._control, each.pid))
            answering = control._Answering(commands)
            await stack.enter_async_context(await asyncio.start_unix_server(answering, sock=listener))
        yield Scene(parent, workers)
        for each in workers:
            each.serves = False
            each.answers.set()
        for task in parent._unlocking:
            task.cancel()
        await asyncio.gather(*parent._unlocking, return_exceptions=True)


def test_a_dependency_is_gone_when_one_worker_finds_it_gone_and_since_the_first_did() -> None:
    there = Condition("database", there_since=NOW - HOUR)
    gone = Condition("database", gone_since=NOW, reason="no answer")
    before = Condition("database", gone_since=NOW - HOUR, reason="refused")
    assert together([there, gone, before]) == [before]
    assert together([before, gone, there]) == [before]


def test_dependencies_of_one_kind_at_several_places_are_several() -> None:
    here = Condition("smp", "smp.example.se", there_since=NOW)
    elsewhere = Condition("smp", "smp.example.org", gone_since=NOW, reason="no answer")
    assert together([here, elsewhere, here]) == [elsewhere, here]


def test_the_last_outage_that_any_worker_has_seen_is_known() -> None:
    seen = Condition("scanner", there_since=NOW, last_gone=NOW - HOUR, last_reason="no answer")
    never = Condition("scanner", there_since=NOW - HOUR)
    assert together([never, seen]) == together([seen, never]) == [seen]


def test_what_a_worker_is_handed_is_read_as_it_was_written_and_shows_no_passphrase() -> None:
    start = WorkerStart((Door.A, Door.METRICS), {"0203:a.se": "the officer's own"})
    assert WorkerStart.read(start.line()) == start
    assert "officer" not in repr(start)


async def test_all_workers_are_unlocked_and_one_of_them_records_it(scene: Scene) -> None:
    assert await scene.unlock(OFFICERS) == {"unlocked": ["mt"]}
    assert [each.locked for each in scene.workers] == [False, False, False]
    assert [AGAIN in told for each in scene.workers for told in each.heard] == [False, True, True]
    assert scene.handed() == {ORGANISATION: OFFICERS}


async def test_a_wrong_passphrase_is_tried_once_and_not_handed_to_workers_that_start_later(
    scene: Scene,
) -> None:
    answer = await scene.unlock(WRONG)
    assert answer["refused"] == "the passphrase is not the officer's"
    assert [len(each.heard) for each in scene.workers] == [1, 0, 0]
    assert scene.handed() == {}


async def test_any_words_for_what_is_open_do_not_replace_those_that_opened_it(scene: Scene) -> None:
    await scene.unlock(OFFICERS)
    assert await scene.unlock(WRONG) == {"unlocked": []}
    assert scene.handed() == {ORGANISATION: OFFICERS}


async def test_a_worker_that_alone_was_locked_is_unlocked_and_its_words_are_kept(scene: Scene) -> None:
    scene.workers[0].locked = scene.workers[1].locked = False
    assert await scene.unlock(OFFICERS) == {"unlocked": ["mt"]}
    assert scene.handed() == {ORGANISATION: OFFICERS}


async def test_a_worker_that_refuses_is_named_in_the_answer_and_in_the_log(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.workers[0].locked = False
    scene.workers[2].locked = False
    answer = await scene.unlock(WRONG)
    assert answer["refused"] == "not in worker 2: the passphrase is not the officer's"
    (line,) = caplog.messages
    assert line.startswith(f"worker 2: {ORGANISATION} is not unlocked here")
    assert WRONG not in line


async def test_a_worker_that_did_not_answer_in_time_is_told_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have opened one of its two vaults by then."""
    monkeypatch.setattr(pool, "_LOOK_SECONDS", 0.0)
    first, second, _ = scene.workers
    first.answers.clear()
    with monkeypatch.context() as soon:
        soon.setattr(pool, "_ANSWER_SECONDS", 0.05)
        unlocking = asyncio.create_task(scene.unlock(OFFICERS))
        await until(lambda: not second.locked)
    first.answers.set()
    assert "refused" not in await unlocking
    assert AGAIN not in first.heard[0]
    await until(lambda: AGAIN in first.heard[-1])


async def test_unlocking_goes_on_when_the_time_for_an_answer_is_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_UNLOCK_SECONDS", 0.05)
    scene.workers[1].answers.clear()
    with pytest.raises(ControlRefused, match="see the log"):
        await scene.unlock(OFFICERS)
    (task,) = scene.pool._unlocking
    scene.workers[1].answers.set()
    assert await task == {"unlocked": ["mt"]}
    assert not scene.workers[1].locked
    assert not scene.workers[2].locked


async def test_a_worker_that_was_starting_is_unlocked_when_it_serves(scene: Scene) -> None:
    first = scene.workers[0]
    first.serves = False
    await scene.unlock(OFFICERS)
    assert first.locked
    first.serves = True
    await scene.pool._unlock_again(cast(Child, first))
    assert not first.locked
    assert AGAIN in first.heard[-1]


async def test_a_worker_that_hangs_counts_as_not_serving_and_then_as_serving_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    hangs = scene.workers[1]
    await scene.pool._look()
    assert (scene.pool.serving(), len(scene.pool._reports)) == (3, 3)
    with monkeypatch.context() as soon:
        soon.setattr(pool, "_HEALTH_SECONDS", 0.05)
        hangs.answers.clear()
        while scene.pool._serves(cast(Child, hangs)):
            await scene.pool._look()
        answer = await scene.pool.answer_health({})
    assert answer["workers"]["worker 2"] is False
    assert hangs.kills == 0
    hangs.answers.set()
    await scene.pool._look()
    assert scene.pool.serving() == 3
    said = [line for line in caplog.messages if line.startswith("worker 2")]
    assert said == ["worker 2: does not respond and counts as not serving", "worker 2: answers again"]


async def test_a_worker_that_is_ending_is_not_taken_for_one_that_hangs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It no longer listens, and gives back its work in progress."""
    monkeypatch.setattr(pool, "_LONGEST_SILENCE", 0.0)
    ending = scene.workers[0]
    control._socket_of(scene.pool._control, ending.pid).unlink()
    for _ in range(3):
        await scene.pool._look()
    assert (ending.kills, scene.pool._silent) == (0, {})


HEALTHY = """
import asyncio, socket, sys
from pathlib import Path
from samdrift.installation.control import controlled

async def health(told):
    return {"dependencies": [], "held": []}

async def main():
    channel = socket.socket(fileno=0)
    async with controlled(Path(sys.argv[1]), {"health": health}):
        channel.send(b"serves\\n")
        await asyncio.to_thread(channel.recv, 1)

asyncio.run(main())
"""


async def test_a_worker_that_the_system_has_stopped_is_killed_and_replaced(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SOURCES))
    monkeypatch.setattr("samdrift.processes.child.pause", lambda failures: 0.0)
    parent = scene.pool
    child = Child("worker 1", (sys.executable, "-c", HEALTHY, str(parent._control)))
    parent._children = [child]
    await parent.start()
    try:
        stopped = child.pid
        assert stopped is not None
        with monkeypatch.context() as soon:
            soon.setattr(pool, "_HEALTH_SECONDS", 0.05)
            os.kill(stopped, signal.SIGSTOP)
            while parent.serving():
                await parent._look()
        assert [one.dependency for one in parent.conditions()] == ["workers"]
        with monkeypatch.context() as soon:
            soon.setattr(pool, "_HEALTH_SECONDS", 0.05)
            soon.setattr(pool, "_LONGEST_SILENCE", 0.0)
            await parent._look()
        await until(lambda: child.pid != stopped and child.serves)
        while not parent.serving():
            await parent._look()
    finally:
        await parent.stop()


async def test_a_long_answer_is_read_and_one_that_is_too_long_stops_no_look(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = scene.workers
    first.health = CALM | {"names": "n" * (1 << 20)}
    await scene.pool._look()
    assert first.health in scene.pool._reports
    monkeypatch.setattr(control, "_LONGEST_ANSWER", 1 << 16)
    await scene.pool._look()
    assert scene.pool._reports == [second.health, CALM]
