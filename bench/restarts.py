"""Own restarts under traffic, at both levels of isolation: counts lost messages and attempts spent: none.

One of two operators is stopped, killed, started again one process after the other, and loses workers by
kill -9, also in the middle of that, while messages go to and fro (:mod:`tests.roles.ownrestarts`).
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from tests.roles.ownrestarts import Survived, survived

from bench.measure import Row, reported
from samdrift.config.isolation import Isolation
from samdrift.federation.server import running
from samdrift.installation.loop import run

_RESTARTS = 20
_PATIENCE = 600.0


def rows(restarts: int | None, seed: int | None) -> list[Row]:
    """Restart so many times at each level; seed, each restart and every fault are on standard error."""
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}", file=sys.stderr, flush=True)
    found = []
    for level in Isolation:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="samdrift-restarts-") as folder:
            report = run(_restarted(Path(folder), level, restarts or _RESTARTS, seed))
        for fault in report.faults:
            _report(fault)
        _report(f"{level}: {report.exchanges} exchanges, {len(report.faults)} faults, {report.spent} spent")
        found += [
            *(reported(f"{level}: {name}", [number], "times") for name, number in report.restarts.items()),
            reported(f"{level}: exchanges", [report.exchanges], ""),
            reported(f"{level}: faults", [len(report.faults)], "", bar=0.0),
            reported(f"{level}: attempts spent", [report.spent], "", bar=0.0),
            reported(f"{level}: time", [time.monotonic() - began], "s"),
        ]
    return found


async def _restarted(folder: Path, level: Isolation, restarts: int, seed: int) -> Survived:
    async with running(folder / "federation") as federation:
        return await survived(federation, level, restarts, random.Random(seed), _PATIENCE, _report)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
