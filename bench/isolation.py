"""Cost of isolation level ``process``, compared with one process for all: start, memory, idle organisations.

The memory of each kind of process is read from the metrics, in which every process reports its own. PSS
counts shared memory once, so the sum is what the machine provides. The cost of an organisation includes
PostgreSQL and all roles.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families
from tests.roles.processes import Process, organisation, played

from bench.backlog import started
from bench.measure import Row, reported
from bench.workers import installation, installation_cpu
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import LocalFederation, running
from samdrift.installation.loop import run

_ORGANISATIONS = (3, 12)
_SETTLE_SECONDS = 60.0
"""Seconds after a start in which logs get their first checkpoints and message clients first access tokens."""
_IDLE_SECONDS = 120.0
_MB = 1e6


@dataclass(frozen=True, slots=True)
class _Whole:
    """All processes of an installation together, with those of PostgreSQL."""

    organisations: int
    level: str
    start: float
    """Seconds of CPU until everything was served."""
    wall: float
    memory: float
    """Bytes, PSS."""
    idle: float
    """Per cent of a core."""


def rows(numbers: Sequence[int] | None = None, idle_seconds: float | None = None) -> list[Row]:
    """Measure both levels with few organisations and with several."""
    with tempfile.TemporaryDirectory(prefix="samdrift-isolation-") as folder:
        measured = _measured(Path(folder), sorted(numbers or _ORGANISATIONS), idle_seconds or _IDLE_SECONDS)
        return run(measured)


async def _measured(folder: Path, numbers: Sequence[int], idle_seconds: float) -> list[Row]:
    found, wholes = list[Row](), list[_Whole]()
    async with running(folder / "federation") as federation:
        for number in numbers:
            found += await _of(federation, folder, number, idle_seconds, wholes)
    return [*found, *_further(wholes), reported("load of the machine", [*os.getloadavg()], "")]


async def _of(
    federation: LocalFederation, folder: Path, number: int, idle_seconds: float, wholes: list[_Whole]
) -> list[Row]:
    cast = tuple(organisation(f"kommun{each}", f"21200{each:05d}", tuple(Role)) for each in range(number))
    operator = DemoOperator(f"operator-of-{number}", "AP0090-SDK-DEMO", cast)
    found = []
    async with played(federation, folder, {operator: ("all",)}) as there:
        (process,) = there.processes
        assert process.config.metrics is not None
        listen = process.config.metrics.listen
        wholes.append(await _whole(process, number, "shared", idle_seconds))
        found += await _shared(process, number)
        with process.config_file.open("a") as file:
            file.write('[isolation]\nlevel = "process"\n')
        wholes.append(await _whole(process, number, "process", idle_seconds))
        found += await _apart(process, number, f"http://{listen.host}:{listen.port}/metrics")
    return [*found, *(row for whole in wholes[-2:] for row in _together(whole))]


async def _whole(process: Process, number: int, level: str, idle_seconds: float) -> _Whole:
    """Start the process, let it settle, and measure it while it idles; it keeps running."""
    began = time.monotonic()
    await (started(process) if level == "shared" else process.start())
    wall, start = time.monotonic() - began, installation_cpu(process)
    await asyncio.sleep(_SETTLE_SECONDS)
    began, before = time.monotonic(), installation_cpu(process)
    await asyncio.sleep(idle_seconds)
    idle = (installation_cpu(process) - before) / (time.monotonic() - began) * 100
    memory = sum(map(_pss, installation(process)))
    return _Whole(number, level, start, wall, memory, idle)


def _pss(process: psutil.Process) -> int:
    """Return the PSS of a process in bytes; 0 for a PostgreSQL connection that has just ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().pss)
    return 0


async def _shared(process: Process, number: int) -> list[Row]:
    assert process.running is not None
    use = psutil.Process(process.running.pid).memory_full_info()
    await process.stop()
    return _rows(f"{number} organisations, shared: all", 1, {"rss": use.rss, "pss": use.pss})


async def _apart(process: Process, number: int, metrics: str) -> list[Row]:
    assert process.running is not None
    supervisor = psutil.Process(process.running.pid).memory_full_info()
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(metrics).read().decode())
    await process.stop()
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    counts = {one.labels["kind"]: int(one.value) for one in samples if one.name == "samdrift_processes"}
    memory: dict[str, dict[str, float]] = {kind: {} for kind in counts}
    for one in samples:
        if one.name == "samdrift_process_memory_bytes":
            memory[one.labels["kind"]][one.labels["measure"]] = one.value
    counts["supervisor"], memory["supervisor"] = 1, {"rss": supervisor.rss, "pss": supervisor.pss}
    total = {measure: sum(use[measure] for use in memory.values()) for measure in ("rss", "pss")}
    before = f"{number} organisations, process"
    found = [row for kind in counts for row in _rows(f"{before}: {kind}", counts[kind], memory[kind])]
    return [*found, *_rows(f"{before}: all {sum(counts.values())}", 1, total)]


def _rows(name: str, processes: int, use: dict[str, float]) -> list[Row]:
    """Return rows with the memory of one process, averaged over its kind."""
    return [
        reported(f"{name}, {measure.upper()}", [use[measure] / processes / _MB], "MB")
        for measure in ("rss", "pss")
    ]


def _together(whole: _Whole) -> list[Row]:
    name = f"{whole.organisations} organisations, {whole.level}"
    return [
        reported(f"{name}: with PostgreSQL, PSS", [whole.memory / _MB], "MB"),
        reported(f"{name}: start, CPU", [whole.start], "s"),
        reported(f"{name}: start, wall", [whole.wall], "s"),
        reported(f"{name}: idle", [whole.idle], "% of a core"),
    ]


def _further(wholes: Sequence[_Whole]) -> list[Row]:
    """Return rows with the cost of each additional organisation, from one number to the next."""
    found = list[Row]()
    for level in dict.fromkeys(whole.level for whole in wholes):
        for fewer, more in pairwise(whole for whole in wholes if whole.level == level):
            name = f"{level}: each further organisation from {fewer.organisations} to {more.organisations}"
            of = more.organisations - fewer.organisations
            found += [
                reported(f"{name}, PSS", [(more.memory - fewer.memory) / of / _MB], "MB"),
                reported(f"{name}, idle", [(more.idle - fewer.idle) / of], "% of a core"),
            ]
    return found
