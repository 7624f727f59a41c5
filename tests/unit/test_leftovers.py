"""A test run that is ended from outside leaves no PostgreSQL server and no folder behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.sizes import whole

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def working_in(folder: str) -> list[list[str]]:
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [command for command in commands if any(folder in word for word in command)]


@pytest.mark.parametrize(
    ("how", "workers"), [(signal.SIGTERM, 2), pytest.param(signal.SIGKILL, 0, marks=whole)]
)
def test_an_ended_run_leaves_nothing_behind(how: signal.Signals, workers: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    # Not in this run's folder, in which the path of a socket would be too long.
    with tempfile.TemporaryDirectory(prefix="samdrift-", dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o711)
        run = subprocess.Popen(
            [sys.executable, "-m", "pytest", f"-n{workers}", "tests/unit/waiting.py"],
            env={**environment, "TMPDIR": name},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        until(lambda: [*place.glob("*/*/running")])
        assert [*place.glob("*/*/database/data/postmaster.pid")] != []
        run.send_signal(how)
        assert run.wait(PATIENCE) == -how
        until(lambda: not [*place.iterdir()])
        until(lambda: not working_in(name))
