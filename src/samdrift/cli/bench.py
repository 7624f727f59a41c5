"""`samdrift bench`: the cost of the work relative to the bare cryptography, measured in one run.

`bench soak`, `restarts` and `faults` measure nothing: they count losses under kill -9, restarts and outages,
and fail if there are any.
"""

from __future__ import annotations

import subprocess
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.config.errors import Unusable

app = typer.Typer(add_completion=False)
_CHECKOUT = Path(__file__).parents[3]
_SOAK = "soak"
_ORGANISATIONS = "organisations"
_ISOLATION = "isolation"
_BACKLOG = "backlog"
_HOSTS = "hosts"
_WORKERS = "workers"
_ROLLING = "rolling"
_RESTARTS = "restarts"
_FAULTS = "faults"
_EXCHANGES = 1000
_PLAYED = ("exchange", _ISOLATION, "neighbour", _BACKLOG, _ROLLING, _RESTARTS, _FAULTS, _SOAK)
"""Benchmarks that run operators and peers as the tests do, and need the same packages."""
_BENCHES = (
    "wire",
    "exchange",
    "large",
    _ORGANISATIONS,
    _ISOLATION,
    "neighbour",
    _BACKLOG,
    _WORKERS,
    _HOSTS,
    _ROLLING,
    _RESTARTS,
    _FAULTS,
    "statements",
    "log",
    "web",
    _SOAK,
)
_TAKE = {
    "--exchanges": (_SOAK, _HOSTS, _ROLLING, _ORGANISATIONS),
    "--seed": (_SOAK, _HOSTS, _ROLLING, _RESTARTS, _FAULTS),
    "--rounds": (_ORGANISATIONS, _BACKLOG, _WORKERS, _RESTARTS),
    "--idle-seconds": (_ORGANISATIONS, _ISOLATION),
    "--waiting": (_BACKLOG,),
    "--seconds": (_FAULTS,),
    "--layout": (_RESTARTS, _FAULTS),
    "--organisations": (_ORGANISATIONS, _ISOLATION),
    "--only": (_FAULTS,),
    "--bucket": (_FAULTS,),
}
"""Benchmarks that accept each option."""
_BUCKET = typer.Option(
    "--bucket", help="For faults: bodies are in a bucket (S3), broken in place of a folder."
)
Given = dict[str, Any]
"""Options as given on the command line, ``None`` for those that were not."""


class Layout(StrEnum):
    """The processes of a tested installation: one, several workers, or one for each role."""

    SHARED = "shared"
    WORKERS = "workers"
    PROCESS = "process"


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
        int | None,
        typer.Option(help="For soak, hosts, rolling, restarts and faults: the seed of the random choices."),
    ] = None,
    organisations: Annotated[
        list[int] | None,
        typer.Option(
            min=2,
            help="For organisations: how many; may be repeated. 3, 30 and 300 by default."
            " For isolation: 3 and 12.",
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="For organisations and workers: warm rounds, 3 by default. For backlog: rounds, 5."
            " For restarts: how many of each layout, 20.",
        ),
    ] = None,
    idle_seconds: Annotated[
        float | None,
        typer.Option(
            min=1, help="For organisations: time without traffic, 1800 by default. For isolation: 120."
        ),
    ] = None,
    waiting: Annotated[
        int | None,
        typer.Option(min=1000, help="For backlog: messages of the large one, 10000 by default."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="For faults: how long each lasts once it is known, 60.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="For faults: those whose names have this word; may be repeated. All by default."),
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option(help="For restarts and faults: the processes that run. By default each, and shared."),
    ] = None,
    bucket: Annotated[bool, _BUCKET] = False,
) -> int:
    """Measure the bare cryptography and the work in turn, and print medians, spreads and the ratio."""
    if name not in _BENCHES:
        raise Unusable(f"no such benchmark; there are {', '.join(_BENCHES)}")
    given: Given = {
        "--exchanges": exchanges,
        "--seed": seed,
        "--rounds": rounds,
        "--idle-seconds": idle_seconds,
        "--waiting": waiting,
        "--seconds": seconds,
        "--layout": layout,
        "--organisations": organisations,
        "--only": only,
        "--bucket": bucket or None,
    }
    _require(name, given)
    if name == _SOAK and exchanges is None:
        given["--exchanges"] = _EXCHANGES
    command = [sys.executable, "-m", "bench", name, *(["--json"] if as_json else []), *_arguments(given)]
    return subprocess.run(command, cwd=_CHECKOUT, check=False).returncode


def _arguments(given: Given) -> list[str]:
    """Return options as command-line arguments; a flag has no value, and a list repeats its option."""
    arguments: list[str] = []
    for option, value in given.items():
        values = value if isinstance(value, list) else [] if value is True else [value]
        arguments += [] if value is None else [option, *map(str, values)]
    return arguments


def _require(name: str, given: Given) -> None:
    """Raise :class:`Unusable` for options that a benchmark does not accept, and if it cannot run."""
    for option, value in given.items():
        if value is not None and name not in (whose := _TAKE[option]):
            raise Unusable(f"{option} is not for {name}, but for {' and '.join(whose)}")
    if given["--bucket"] and given["--layout"] is Layout.PROCESS:
        raise Unusable(
            "--bucket is not for level process, where each process would have the key to all bodies"
        )
    if not (_CHECKOUT / "bench" / "__main__.py").is_file():
        raise Unusable("benchmarks run from a checkout of the project")
    if name in _PLAYED and find_spec("pytest") is None:
        raise Unusable(f"{name} needs what only tests need; ./samdrift test --collect-only installs it")
