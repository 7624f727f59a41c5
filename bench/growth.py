"""Growth of both operators' disks by an exchange: ``python -m bench growth``.

It counts tables, indexes and logs of all vaults of both parties, and bodies, but not PostgreSQL's write-ahead
log, which is overwritten. Tables grow in pages, so many exchanges are needed.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bench.exchange_pair import SELDOM, Pair
from bench.measure import Row, reported
from samdrift.demo.cast import AGENCY, HABO
from samdrift.demo.world import world
from samdrift.installation.loop import run

_WARM_UP = 20
_EXCHANGES = 150
_KB = 1e3
_SETTLE = 2.0


def rows() -> list[Row]:
    """Measure the bytes on disk per exchange, of both sides together."""
    with tempfile.TemporaryDirectory(prefix="samdrift-growth-") as folder:
        return run(_measured(Path(folder) / "world"))


async def _measured(folder: Path) -> list[Row]:
    async with world(folder, lambda _: None) as running:
        pair = Pair(running.party(HABO), running.party(AGENCY))
        await pair.batch(_WARM_UP, SELDOM)
        await asyncio.sleep(_SETTLE)
        before = await asyncio.to_thread(_stored, folder)
        await pair.batch(_EXCHANGES, SELDOM)
        await asyncio.sleep(_SETTLE)
        grown = await asyncio.to_thread(_stored, folder) - before
    return [reported("disk, both sides, an exchange of 10 kB", [grown / _EXCHANGES / _KB], "kB")]


def _stored(folder: Path) -> int:
    files = (each for each in folder.rglob("*") if "pg_wal" not in each.parts and each.is_file())
    return sum(each.stat().st_size for each in files)
