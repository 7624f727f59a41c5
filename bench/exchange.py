"""A whole exchange: message sent, accepted, receipt back, with HTTP, TLS and PostgreSQL on both sides.

CPU is that of every process: this one, with both operators and the federation,
and both PostgreSQL servers with all their children. The federation answers a
few lookups, which the operators then cache. Each operator copies the address book
once every organisation is in it, as is usual when there was no enrolment in the last hour.

Measured from the second minute after keys were made: before that, their folders are
listed with every message, since a change within one tick of the clock might be missed.
The first minute is reported separately. The openings, round trips and requests of an
exchange are counted as well, because these do not depend on the machine.
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
"""Maximum openings and round trips of one exchange that we aim for."""
_ROUNDS = 7
_FIRST_ROUNDS = 3
_BATCH = 20
SETTLED = 61.0
"""Seconds after which the folders of new keys are listed only when they change."""
_OFTEN = 0.03
"""Seconds between polls when latency is measured."""


def rows() -> list[Row]:
    """Measure an exchange against its floor, throughput and latency, checkpoints, and one hop with phase4."""
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
    """Report throughput and the latency from sending to the message receipt, without a bar."""
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
