"""Two hosts of one installation, killed and cut off in turn: counts messages that are lost or arrive twice.

Measures how long it takes until the other host is in charge of everything (:mod:`tests.roles.hosts`).
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from tests.roles.hosts import Survived, survived

from bench.measure import Row, reported
from samdrift.federation.server import running
from samdrift.installation.loop import run

_EXCHANGES = 1000
_APART = 25
"""Number of exchanges between two faults."""
_PATIENCE = 600.0
TAKEN_OVER = 30.0


def rows(exchanges: int | None, seed: int | None) -> list[Row]:
    """Exchange that many messages; print the seed and every fault on standard error."""
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="samdrift-hosts-") as folder:
        found = run(_run(Path(folder), exchanges or _EXCHANGES, seed))
    for fault in found.faults:
        print(fault, file=sys.stderr, flush=True)
    return [
        reported("exchanges", [found.exchanges], ""),
        *(reported(blow, [found.blows.count(blow)], "times") for blow in sorted(set(found.blows))),
        reported("faults", [len(found.faults)], "", bar=0.0),
        reported("until taken over, longest", [max(found.taken_over)], "s", bar=TAKEN_OVER),
    ]


async def _run(folder: Path, exchanges: int, seed: int) -> Survived:
    async with running(folder / "federation") as federation:
        blows = max(2, exchanges // _APART)
        return await survived(federation, random.Random(seed), exchanges, blows, _PATIENCE)
