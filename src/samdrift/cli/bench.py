"""`samdrift bench`: how much more than the bare cryptography the work takes, measured in one run.

`bench soak` measures nothing: it counts what is lost under kill -9, and fails when that is not nothing.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from samdrift.config.errors import Unusable

app = typer.Typer(add_completion=False)
_CHECKOUT = Path(__file__).parents[3]
_SOAK = "soak"
_ORGANISATIONS = "organisations"
_BACKLOG = "backlog"
_HOSTS = "hosts"
_WORKERS = "workers"
_ROLLING = "rolling"
_EXCHANGES = 1000
_PLAYED = ("exchange", "isolation", "neighbour", _BACKLOG, _ROLLING, _SOAK)
"""Benchmarks that play operators and peers as the tests do, and need what these need."""
_BENCHES = (
    "wire",
    "exchange",
    "large",
    _ORGANISATIONS,
    "isolation",
    "neighbour",
    _BACKLOG,
    _WORKERS,
    _HOSTS,
    _ROLLING,
    "statements",
    "log",
    "web",
    _SOAK,
)


@app.command()
def bench(
    name: Annotated[
        str,
        typer.Argument(help=f"{', '.join(_BENCHES[:-1])} or {_SOAK}."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    exchanges: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"For soak and hosts: how many, {_EXCHANGES} by default. For rolling: 100 of each layout."
            " For organisations: 300 a round.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="For soak, hosts and rolling: the seed of the random choices.")
    ] = None,
    organisations: Annotated[
        list[int] | None,
        typer.Option(min=2, help="For organisations: how many; may be repeated. 3, 30 and 300 by default."),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="For organisations and workers: warm rounds, 3 by default. For backlog: rounds, 5.",
        ),
    ] = None,
    idle_seconds: Annotated[
        float | None, typer.Option(min=1, help="For organisations: time without traffic, 600 by default.")
    ] = None,
    waiting: Annotated[
        int | None,
        typer.Option(min=1000, help="For backlog: messages of the large one, 10000 by default."),
    ] = None,
) -> int:
    """Measure floor and work in turn, and print medians, spreads and the ratio."""
    if name not in _BENCHES:
        raise Unusable(f"no such benchmark; there are {', '.join(_BENCHES)}")
    given = {
        "--exchanges": (exchanges, (_SOAK, _HOSTS, _ROLLING, _ORGANISATIONS)),
        "--seed": (seed, (_SOAK, _HOSTS, _ROLLING)),
        "--organisations": (organisations, (_ORGANISATIONS,)),
        "--rounds": (rounds, (_ORGANISATIONS, _BACKLOG, _WORKERS)),
        "--idle-seconds": (idle_seconds, (_ORGANISATIONS,)),
        "--waiting": (waiting, (_BACKLOG,)),
    }
    for option, (value, whose) in given.items():
        if value is not None and name not in whose:
            raise Unusable(f"{option} is not for {name}, but for {' and '.join(whose)}")
    if not (_CHECKOUT / "bench" / "__main__.py").is_file():
        raise Unusable("benchmarks run from a checkout of the project")
    if name in _PLAYED and find_spec("pytest") is None:
        raise Unusable(f"{name} needs what only tests need; ./samdrift test --collect-only installs it")
    command = [sys.executable, "-m", "bench", name]
    if as_json:
        command += ["--json"]
    if name == _SOAK:
        command += ["--exchanges", str(exchanges or _EXCHANGES)]
    elif exchanges is not None:
        command += ["--exchanges", str(exchanges)]
    for option, value in (
        ("--seed", seed),
        ("--rounds", rounds),
        ("--idle-seconds", idle_seconds),
        ("--waiting", waiting),
    ):
        command += [] if value is None else [option, str(value)]
    command += ["--organisations", *map(str, organisations)] if organisations else []
    return subprocess.run(command, cwd=_CHECKOUT, check=False).returncode
