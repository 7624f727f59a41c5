"""Processes that a worker that was taken over starts to outlive it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from samdrift.processes.survivors import Survives, end_all_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may start processes as others")
USER = 150_000_000 + os.getpid() * 2
"""A user number of this run alone."""
LEAVES_ITS_SESSION = """
import os, signal, time
if os.fork():
    os._exit(0)
os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    if not os.fork():
        time.sleep(2)
        os._exit(0)
    time.sleep(0.2)
"""
CHANGES_ITS_NUMBER = """
import os, time
if os.fork():
    os._exit(0)
os.setsid()
for _ in range(2000):
    time.sleep(0.002)
    if os.fork():
        os._exit(0)
"""


def running(user: int) -> set[psutil.Process]:
    found = set()
    for process in psutil.process_iter():
        try:
            if process.uids().real == user and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process)
        except psutil.NoSuchProcess:
            pass
    return found


@pytest.fixture(autouse=True)
def cleared() -> Iterator[None]:
    """End all processes of both users after the test, without the program under test."""
    yield
    until = time.monotonic() + 60
    while (found := running(USER) | running(USER + 1)) and time.monotonic() < until:
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, 1)


def start(user: int, script: str) -> None:
    subprocess.run([sys.executable, "-S", "-c", script], user=user, group=user, extra_groups=[], check=True)


def test_how_many_there_were_is_told() -> None:
    start(USER, LEAVES_ITS_SESSION)
    time.sleep(0.3)
    assert end_all_of(USER) > 0
    assert end_all_of(USER) == 0


@pytest.mark.parametrize("script", [LEAVES_ITS_SESSION, CHANGES_ITS_NUMBER])
def test_all_processes_of_a_user_are_ended_and_none_of_another(script: str) -> None:
    start(USER, script)
    start(USER + 1, LEAVES_ITS_SESSION)
    time.sleep(0.3)
    try:
        end_all_of(USER)
    except Survives as survives:
        pytest.fail(str(survives))
    killed = running(USER)  # On a busy machine, these may take a while to end.
    for _ in range(600):
        left = running(USER)
        assert left <= killed, "what is killed starts no other process"
        if not left:
            break
        time.sleep(0.1)
    time.sleep(0.3)
    assert not running(USER)
    assert running(USER + 1)


@pytest.mark.parametrize("user", [0, 1, 999])
def test_the_systems_own_users_are_left_alone(user: int) -> None:
    with pytest.raises(ValueError, match="not the user of a worker"):
        end_all_of(user)
