"""What isolation level ``process`` costs in memory: processes of idle organisations, by what they are for.

Each kind's memory is read from the metrics, where every process tells its own; PSS
counts what several processes share once, so that the sum is what the machine gives.
"""

from __future__ import annotations

import asyncio
import tempfile
import urllib.request
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families
from tests.roles.processes import Process, organisation, played

from bench.measure import Row, reported
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import LocalFederation, running
from samdrift.installation.loop import run

_ORGANISATIONS = (2, 10)
_IDLE_SECONDS = 10.0
_MB = 1e6


def rows() -> list[Row]:
    """For few organisations and for several, beside one process for all of them."""
    with tempfile.TemporaryDirectory(prefix="samdrift-isolation-") as folder:
        return run(_measured(Path(folder)))


async def _measured(folder: Path) -> list[Row]:
    found = []
    async with running(folder / "federation") as federation:
        for number in _ORGANISATIONS:
            found += await _of(federation, folder, number)
    return found


async def _of(federation: LocalFederation, folder: Path, number: int) -> list[Row]:
    cast = tuple(organisation(f"kommun{each}", f"21200{each:05d}") for each in range(number))
    operator = DemoOperator(f"operator-of-{number}", "AP0090-SDK-DEMO", cast)
    found = []
    async with played(federation, folder, {operator: ("all",)}) as there:
        (process,) = there.processes
        assert process.config.metrics is not None
        listen = process.config.metrics.listen
        found += await _shared(process, number)
        with process.config_file.open("a") as file:
            file.write('[isolation]\nlevel = "process"\n')
        found += await _apart(process, number, f"http://{listen.host}:{listen.port}/metrics")
    return found


async def _shared(process: Process, number: int) -> list[Row]:
    await process.start()
    await asyncio.sleep(_IDLE_SECONDS)
    assert process.running is not None
    use = psutil.Process(process.running.pid).memory_full_info()
    await process.stop()
    return _rows(f"{number} organisations, shared: all", 1, {"rss": use.rss, "pss": use.pss})


async def _apart(process: Process, number: int, metrics: str) -> list[Row]:
    await process.start()
    await asyncio.sleep(_IDLE_SECONDS)
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
    """Per process."""
    return [
        reported(f"{name}, {measure.upper()}", [use[measure] / processes / _MB], "MB")
        for measure in ("rss", "pss")
    ]
