"""Processes that are started, watched, restarted and stopped; each is a few lines of Python here."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import psutil
import pytest

from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.processes import child as supervisor
from samdrift.processes.child import Child, Handed, NotStarted, keep, pause, supervise
from tests.vaults import until

NOTES = "import os, sys; open(sys.argv[1] + f'-{os.getpid()}', 'w').close(); "
SERVES = "import socket; channel = socket.socket(fileno=0); channel.send(b'serves\\n'); " + NOTES
WAITS = (
    "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    "list(iter(lambda: channel.recv(1), b''))"
)


class Scene:
    """Processes that leave a file with their number each time they serve, or are about to fail."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setattr(supervisor, "pause", lambda failures: 0.0)

    def child(self, name: str, script: str) -> Child:
        return Child(name, [sys.executable, "-c", script, str(self.folder / name)])

    def started(self, name: str) -> list[int]:
        return [int(file.name.partition("-")[2]) for file in self.folder.glob(f"{name}-*")]

    def runs(self, name: str) -> list[int]:
        return [number for number in self.started(name) if alive(number)]


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


async def end(supervising: asyncio.Task[None]) -> None:
    supervising.cancel()
    with pytest.raises(asyncio.CancelledError):
        await supervising


async def test_one_that_ended_is_noticed_though_what_it_started_holds_its_channel(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_LOOK_SECONDS", 0.1)
    leaves = "import os, time\nif os.fork() == 0: time.sleep(600)\n" + WAITS
    child = scene.child("one", SERVES + leaves)
    assert await child.start()
    await until(lambda: bool(scene.started("one")))
    (worker,) = scene.started("one")
    await until(lambda: bool(psutil.Process(worker).children()))
    left = psutil.Process(worker).children()
    child.kill()
    ending = asyncio.create_task(child.ended())
    try:
        done, _ = await asyncio.wait({ending}, timeout=20)
        assert done, "it waits for a child of the ended process"
        assert ending.result() == -signal.SIGKILL
        assert left[0].is_running()
    finally:
        ending.cancel()
        for each in left:
            each.kill()


def test_pauses_grow_and_end_at_a_minute() -> None:
    assert [pause(failures) for failures in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_one_that_is_killed_is_started_again_and_the_other_runs_on(scene: Scene) -> None:
    children = [scene.child(name, SERVES + WAITS) for name in ("one", "other")]
    supervising = asyncio.create_task(supervise(children))
    await until(lambda: len(scene.runs("one")) == len(scene.runs("other")) == 1)
    (victim,), (witness,) = scene.runs("one"), scene.runs("other")
    os.kill(victim, signal.SIGKILL)
    await until(lambda: len(scene.started("one")) == 2)
    assert scene.runs("other") == [witness]
    await end(supervising)
    assert scene.runs("one") == scene.runs("other") == []


async def test_one_that_writes_without_a_line_end_is_killed_and_the_other_runs_on(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    once = f"""
import os, socket, sys, time
channel = socket.socket(fileno=0)
open(sys.argv[1] + f'-{{os.getpid()}}', 'w').close()
if len([name for name in os.listdir({str(scene.folder)!r}) if name.startswith("one")]) == 2:
    channel.sendall(b"x" * (1 << 20))
    time.sleep(600)
channel.send(b"serves\\n")
"""
    children = [scene.child("one", once + WAITS), scene.child("other", SERVES + WAITS)]
    supervising = asyncio.create_task(supervise(children))
    await until(lambda: len(scene.runs("one")) == len(scene.runs("other")) == 1)
    (victim,), (witness,) = scene.runs("one"), scene.runs("other")
    os.kill(victim, signal.SIGKILL)
    await until(lambda: supervising.done() or len(scene.started("one")) == 3)
    assert not supervising.done()
    assert scene.runs("other") == [witness]
    await until(lambda: len(scene.runs("one")) == 1)
    await end(supervising)
    assert "one: writes something other than that it serves, and is killed" in caplog.messages


async def test_one_that_goes_on_failing_is_tried_on_and_on(scene: Scene) -> None:
    fails_later = f"{NOTES} sys.exit(3) if len(os.listdir({str(scene.folder)!r})) > 1 else None; "
    supervising = asyncio.create_task(supervise([scene.child("one", fails_later + SERVES)]))
    await until(lambda: len(scene.started("one")) > 3)
    await end(supervising)


async def test_when_one_does_not_start_none_is_left_running(scene: Scene) -> None:
    when_one_serves = f"import os, sys\nwhile not os.listdir({str(scene.folder)!r}): pass\nsys.exit(2)"
    children = [scene.child("one", SERVES + WAITS), scene.child("other", when_one_serves)]
    with pytest.raises(NotStarted, match="other: did not start"):
        await supervise(children)
    assert scene.runs("one") == []
    assert len(scene.started("one")) == 1


async def test_a_program_that_is_not_there_does_not_start(scene: Scene) -> None:
    with pytest.raises(NotStarted, match="none"):
        await supervise([Child("none", [str(scene.folder / "none")])])


async def test_one_that_does_not_end_by_itself_is_killed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_PATIENCE", 0.2)
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SERVES + "channel.recv(1)"
    supervising = asyncio.create_task(supervise([scene.child("one", stubborn)]))
    await until(lambda: len(scene.runs("one")) == 1)
    await end(supervising)
    assert scene.runs("one") == []


async def test_one_that_hangs_before_it_serves_is_killed_and_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_LONGEST_START", 1.0)
    child = scene.child("one", NOTES + "import time; time.sleep(600)")
    assert not await child.start()
    assert await child.ended() == -signal.SIGKILL
    assert scene.runs("one") == []


async def test_what_is_handed_over_comes_as_a_line_and_sockets_that_are_ours_no_more(scene: Scene) -> None:
    ours, theirs = socket.socketpair()
    takes = (
        "from samdrift.processes.child import Supervisor; import asyncio, sys\n"
        "there = Supervisor()\n"
        "line, (found,) = there.handed(4)\n"
        "found.send(line)\n"
        "asyncio.run(there.hear(lambda line: found.send(line)))\n"
    )
    command = [sys.executable, "-c", takes]
    child = Child("one", command, lambda: Handed(b"a secret", [theirs]))
    assert await child.start()
    assert ours.recv(100) == b"a secret\n"
    child.tell(b"something new")
    assert await asyncio.to_thread(ours.recv, 100) == b"something new\n"
    assert theirs.fileno() == -1
    await child.stop()
    ours.close()


async def test_one_whose_start_is_cut_short_leaves_no_socket_in_the_place_of_the_next_ones(
    scene: Scene,
) -> None:
    """The hand-over is made in a thread, which goes on after its process is no longer wanted."""
    place, begun, may_go_on = scene.folder / "socket", threading.Event(), threading.Event()
    made = []

    def hand() -> Handed:
        begun.set()
        may_go_on.wait(60)
        place.unlink(missing_ok=True)
        made.append(socket.socket(socket.AF_UNIX))
        made[-1].bind(str(place))
        return Handed(b"", made[-1:])

    child = Child("one", [sys.executable, "-c", ""], hand)
    starting = asyncio.create_task(child.start())
    await until(begun.is_set)
    starting.cancel()
    stopping = asyncio.create_task(child.stop())
    await asyncio.wait({starting})
    may_go_on.set()
    await stopping
    assert place.exists(), (
        "the stale socket must be made before stop returns, so that the next start replaces it"
    )
    assert [each.fileno() for each in made] == [-1]


async def test_one_whose_keys_cannot_be_opened_just_then_is_tried_again(scene: Scene) -> None:
    """A file is being replaced or a token is away, and no other process is affected."""
    hands = iter([KeyStoreError(KeyFault.UNAVAILABLE, "the token is not there"), None])

    def hand() -> Handed:
        if fault := next(hands):
            raise fault
        return Handed(b"")

    handed = "import socket; socket.socket(fileno=os.dup(0)).recv(2, socket.MSG_WAITALL); "
    command = [sys.executable, "-c", "import os; " + handed + SERVES + WAITS, str(scene.folder / "one")]
    child = Child("one", command, hand)
    assert not await child.start()
    keeping = asyncio.create_task(keep(child))
    await until(lambda: len(scene.runs("one")) == 1)
    await end(keeping)
    await child.stop()


async def test_a_process_inherits_nothing_but_the_standard_streams(scene: Scene) -> None:
    with open(scene.folder / "secret", "w") as secret:
        os.set_inheritable(secret.fileno(), True)
        listing = (
            f"import os; open({str(scene.folder / 'open')!r}, 'w').write(' '.join(os.listdir('/dev/fd'))); "
        )
        supervising = asyncio.create_task(supervise([scene.child("one", listing + SERVES + WAITS)]))
        await until(lambda: (scene.folder / "open").exists() and len(scene.runs("one")) == 1)
        await end(supervising)
    descriptors = {int(number) for number in (scene.folder / "open").read_text().split()}
    assert {0, 1, 2} <= descriptors
    assert len(descriptors) <= 5, "only the written file and the listed folder may be open in addition"


async def test_processes_end_when_their_supervisor_is_gone(scene: Scene) -> None:
    child = scene.child("one", SERVES + "channel.recv(1)")
    assert await child.start()
    await until(lambda: len(scene.runs("one")) == 1)
    (number,) = scene.runs("one")
    child._writer.close()
    assert await child.ended() == 0
    assert not alive(number)


async def test_an_address_that_may_not_be_taken_is_named_with_the_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One example is port 443 under a unit that forbids ports below 1024."""

    def refused() -> Handed:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "0.0.0.0:443")

    assert not await Child("front", [sys.executable, "-c", ""], refused).start()
    assert caplog.messages == ["front: cannot be started: 0.0.0.0:443: permission denied"]
