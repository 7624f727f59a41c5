"""A whole exchange: message sent, accepted, receipt back, with HTTP, TLS and PostgreSQL on both sides.

CPU is that of every process: this one, with both operators and the federation,
and both PostgreSQL servers with all their children. The federation answers a
few lookups that the operators then keep.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

import psutil

from bench import phase4
from bench.exchange_floor import ExchangeFloor
from bench.measure import Row, against_floor, reported
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.demo.cast import AGENCY, HABO
from samdrift.demo.scenario import Party
from samdrift.demo.world import world
from samdrift.installation.loop import run
from samdrift.messageservice.outgoing.compose import Attachment, Draft, compose

BAR = 3.0
_ROUNDS = 7
_BATCH = 20
_AT_ONCE = 8
_SELDOM, _OFTEN = 0.25, 0.03
"""Seconds between looks: seldom where CPU is measured, often where time is."""
_DRAFT = Draft(
    "Prov", "Ett meddelande.", (Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(6_600)),)
)
"""A message of about 10 kB, with base64 and XML."""


def rows() -> list[Row]:
    """Measure floor and work in turn, then throughput and latency under load, then one hop with phase4."""
    with tempfile.TemporaryDirectory() as folder:
        exchanges = run(_run(Path(folder) / "world"))
    return [*exchanges, *phase4.rows()]


async def _run(folder: Path) -> list[Row]:
    floor = ExchangeFloor()
    async with world(folder, lambda _: None) as running:
        pair = _Pair(running.party(HABO), running.party(AGENCY))
        processes = _Processes(folder)
        await pair.batch(_BATCH, _SELDOM)
        floors, works = [], []
        for _ in range(_ROUNDS):
            floors.append(_cpu_of(floor))
            gc.collect()
            before = processes.cpu()
            await pair.batch(_BATCH, _SELDOM)
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


class _Pair:
    """Two parties that exchange messages, a few at once."""

    def __init__(self, sender: Party, recipient: Party) -> None:
        self._sender = sender
        self._recipient = recipient
        self._done: dict[str, asyncio.Future[MessageStatus]] = {}

    async def batch(self, count: int, look_every: float) -> list[float]:
        """Exchange ``count`` messages; gives the seconds that each took until its receipt was back."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one() -> float:
            async with slots:
                started = time.monotonic()
                await self._exchange()
                return time.monotonic() - started

        watching = asyncio.create_task(self._watch(look_every))
        try:
            return await asyncio.gather(*(one() for _ in range(count)))
        finally:
            watching.cancel()

    async def _exchange(self) -> None:
        sender = self._sender
        message = compose(
            _DRAFT,
            sender.address,
            self._recipient.address,
            message_id=str(uuid.uuid4()),
            at=datetime.now(UTC),
        )
        done = self._done[message.message_id] = asyncio.get_running_loop().create_future()
        await sender.operator.messages.send(sender.principal, sender.organisation, message)
        status = await asyncio.wait_for(done, 60)
        if status is not MessageStatus.ACCEPTED:
            raise RuntimeError(f"an exchange ended as {status.value}")

    async def _watch(self, look_every: float) -> None:
        """One look for all, at the newest alone: looking costs CPU, which counts."""
        sender = self._sender
        while True:
            await asyncio.sleep(look_every)
            records = await sender.operator.messages.messages(
                sender.principal, sender.organisation, Direction.OUT, limit=2 * _AT_ONCE
            )
            for record in records:
                done = self._done.get(record.id)
                if done is not None and not done.done() and record.status.final:
                    done.set_result(record.status)


class _Processes:
    """This process and the PostgreSQL servers whose folders lie in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._own = psutil.Process()
        pids = [int(file.read_text().split()[0]) for file in folder.rglob("postmaster.pid")]
        if not pids:
            raise RuntimeError("no PostgreSQL server to measure")
        self._servers = [psutil.Process(pid) for pid in pids]

    def cpu(self) -> float:
        """Seconds of CPU so far, of processes that have ended too."""
        return _seconds(self._own) + sum(
            _seconds(server, ended=True) + sum(_seconds(child) for child in server.children(recursive=True))
            for server in self._servers
        )


def _seconds(process: psutil.Process, *, ended: bool = False) -> float:
    times = process.cpu_times()
    own = times.user + times.system
    return own + times.children_user + times.children_system if ended else own


def _cpu_of(floor: ExchangeFloor) -> float:
    gc.collect()
    before = time.process_time_ns()
    for _ in range(_BATCH):
        floor.work()
    return (time.process_time_ns() - before) / _BATCH / 1e6
