"""`samdrift bench`: how much more than the bare cryptography the work takes, measured in one run.

`bench soak` measures nothing: it counts what is lost under kill -9, and fails when that is not nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from samdrift.config.errors import Unusable

app = typer.Typer(add_completion=False)
_CHECKOUT = Path(__file__).parents[3]
_SOAK = "soak"
_EXCHANGES = 1000
_BENCHES = ("wire", "exchange", "large", "isolation", "neighbour", "log", _SOAK)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="wire, exchange, large, isolation, neighbour, log or soak.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    exchanges: Annotated[
        int | None, typer.Option(min=1, help=f"For soak: how many; {_EXCHANGES} by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For soak: the seed of the random choices.")] = None,
) -> int:
    """Measure floor and work in turn, and print medians, spreads and the ratio."""
    if name not in _BENCHES:
        raise Unusable(f"no such benchmark; there are {', '.join(_BENCHES)}")
    if name != _SOAK and (exchanges, seed) != (None, None):
        raise Unusable("--exchanges and --seed are for soak alone")
    if not (_CHECKOUT / "bench" / "__main__.py").is_file():
        raise Unusable("benchmarks run from a checkout of the project")
    command = [sys.executable, "-m", "bench", name]
    if as_json:
        command += ["--json"]
    if name == _SOAK:
        command += ["--exchanges", str(exchanges or _EXCHANGES)]
        command += [] if seed is None else ["--seed", str(seed)]
    return subprocess.run(command, cwd=_CHECKOUT, check=False).returncode
