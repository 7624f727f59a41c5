"""Own restarts under traffic, in one process and in several: counts lost messages and wasted attempts.

Both counts must be 0. One of two operators is stopped, killed, restarted one process after the other, and
loses workers by kill -9, also during a restart, while systems of its organisations and of another operator's
send through interface D (:mod:`tests.roles.ownrestarts`).
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.roles.ownrestarts import Layout, Survived, survived

from bench.measure import Row, reported
from samdrift.contracts.messages import MessageStatus
from samdrift.federation.server import running
from samdrift.installation.loop import run

_RESTARTS = 20
_PATIENCE = 600.0


def rows(layout: str | None, restarts: int | None, seed: int | None) -> list[Row]:
    """Restart that many times in one layout or in each; print seed, restarts and faults on standard error."""
    seed = random.randrange(1 << 32) if seed is None else seed
    _report(f"seed {seed}")
    found = []
    for each in Layout if layout is None else [Layout[layout.upper()]]:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="samdrift-restarts-") as folder:
            report = run(_restarted(Path(folder), each, restarts or _RESTARTS, seed))
        for fault in report.faults:
            _report(f"FAULT {fault}")
        for told, number in [*report.answers.most_common(), *report.ended.most_common()]:
            _report(f"{each}: {number} times {told}")
        found += [*_counted(each, report), reported(f"{each}: time", [time.monotonic() - began], "s")]
    return found


def _counted(layout: Layout, report: Survived) -> list[Row]:
    kinds = Counter(fault.partition(":")[0] for fault in report.faults)
    received, sent = report.ended[MessageStatus.ACCEPTED.value], report.ended.total()
    others = sum(kinds.values()) - kinds["lost"] - kinds["twice"]
    return [
        *(reported(f"{layout}: {name}", [number], "times") for name, number in report.restarts.items()),
        reported(f"{layout}: messages accepted", [sent], ""),
        reported(f"{layout}: ended with a receipt", [received], ""),
        reported(f"{layout}: ended otherwise", [sent - received], "", bar=0.0),
        reported(f"{layout}: lost", [kinds["lost"]], "", bar=0.0),
        reported(f"{layout}: twice", [kinds["twice"]], "", bar=0.0),
        reported(f"{layout}: changed, left or refused", [others], "", bar=0.0),
        reported(f"{layout}: attempts spent", [report.spent], "", bar=0.0),
    ]


async def _restarted(folder: Path, layout: Layout, restarts: int, seed: int) -> Survived:
    async with running(folder / "federation") as federation:
        return await survived(federation, layout, restarts, random.Random(seed), _PATIENCE, _report)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
