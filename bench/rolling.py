"""A rolling upgrade of two hosts from an earlier commit: counts messages that are lost or arrive twice.

Both versions serve at the same time under traffic (:mod:`tests.upgrade.rolling`), as hosts that serve all
roles, and as a host for each role.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from tests.upgrade.rolling import FORMER, Rolled, program_of, rolled

from bench.measure import Row, reported
from samdrift.federation.server import running
from samdrift.installation.loop import run

_EXCHANGES = 100
_STATES = 5
"""Number of states of the hosts; the same number of messages is accepted in each."""
_PATIENCE = 600.0
_LAYOUTS = ("all", "all"), ("ap", "mt"), ("mt", "ap")


def rows(exchanges: int | None, seed: int | None) -> list[Row]:
    """Exchange that many messages in each layout; print the seed, steps and every fault on standard error."""
    seed = random.randrange(1 << 32) if seed is None else seed
    _say(f"seed {seed}")
    found = list[Row]()
    with tempfile.TemporaryDirectory(prefix="samdrift-rolling-") as name:
        sources = program_of(FORMER, Path(name))
        for which in _LAYOUTS:
            one = run(_run(Path(name), sources, exchanges or _EXCHANGES, seed, which))
            for fault in (*one.faults, *one.alarming):
                _say(fault)
            layout = " and ".join(which)
            found += [
                reported(f"{layout}: exchanges", [one.exchanges], ""),
                reported(f"{layout}: while both versions served", [one.beside], ""),
                reported(f"{layout}: faults", [len(one.faults)], "", bar=0.0),
                reported(f"{layout}: errors in the logs", [len(one.alarming)], "", bar=0.0),
            ]
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _run(folder: Path, sources: Path, exchanges: int, seed: int, which: tuple[str, str]) -> Rolled:
    async with running(folder / f"federation-{which[0]}") as federation:
        each = max(1, exchanges // _STATES)
        return await rolled(federation, sources, random.Random(seed), each, _PATIENCE, which, _say)
