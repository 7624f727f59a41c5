"""Cost that checkpoints add to exchanges: batches with and without signing every log, in turn.

A batch has as many exchanges as one per second makes during the shortest cadence. Every log of both
operators is signed and shown to its witness, which runs in this process and is counted too. In both kinds of
batches the operators also sign their logs themselves, every five minutes.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from bench.exchange_pair import SELDOM, Pair, Processes
from bench.measure import Row, against_floor, reported
from samdrift.demo.cast import AGENCY, HABO
from samdrift.demo.witnessing import logs_of
from samdrift.demo.world import World, world
from samdrift.installation.logkeeping import LogKeeper, Policies, witness_caller
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock

_BAR = 1.05
_ROUNDS = 6
_CADENCE = timedelta(seconds=60)
_BATCH = 60


def rows() -> list[Row]:
    """Measure the CPU of an exchange with checkpoints against one without, and of one cadence of one log."""
    with tempfile.TemporaryDirectory() as folder:
        return run(_run(Path(folder) / "world"))


async def _run(folder: Path) -> list[Row]:
    async with world(folder, lambda _: None) as running, AsyncExitStack() as stack:
        pair, processes = Pair(running.party(HABO), running.party(AGENCY)), Processes(folder)
        cadence, logs = await _keeping(running, stack)
        await pair.batch(_BATCH, SELDOM)
        await cadence()
        without, having, alone = [], [], []
        for number in range(_ROUNDS):
            for kept in (False, True) if number % 2 else (True, False):
                gc.collect()
                before = processes.cpu()
                await pair.batch(_BATCH, SELDOM)
                exchanged = processes.cpu()
                if kept:
                    await cadence()
                after = processes.cpu()
                (having if kept else without).append((after - before) / _BATCH * 1e3)
                alone += [(after - exchanged) / logs * 1e3] if kept else []
        return [
            against_floor("exchange with checkpoints", without, having, bar=_BAR, unit="ms CPU"),
            reported("one checkpoint, signed and witnessed", alone, "ms CPU"),
        ]


async def _keeping(running: World, stack: AsyncExitStack) -> tuple[Callable[[], Awaitable[None]], int]:
    """Return a function that signs and witnesses every log once, and the number of logs."""
    keepers = []
    for enrolled, operator in running.operators:
        caller = await stack.enter_async_context(witness_caller(enrolled.config))
        policies = Policies(enrolled.config).of
        keeper = LogKeeper(operator.gate, policies, caller, system_clock, _CADENCE)
        keepers += [(keeper, place) for place in logs_of(operator.gate)]

    async def cadence() -> None:
        for keeper, place in keepers:
            await keeper.round(place)

    return cadence, len(keepers)
