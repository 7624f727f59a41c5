"""Cost of hosting many organisations: start, idle, and the same traffic spread over few or over all of them.

One operator hosts each number of them, and each organisation writes to the next one, through AS4 and both
vaults. The installations are processes of their own that exist at the same time
(:mod:`bench.organisations_host`): they idle together, and rounds of traffic alternate between them, so the
ratios are those of one run. The floor of traffic is the same traffic with the fewest organisations.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.idle_counts import KINDS
from bench.idle_parts import Part
from bench.measure import Row, Spread, reported

_NUMBERS = (3, 30, 300)
_EXCHANGES = 300
_IDLE_SECONDS = 1800.0
"""Half an hour: the lifetime of access tokens, and of what an access point caches about a vault.

All of these begin with the start, so a shorter time would include all renewals, or none.
"""
_COUNT_SECONDS = 300.0
"""Seconds in which each stream of events has one sign of life, and each log one turn."""
_TRAFFIC_BAR = 1.2
_START_BAR_SECONDS = 10.0
_LOGINS_BAR = 2.0
_IDLE_BAR_PERCENT = 2.0
_PART_BARS = {Part.LOGS: 0.7, Part.CLIENT: 0.4, Part.GOVERNANCE: 0.1, Part.REST: 0.8}
"""Bars of the parts of the idle cost (bench/idle_parts.py); work outside the parts counts as the rest."""
_MEMORY_BAR_MB = 1.0
_MOST = 300
"""Number of organisations that the bars of start and idle apply to."""
_ROUNDS = 3
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Options:
    """The size of a run."""

    numbers: Sequence[int] = _NUMBERS
    exchanges: int = _EXCHANGES
    idle_seconds: float = _IDLE_SECONDS
    rounds: int = _ROUNDS


@dataclass(slots=True)
class Found:
    """Measurements with one number of organisations."""

    number: int
    start: dict[str, float] = field(default_factory=dict)
    """Seconds, and logins per vault, from the start until the installation has settled."""
    settling: dict[str, float] = field(default_factory=dict)
    """Figures of the minutes after the start, in which each log is looked at once."""
    idle: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    """Counts per idle minute (bench/idle_counts.py)."""
    cold: dict[str, float] = field(default_factory=dict)
    """Figures of the first round of traffic, which uses each vault, peer and address for the first time."""
    warm: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Installation:
    """The process of an installation."""

    process: Process
    found: Found

    async def ask(self, **command: Any) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()
        return await self.answer()

    async def answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the installation with {self.found.number} organisations has ended")
        answer: dict[str, float] = json.loads(line)
        return answer


def rows(options: Options | None = None) -> list[Row]:
    """Measure each number of organisations, in turn."""
    return asyncio.run(_measured(options or Options()))


def _progress(what: str) -> None:
    print(f"{what}; load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)


async def _measured(options: Options) -> list[Row]:
    async with AsyncExitStack() as stack:
        all_of_them = [
            await stack.enter_async_context(_started(number)) for number in sorted(options.numbers)
        ]
        for each in all_of_them:
            each.found.start = await each.ask(do="start")
            _progress(
                f"{each.found.number} organisations have started, {each.found.start['cpu']:.1f} s of CPU"
            )
        loads = [os.getloadavg()[0]]
        settling = (each.ask(do="settle") for each in all_of_them)
        for each, found in zip(all_of_them, await asyncio.gather(*settling), strict=True):
            each.found.settling = found
            _progress(f"{each.found.number} organisations have settled, {found['total']:.2f} % of a core")
        asked = (each.ask(do="idle", seconds=options.idle_seconds) for each in all_of_them)
        for each, idle in zip(all_of_them, await asyncio.gather(*asked), strict=True):
            each.found.idle = idle
            _progress(f"{each.found.number} organisations were idle, {idle['total']:.2f} % of a core")
        loads.append(os.getloadavg()[0])
        counting = (
            each.ask(do="count", seconds=min(_COUNT_SECONDS, options.idle_seconds)) for each in all_of_them
        )
        for each, counts in zip(all_of_them, await asyncio.gather(*counting), strict=True):
            each.found.counts = counts
        for number in range(options.rounds + 1):
            for each in all_of_them:
                found = await each.ask(do="traffic", exchanges=options.exchanges)
                each.found.warm.append(found)
                what = f"{each.found.number} organisations, round {number}"
                _progress(f"{what}: {found['total']:.1f} ms of CPU per exchange")
            loads.append(os.getloadavg()[0])
    for each in all_of_them:
        each.found.cold = each.found.warm.pop(0)
    found = [each.found for each in all_of_them]
    return [
        *(row for each in found for row in _rows(each, found[0])),
        reported("load of the machine", loads, ""),
    ]


@asynccontextmanager
async def _started(number: int) -> AsyncIterator[_Installation]:
    """Start the process of an installation, and yield it once its organisations are enrolled."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.organisations_host", str(number)), stdin=PIPE, stdout=PIPE
    )
    installation = _Installation(process, Found(number))
    try:
        await installation.answer()
        _progress(f"{number} organisations are enrolled")
        yield installation
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def _rows(found: Found, fewest: Found) -> list[Row]:
    judged = found.number == _MOST
    name = f"{found.number} organisations"
    start = f"{name}: start"
    rows = [
        reported(f"{start}, CPU", [found.start["cpu"]], "s", bar=_START_BAR_SECONDS if judged else None),
        reported(f"{start}, wall", [found.start["wall"]], "s"),
        reported(
            f"{start}, logins per vault", [found.start["logins"]], "", bar=_LOGINS_BAR if judged else None
        ),
        reported(f"{name}: the minutes after the start", [found.settling["total"]], "% of a core"),
        reported(
            f"{name}: idle", [found.idle["total"]], "% of a core", bar=_IDLE_BAR_PERCENT if judged else None
        ),
        reported(f"{name}: idle, PostgreSQL", [found.idle["server"]], "% of a core"),
        *(
            reported(f"{name}: idle, {part}", [found.idle[part]], "% of a core", bar=bar if judged else None)
            for part, bar in _PART_BARS.items()
        ),
        reported(f"{name}: idle, PSS", [found.idle["memory"] / _MB], "MB"),
        reported(f"{name}: idle, connections", [found.idle["connections"]], ""),
        reported(f"{name}: idle, new access tokens", [found.idle["tokens"]], ""),
        *(reported(f"{name}: idle minute, {kind}", [found.counts[kind]], "") for kind in KINDS),
    ]
    if found is not fewest:
        each = (found.idle["memory"] - fewest.idle["memory"]) / (found.number - fewest.number) / _MB
        rows.append(
            reported(
                f"{name}: idle, PSS per further one", [each], "MB", bar=_MEMORY_BAR_MB if judged else None
            )
        )
    return [
        *rows,
        reported(f"{name}: traffic, cold", [found.cold["total"]], "ms CPU"),
        _warm(f"{name}: traffic, warm", found, fewest),
        *(
            reported(f"{name}: traffic, warm, {what}", [one[key] / unit for one in found.warm], of)
            for what, key, unit, of in (
                ("PostgreSQL", "server", 1, "ms CPU"),
                ("logins per exchange", "logins", 1, ""),
                ("connections", "connections", 1, ""),
                ("PSS", "memory", _MB, "MB"),
            )
        ),
    ]


def _warm(name: str, found: Found, fewest: Found) -> Row:
    """Compare each round with the preceding one of the installation with the fewest organisations."""
    works, floors = ([one["total"] for one in each.warm] for each in (found, fewest))
    floor = Spread.of(floors)
    ratios = Spread.of([work / floor for work, floor in zip(works, floors, strict=True)])
    return Row(
        name=name,
        floor=floor.median,
        work=median(works),
        ratio=ratios.median,
        bar=_TRAFFIC_BAR,
        reached=ratios.median <= _TRAFFIC_BAR,
        unit="ms CPU",
        floor_spread=floor,
        work_spread=Spread.of(works),
        ratio_spread=ratios,
    )
