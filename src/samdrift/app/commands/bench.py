"""`samdrift bench`: how much more than the bare cryptography the work takes, measured in one run.

`bench soak` measures nothing: it counts what is lost under kill -9, and fails when that is not nothing.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.app.errors import Unusable
from samdrift.app.output import print_json

app = typer.Typer(add_completion=False)
_CHECKOUT = Path(__file__).parents[4]
_SOAK = "soak"
_EXCHANGES = 1000
_BENCHES = {name: f"bench.{name}" for name in ("wire", "exchange", "large", "isolation")}


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="wire, exchange, large, isolation or soak.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    exchanges: Annotated[
        int | None, typer.Option(min=1, help=f"For soak: how many; {_EXCHANGES} unless told.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For soak: what chance begins with.")] = None,
) -> int:
    """Measure floor and work in turn, and print medians, spreads and the ratio."""
    if name not in (*_BENCHES, _SOAK):
        raise Unusable(f"no such benchmark; there are {', '.join((*_BENCHES, _SOAK))}")
    if name != _SOAK and (exchanges, seed) != (None, None):
        raise Unusable("--exchanges and --seed are for soak alone")
    sys.path.insert(0, str(_CHECKOUT))
    if find_spec("bench") is None:
        raise Unusable("benchmarks run from a checkout of the project")
    if name == _SOAK:
        found = import_module("bench.soak").rows(exchanges or _EXCHANGES, seed)
    else:
        found = import_module(_BENCHES[name]).rows()
    rows = [asdict(row) for row in found]
    if as_json:
        print_json({"rows": rows})
    else:
        for row in rows:
            _print(row)
    return 1 if name == _SOAK and any(row["reached"] is False for row in rows) else 0


def _print(row: dict[str, Any]) -> None:
    if row["ratio"] is None:
        bar = f"  bar {row['bar']:.2f} {_reached(row)}" if row["bar"] is not None else ""
        typer.echo(f"{row['name']:<36} {row['work']:>9.3f} {row['unit']}{bar}")
        return
    bar = f"bar {row['bar']:.2f} {_reached(row)}"
    typer.echo(
        f"{row['name']:<36} floor {row['floor']:.3f}{_range(row['floor_spread'])}"
        f"  work {row['work']:.3f}{_range(row['work_spread'])} {row['unit']}"
        f"  ratio {row['ratio']:.2f}{_range(row['ratio_spread'])}  {bar}"
    )


def _reached(row: dict[str, Any]) -> str:
    return "reached" if row["reached"] else "not reached"


def _range(spread: dict[str, float]) -> str:
    return f" ({spread['minimum']:.3f} to {spread['maximum']:.3f})"
