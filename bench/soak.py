"""Exchanges under kill -9: counts messages that are lost, arrive twice or are left over; all must be 0.

Processes of two operators, their embedded PostgreSQL servers and the servers' backends are
killed at random moments while messages of all sizes are exchanged, and everything is checked
afterwards: :mod:`tests.roles.soak`, which the tests run for some seconds.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.roles.soak import Report, soak

from bench.measure import Row, reported
from samdrift.federation.server import running
from samdrift.installation.loop import run

_PATIENCE = 600.0
_KINDS = ("lost", "twice", "changed", "no reason", "left", "log")


def rows(exchanges: int, seed: int | None) -> list[Row]:
    """Soak, and count; print the seed and every fault on standard error."""
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}", file=sys.stderr, flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="samdrift-soak-") as folder:
        report = run(_soaked(Path(folder), exchanges, seed))
    for fault in report.faults:
        print(fault, file=sys.stderr)
    kinds = Counter(fault.partition(":")[0] for fault in report.faults)
    return [
        reported("exchanges", [report.exchanges], ""),
        *(reported(name, [number], "times") for name, number in sorted(report.blows.items())),
        *(reported(f"faults: {kind}", [kinds[kind]], "", bar=0.0) for kind in _KINDS),
        reported("time", [time.monotonic() - started], "s"),
    ]


async def _soaked(folder: Path, exchanges: int, seed: int) -> Report:
    async with running(folder / "federation") as federation:
        return await soak(
            federation, folder, random.Random(seed), exchanges=exchanges, blows=0, patience=_PATIENCE
        )
