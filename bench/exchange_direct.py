"""Exchanges that call interface C within the process, compared in turn with the same over HTTP.

Two worlds with two operators each exist at the same time, and one exchanges while the other idles. In the
world that is the floor, message services call their access points as they would another supplier's.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from unittest.mock import patch

from bench.exchange import SETTLED
from bench.exchange_counts import counted
from bench.exchange_pair import SELDOM, Pair, Processes
from bench.measure import Row, against_floor
from samdrift.demo.cast import AGENCY, HABO
from samdrift.demo.world import World, world
from samdrift.installation import operator
from samdrift.installation.loop import run
from samdrift.net.addressbook import LocalAddressBook

_ROUNDS = 10
_BATCH = 40
_BAR = 1.0


def rows() -> list[Row]:
    """Measure the CPU of an exchange with direct calls against HTTP, and the requests of each."""
    with tempfile.TemporaryDirectory() as folder:
        return run(_run(Path(folder)))


async def _run(folder: Path) -> list[Row]:
    async with AsyncExitStack() as stack:
        with patch.object(operator, "called_here", _nowhere):
            over_http = await stack.enter_async_context(world(folder / "http", lambda _: None))
        direct = await stack.enter_async_context(world(folder / "direct", lambda _: None))
        made = time.monotonic()
        pairs = []
        for one, place in ((over_http, "http"), (direct, "direct")):
            pairs.append((await _pair(one), Processes(folder / place)))
        await asyncio.sleep(max(0.0, made + SETTLED - time.monotonic()))
        for pair, _ in pairs:
            await pair.batch(_BATCH, SELDOM)
        found: tuple[list[float], list[float]] = [], []
        for number in range(_ROUNDS):
            for which in (0, 1) if number % 2 else (1, 0):
                pair, processes = pairs[which]
                gc.collect()
                before = processes.cpu()
                await pair.batch(_BATCH, SELDOM)
                found[which].append((processes.cpu() - before) / _BATCH * 1e3)
        rows = [against_floor("exchange, calls within a process", *found, bar=_BAR, unit="ms CPU")]
        for pair, _ in pairs:
            with counted() as counts:
                await pair.batch(_BATCH, SELDOM)
            rows += counts.rows(_BATCH, {})
        return rows


async def _pair(one: World) -> Pair:
    for _, each in one.operators:
        if isinstance(book := each.messages.address_book, LocalAddressBook):
            await book.refresh()
    return Pair(one.party(HABO), one.party(AGENCY))


@asynccontextmanager
async def _nowhere(*_: object) -> AsyncIterator[None]:
    yield None
