"""Commands ended by SIGTERM leave no PostgreSQL running and no temporary folder behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.sizes import sampled
from tests.vaults import server_folder

PATIENCE = 120.0


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for the demonstration, beside one for temporary files."""
    with server_folder() as folder:
        (folder / "temporary").mkdir()
        yield folder


def being_initialised(place: Path) -> bool:
    return any(place.glob("demo/*/database/data.draft/PG_VERSION"))


def both_running(place: Path) -> bool:
    return len([*place.glob("demo/*/database/data/postmaster.pid")]) == 2


def using(place: Path) -> list[str]:
    """Return the processes that use the folder."""
    found = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [command for command in found if str(place) in command]


def until(condition: Callable[[Path], object], place: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not condition(place):
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {condition.__name__}"
        time.sleep(0.01)


@pytest.mark.parametrize("moment", sampled([being_initialised, both_running]))
def test_the_demonstration_leaves_nothing_behind(place: Path, moment: Callable[[Path], bool]) -> None:
    command = [sys.executable, "-P", "-m", "samdrift.cli.main", "demo", "--folder", place / "demo"]
    environment = {**os.environ, "TMPDIR": str(place / "temporary")}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as demo:
        until(moment, place)
        demo.send_signal(signal.SIGTERM)
        _, complaints = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 128 + signal.SIGTERM
    # On a busy machine one of its own services may be slow, which is logged as an outage.
    assert [line for line in complaints.splitlines() if not line.endswith(": no answer in time")] == []
    assert using(place) == []
    assert [*(place / "temporary").iterdir()] == []
