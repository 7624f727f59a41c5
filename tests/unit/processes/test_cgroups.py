"""Control groups: processes started by a worker that was taken over end with it, as any user.

The groups are real, wherever the kernel has a version 2 hierarchy in which the tests may make some.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from samdrift.processes import cgroups
from samdrift.processes.cgroups import ControlGroups, control_groups
from samdrift.processes.child import Child, Handed
from tests.vaults import until

LEAVES = """
import os, signal, sys, time
os.read(0, 1)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(sys.argv[1] + f"/{os.getpid()}", "w").close()
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        time.sleep(0.05)
    os._exit(0)
"""
"""A program that waits for its hand-over, and leaves behind a process that starts others repeatedly."""
SERVES = "import socket\nsocket.socket(fileno=0).send(b'serves\\n')\ntime.sleep(600)"


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[ControlGroups]:
    found = control_groups(tmp_path)
    if found is None:
        pytest.skip("no control groups of version 2 in which groups can be made")
    yield found
    found.end_all()


def script() -> list[str]:
    return [sys.executable, "-S", "-c", LEAVES + SERVES]


def left(folder: Path) -> list[int]:
    """Return the numbers of processes that were left behind and still run."""
    return [number for number in (int(file.name) for file in folder.iterdir()) if runs(number)]


def runs(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_what_a_process_started_ends_with_it(
    groups: ControlGroups,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("samdrift.processes.child._LOOK_SECONDS", 0.05)
    folder = tmp_path / "numbers"
    folder.mkdir()
    child = Child("one", [*script(), str(folder)], lambda: Handed(b""), groups=groups)
    assert await child.start()
    await until(lambda: left(folder))
    child.kill()
    await child.ended()
    assert not left(folder)
    assert any("outlived it and were killed" in each.message for each in caplog.records)
    assert groups.end_all() == 0, "the group must be gone"


def test_what_a_killed_supervisor_left_is_ended_by_the_next_one_and_nothing_of_others(
    groups: ControlGroups, tmp_path: Path
) -> None:
    others = control_groups(tmp_path / "others")
    assert others is not None
    sleepers = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
    try:
        for one, sleeper in zip((groups, others), sleepers, strict=True):
            one.make().take(sleeper.pid)
        again = control_groups(tmp_path)
        assert again is not None
        assert again.end_all() == 1
        assert sleepers[0].wait(60) < 0
        assert sleepers[1].poll() is None
    finally:
        others.end_all()
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def test_groups_inside_a_group_end_with_it(groups: ControlGroups) -> None:
    group = groups.make()
    inner = next(iter(groups.folders())) / "inner"
    inner.mkdir()
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        (inner / "cgroup.procs").write_text(str(sleeper.pid))
        group.end()
        assert sleeper.wait(60) < 0
    assert not inner.exists()


@pytest.mark.parametrize(
    ("mounts", "own"),
    [
        ("", "0::/\n"),
        ("30 23 0:26 / /sys/fs/cgroup rw - tmpfs cgroup rw\n", "0::/\n"),
        ("30 23 0:26 / /nowhere rw - cgroup2 cgroup rw\n", "4:memory:/a\n"),
        ("30 23 0:26 / /nowhere rw - cgroup2 cgroup rw\n", "0::/\n"),
    ],
    ids=["no mounts", "no cgroup2", "not in it", "not there"],
)
def test_where_none_can_be_made_there_are_none(
    mounts: str, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("_MOUNTS", mounts), ("_OWN", own)):
        file = tmp_path / name
        file.write_text(text)
        monkeypatch.setattr(cgroups, name, file)
    assert control_groups(tmp_path) is None


def test_the_hierarchy_is_found_where_it_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = tmp_path / "with space"
    (mounted / "system.slice").mkdir(parents=True)
    escaped = str(mounted).replace(" ", "\\040")
    for name, text in (
        ("_MOUNTS", f"30 23 0:26 / {escaped} rw shared:9 - cgroup2 cgroup rw\n"),
        ("_OWN", "9:name=systemd:/x\n0::/system.slice\n"),
    ):
        file = tmp_path / name
        file.write_text(text)
        monkeypatch.setattr(cgroups, name, file)
    assert cgroups.own_group() == mounted / "system.slice"
