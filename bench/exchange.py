"""A whole exchange: message sent, accepted, receipt back, with HTTP, TLS and PostgreSQL on both sides.

CPU is that of every process: this one, with both operators and the federation,
and both PostgreSQL servers with all their children. The federation answers a
few lookups that the operators then keep.
"""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from bench import exchange_checkpoints, phase4
from bench.exchange_floor import ExchangeFloor
from bench.exchange_pair import SELDOM, Pair, Processes
from bench.measure import Row, against_floor, reported
from samdrift.demo.cast import AGENCY, HABO
from samdrift.demo.world import world
from samdrift.installation.loop import run

BAR = 3.0
_ROUNDS = 7
_BATCH = 20
_OFTEN = 0.03
"""Seconds between looks where time is measured."""


def rows() -> list[Row]:
    """Measure floor and work in turn, then throughput and latency under load, what checkpoints add, and one
    hop with phase4.
    """
    with tempfile.TemporaryDirectory() as folder:
        exchanges = run(_run(Path(folder) / "world"))
    return [*exchanges, *exchange_checkpoints.rows(), *phase4.rows()]


async def _run(folder: Path) -> list[Row]:
    floor = ExchangeFloor()
    async with world(folder, lambda _: None) as running:
        pair = Pair(running.party(HABO), running.party(AGENCY))
        processes = Processes(folder)
        await pair.batch(_BATCH, SELDOM)
        floors, works = [], []
        for _ in range(_ROUNDS):
            floors.append(_cpu_of(floor))
            gc.collect()
            before = processes.cpu()
            await pair.batch(_BATCH, SELDOM)
            works.append((processes.cpu() - before) / _BATCH * 1e3)
        started = time.monotonic()
        latencies = await pair.batch(5 * _BATCH, _OFTEN)
        elapsed = time.monotonic() - started
    return [
        against_floor("exchange", floors, works, bar=BAR, unit="ms CPU"),
        *_load(latencies, elapsed),
    ]


def _load(latencies: list[float], elapsed: float) -> list[Row]:
    """Reported, without a bar: throughput, and the time from sending to the message receipt."""
    milliseconds = [each * 1e3 for each in latencies]
    return [
        reported("exchange throughput", [len(latencies) / elapsed], "per second"),
        reported("exchange latency, median", [median(milliseconds)], "ms"),
        reported("exchange latency, 99th percentile", [quantiles(milliseconds, n=100)[98]], "ms"),
    ]


def _cpu_of(floor: ExchangeFloor) -> float:
    gc.collect()
    before = time.process_time_ns()
    for _ in range(_BATCH):
        floor.work()
    return (time.process_time_ns() - before) / _BATCH / 1e6
