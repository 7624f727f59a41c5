"""Each dependency broken for a while, to see what is logged for the operator and what recovers by itself.

There is no floor: faults that are not reported, do not recover or lose something are counted, and must be 0.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from tests.interop.s3.gateway import gateway
from tests.roles.breaking import Broke, Seen, all_broken, ground
from tests.roles.ownrestarts import Layout

from bench.measure import Row, reported
from samdrift.contracts.messages import MessageStatus
from samdrift.federation.server import running
from samdrift.installation.loop import run

_SECONDS = 60.0
_PATIENCE = 420.0
"""Seconds to wait for recovery: interrupted work is resumed when its lease ends, after five minutes."""
_SHOWN = 40
"""Maximum number of distinct log lines that are printed for each fault."""


def rows(
    names: Sequence[str] | None,
    seconds: float | None,
    seed: int | None,
    layout: str | None,
    bucket: bool = False,
) -> list[Row]:
    """Break the named dependencies, or all, for ``seconds`` each; report what happened on standard error.

    With ``bucket`` bodies are in a bucket of an S3 server, which is broken instead of a folder.
    """
    seed = random.randrange(1 << 32) if seed is None else seed
    chosen = Layout.SHARED if layout is None else Layout[layout.upper()]
    _say(f"seed {seed}, {chosen}")
    with tempfile.TemporaryDirectory(prefix="samdrift-faults-") as folder:
        found = run(_broken(Path(folder), chosen, names or (), seconds or _SECONDS, seed, bucket))
    for text in found.faults:
        _say(f"FAULT {text}")
    for told, number in found.ended.most_common():
        _say(f"{number} times {told}")
    rows = []
    for each in found.seen:
        rows += [
            reported(f"{each.fault}: known", [each.known], "s"),
            reported(f"{each.fault}: back", [each.back], "s"),
            reported(f"{each.fault}: lines", [len(each.lines)], ""),
        ]
    received, sent = found.ended[MessageStatus.ACCEPTED.value], found.ended.total()
    return [
        *rows,
        reported("messages accepted", [sent], ""),
        reported("ended with a receipt", [received], ""),
        reported("faults", [len(found.faults)], "", bar=0.0),
    ]


async def _broken(
    folder: Path, layout: Layout, names: Sequence[str], seconds: float, seed: int, bucket: bool
) -> Broke:
    with gateway(folder / "s3") if bucket else nullcontext() as store:
        async with (
            running(folder / "federation") as federation,
            ground(federation, folder, layout, _PATIENCE, store) as there,
        ):
            return await all_broken(there, names, seconds, random.Random(seed), _report)


def _report(seen: Seen) -> None:
    times = f"known after {seen.known:.0f} s, back after {seen.back:.0f} s"
    _say(f"{seen.fault}: {times}, metric {seen.metric:.0f}")
    _say(f"  status  {seen.status}")
    _say(f"  doctor  {seen.doctor}")
    for told, number in seen.answers.most_common():
        _say(f"  calls   {number} times {told}")
    different = Counter(seen.lines)
    for line, number in list(different.items())[:_SHOWN]:
        _say(f"  log     {line}" + (f" ({number} times)" if number > 1 else ""))
    if len(different) > _SHOWN:
        _say(f"  log     and {len(different) - _SHOWN} others")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
