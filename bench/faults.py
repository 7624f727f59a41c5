"""Each dependency broken for a while: what whoever was woken reads, and what comes back by itself.

Nothing is measured against a floor: what is not said, does not come back or is lost is counted, and is none.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.roles.breaking import Seen, all_broken, ground

from bench.measure import Row, reported
from samdrift.federation.server import running
from samdrift.installation.loop import run

_SECONDS = 60.0
_PATIENCE = 180.0
_SHOWN = 6
"""Lines of the log of each fault that are printed."""


def rows(names: Sequence[str] | None, seconds: float | None, seed: int | None) -> list[Row]:
    """Break what is named, or everything, for so long each; what each showed is on standard error."""
    seed = random.randrange(1 << 32) if seed is None else seed
    _say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="samdrift-faults-") as folder:
        seen, faults, exchanges = run(_broken(Path(folder), names or (), seconds or _SECONDS, seed))
    for text in faults:
        _say(f"FAULT {text}")
    found = []
    for each in seen:
        found += [
            reported(f"{each.fault}: known", [each.known], "s"),
            reported(f"{each.fault}: back", [each.back], "s"),
            reported(f"{each.fault}: lines", [len(each.lines)], ""),
        ]
    return [
        *found,
        reported("exchanges", [exchanges], ""),
        reported("faults", [len(faults)], "", bar=0.0),
    ]


async def _broken(
    folder: Path, names: Sequence[str], seconds: float, seed: int
) -> tuple[list[Seen], list[str], int]:
    async with (
        running(folder / "federation") as federation,
        ground(federation, folder, _PATIENCE) as there,
    ):
        return await all_broken(there, names, seconds, random.Random(seed), _report)


def _report(seen: Seen) -> None:
    times = f"known after {seen.known:.0f} s, back after {seen.back:.0f} s"
    _say(f"{seen.fault}: {times}, metric {seen.metric:.0f}")
    _say(f"  status  {seen.status}")
    for line in seen.lines[:_SHOWN]:
        _say(f"  log     {line}")
    if len(seen.lines) > _SHOWN:
        _say(f"  log     and {len(seen.lines) - _SHOWN} lines more")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
