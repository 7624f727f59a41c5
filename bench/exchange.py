"""A whole exchange: message sent, accepted, receipt back, with HTTP, TLS and PostgreSQL on both sides.

CPU is that of every process: this one, with both operators and the federation,
and both PostgreSQL servers with all their children. The federation answers a
few lookups that the operators then keep. Each operator's copy of the address book
is taken when all are in it, as it is wherever nobody was enrolled in the last hour.

Measured from the second minute after keys were made on: before, their folders are
listed with every message, since a change in the same tick of a clock might not show.
The first minute is reported beside it. What an exchange takes in openings, round
trips and requests is counted as well: that does not depend on the machine.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from bench import exchange_checkpoints, phase4
from bench.exchange_counts import counted
from bench.exchange_floor import ExchangeFloor
from bench.exchange_pair import SELDOM, Pair, Processes
from bench.measure import Row, against_floor, reported
from samdrift.demo.cast import AGENCY, HABO
from samdrift.demo.world import world
from samdrift.installation.loop import run
from samdrift.net.addressbook import LocalAddressBook

BAR = 3.0
COUNTS = {"openings": 10.0, "round trips": 18.0}
"""The counts to reach."""
_ROUNDS = 7
_FIRST_ROUNDS = 3
_BATCH = 20
SETTLED = 61.0
"""Seconds since keys were made, after which their folders are listed only when they change."""
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
    async with world(folder, lambda _: None) as running:
        made = time.monotonic()
        for _, operator in running.operators:
            if isinstance(book := operator.messages.address_book, LocalAddressBook):
                await book.refresh()
        pair = Pair(running.party(HABO), running.party(AGENCY))
        processes = Processes(folder)
        await pair.batch(_BATCH, SELDOM)
        first = await _rounds(pair, processes, _FIRST_ROUNDS)
        await asyncio.sleep(max(0.0, made + SETTLED - time.monotonic()))
        await pair.batch(_BATCH, SELDOM)
        floors, works = await _rounds(pair, processes, _ROUNDS)
        with counted() as counts:
            await pair.batch(2 * _BATCH, SELDOM)
        started = time.monotonic()
        latencies = await pair.batch(5 * _BATCH, _OFTEN)
        elapsed = time.monotonic() - started
    ratios = [work / floor for floor, work in zip(*first, strict=True)]
    return [
        against_floor("exchange", floors, works, bar=BAR, unit="ms CPU"),
        reported("exchange, first minute", ratios, "times the floor"),
        *counts.rows(2 * _BATCH, COUNTS),
        *_load(latencies, elapsed),
    ]


async def _rounds(pair: Pair, processes: Processes, number: int) -> tuple[list[float], list[float]]:
    """Return milliseconds of CPU of the floor and of an exchange, round by round."""
    floor, floors, works = ExchangeFloor(), [], []
    for _ in range(number):
        floors.append(_cpu_of(floor))
        gc.collect()
        before = processes.cpu()
        await pair.batch(_BATCH, SELDOM)
        works.append((processes.cpu() - before) / _BATCH * 1e3)
    return floors, works


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
