"""Command ``python -m bench NAME``, which prints one benchmark's rows as text or JSON.

It is started by ``./samdrift bench``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib import import_module
from typing import Any

from bench import backlog, organisations
from samdrift.config.model import FederationConfig

_SOAK = "soak"
_RESTARTS = "restarts"
_FAULTS = "faults"
_HOSTS = "hosts"
_ROLLING = "rolling"
_WORKERS = "workers"
_TRAFFIC = "neighbour_traffic"
_ORGANISATIONS = "organisations"
_ISOLATION = "isolation"
_BACKLOG = "backlog"
_ASKING = ("exchange", "large", _ISOLATION, _ORGANISATIONS, _BACKLOG)
"""Benchmarks that query shared services, as an installation with the defaults does."""
KEPT = {
    each.name.removesuffix("_seconds"): each.default
    for each in fields(FederationConfig)
    if each.name in ("metadata_seconds", "verdict_seconds", "revocation_seconds")
}
"""Seconds for which answers of shared services are cached (component-accesspoint 3.1.3 c)."""


def main(arguments: Sequence[str]) -> int:
    """Run a benchmark and print its rows.

    Return 1 if a benchmark that counts losses or other faults found any, 0 otherwise.
    """
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("name")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--exchanges", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--organisations", type=int, nargs="+")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--idle-seconds", type=float)
    parser.add_argument("--waiting", type=int)
    parser.add_argument("--seconds", type=float, help="for faults: how long each lasts once it is known")
    parser.add_argument(
        "--only",
        nargs="+",
        help="for faults and neighbour_traffic: those whose names have one of these words",
    )
    parser.add_argument(
        "--layout",
        choices=["shared", "workers", "process"],
        help="for faults and restarts: the processes that run",
    )
    parser.add_argument("--bucket", action="store_true", help="for faults: bodies are in a bucket (S3)")
    given = parser.parse_args(arguments)
    rows = [asdict(row) for row in import_module(f"bench.{given.name}").rows(*_asked(given))]
    if given.json:
        kept = {"kept_seconds": KEPT} if given.name in _ASKING else {}
        print(json.dumps({"rows": rows} | kept, ensure_ascii=False, indent=2))
    else:
        for row in rows:
            print(_line(row))
        if given.name in _ASKING:
            print("kept, in seconds: " + ", ".join(f"{name} {value}" for name, value in KEPT.items()))
    return (
        1
        if given.name in (_SOAK, _RESTARTS, _HOSTS, _ROLLING, _FAULTS)
        and any(row["reached"] is False for row in rows)
        else 0
    )


def _asked(given: argparse.Namespace) -> tuple[object, ...]:
    """Return the arguments for the benchmark's ``rows``; empty if it accepts none."""
    if given.name in (_SOAK, _HOSTS, _ROLLING):
        return given.exchanges, given.seed
    if given.name == _FAULTS:
        return given.only, given.seconds, given.seed, given.layout, given.bucket
    if given.name == _TRAFFIC:
        return (given.only,)
    if given.name == _RESTARTS:
        return given.layout, given.rounds, given.seed
    if given.name == _WORKERS:
        return (given.rounds,)
    if given.name == _ISOLATION:
        return given.organisations, given.idle_seconds
    if given.name == _ORGANISATIONS:
        options = {
            "numbers": given.organisations and tuple(given.organisations),
            "exchanges": given.exchanges,
            "rounds": given.rounds,
            "idle_seconds": given.idle_seconds,
        }
        return (organisations.Options(**_given(options)),)
    if given.name == _BACKLOG:
        return (backlog.Options(**_given({"waiting": given.waiting, "rounds": given.rounds})),)
    return ()


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _line(row: dict[str, Any]) -> str:
    if row["ratio"] is None:
        bar = f"  bar {row['bar']:.2f} {_reached(row)}" if row["bar"] is not None else ""
        return f"{row['name']:<36} {row['work']:>9.3f} {row['unit']}{bar}"
    return (
        f"{row['name']:<36} floor {row['floor']:.3f}{_range(row['floor_spread'])}"
        f"  work {row['work']:.3f}{_range(row['work_spread'])} {row['unit']}"
        f"  ratio {row['ratio']:.2f}{_range(row['ratio_spread'])}  bar {row['bar']:.2f} {_reached(row)}"
    )


def _reached(row: dict[str, Any]) -> str:
    return "reached" if row["reached"] else "not reached"


def _range(spread: dict[str, float]) -> str:
    return f" ({spread['minimum']:.3f} to {spread['maximum']:.3f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
