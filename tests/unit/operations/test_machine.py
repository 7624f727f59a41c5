"""Limits of processes: one that has few descriptors left, and a control group that is full."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from samdrift.config.model import Config
from samdrift.installation.health import FOUND_BY_WORKERS, Condition
from samdrift.operations import machine
from samdrift.operations.findings import State
from samdrift.operations.machine import check_group, check_processes, descriptors

NOW = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture
def limited() -> Iterator[int]:
    """Run a process that may have sixteen descriptors."""
    with subprocess.Popen(["sleep", "600"]) as process:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (16, 16))
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_process_with_few_descriptors(limited: int) -> None:
    found = {one.id: one for one in check_processes([limited])}
    assert found["process"].state is State.OK
    assert found["process.descriptors"].state is State.WARN
    assert found["process.descriptors"].found.endswith(" of 16 are open")


def test_where_none_runs_the_limits_are_those_that_one_would_get() -> None:
    found = {one.id: one for one in check_processes([])}
    assert found["process"].state is State.FAIL
    assert found["process.descriptors"].found.startswith("a process from here may open ")


def test_a_process_that_has_ended_ends_no_examination() -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    assert [one.state for one in check_processes([ended.pid])] == [State.OK, State.SKIPPED]


@pytest.mark.parametrize(
    ("limits", "used", "state"),
    [((1024, 65536), 60, State.OK), ((1024, 1024), 60, State.WARN), ((1024, 65536), 60_000, State.FAIL)],
)
def test_descriptors(limits: tuple[int, int], used: int, state: State) -> None:
    assert descriptors(*limits, used=used).state is state
    assert descriptors(1024, resource.RLIM_INFINITY, used=used).state is State.OK


def test_a_control_group_that_is_full_also_above_its_own(tmp_path: Path) -> None:
    unit = tmp_path / "system.slice" / "samdrift.service"
    unit.mkdir(parents=True)
    assert [one.found for one in check_group(unit, tmp_path)] == ["no limit is set"] * 2
    for folder, most in ((unit, "max"), (unit.parent, "100")):
        (folder / "pids.max").write_text(f"{most}\n")
        (folder / "pids.current").write_text("95\n")
    tasks, memory = check_group(unit, tmp_path)
    assert (tasks.id, tasks.state) == ("process.tasks", State.FAIL)
    assert memory.state is State.OK


@pytest.mark.parametrize(
    ("condition", "state", "needed"),
    [
        (Condition("database", "", NOW, "away"), State.FAIL, True),
        (Condition("smp", "smp.example.se", NOW, "away"), State.FAIL, False),
        (Condition("log", "samdrift.log/7f", NOW, "a witness refused"), State.FAIL, False),
        (Condition("log", "", NOW, FOUND_BY_WORKERS), State.FAIL, False),
        (Condition("log", "witness.example.se/1", NOW, "away"), State.WARN, False),
        (Condition("time-stamps", "tsa.example.se", NOW, "away"), State.WARN, False),
    ],
)
async def test_a_witness_that_is_away_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, condition: Condition, state: State, needed: bool
) -> None:
    async def reported(config: Config) -> list[SimpleNamespace]:
        return [SimpleNamespace(roles=frozenset(), workers={}, conditions=[condition])]

    monkeypatch.setattr(machine, "every_report", reported)
    config = cast(Config, SimpleNamespace(roles=frozenset()))
    (found,) = [each async for each in machine.check_health(config) if each.id.startswith("health.")]
    assert (found.state, "cannot do without" in found.why) == (state, needed)
