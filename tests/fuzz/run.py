"""Fuzz targets, each in a process of its own: `python -m tests.fuzz.run TARGET ...`, see README.md."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from samdrift.bootstrap.environment import Environment
from tests.fuzz.targets import TARGETS

_HERE = Path(__file__).parent
_CHECKOUT = _HERE.parents[1]
_ATHERIS = _CHECKOUT / ".venv-fuzz"
_LONGEST_INPUT = 32 << 10
_MOST_SECONDS = 10
_MOST_MEGABYTES = 700
"""Memory limit of the process, of which Python, libraries and coverage use some 200 MB."""

_BOUNDS = (f"-timeout={_MOST_SECONDS}", f"-rss_limit_mb={_MOST_MEGABYTES}")


@dataclass(frozen=True)
class Outcome:
    """Result of a run; ``input`` is the input that revealed a fault."""

    good: bool
    output: str
    input: bytes | None


def install() -> None:
    """Install atheris if necessary; raise ``EnvironmentFailure`` if it has no wheel for this Python."""
    Environment(_ATHERIS, _HERE / "requirements.lock").ensure()


def fuzz(names: Collection[str], runs: int, seed: int, at_once: int = 1) -> dict[str, Outcome]:
    """Run each target with a number of inputs, stopping at the first fault."""
    options = (f"-runs={runs}", f"-seed={seed}", f"-max_len={_LONGEST_INPUT}", "-print_final_stats=1")
    return _run(names, options, at_once)


def once(name: str, file: Path) -> Outcome:
    """Run a target with one input."""
    return _run([name], [str(file.resolve())], 1)[name]


def _run(names: Collection[str], options: Sequence[str], at_once: int) -> dict[str, Outcome]:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        for name in names:
            (place / name).mkdir()
        subprocess.run(
            [sys.executable, "-m", "tests.fuzz.fuzzer", str(at_once), place, *_BOUNDS, *options],
            cwd=_CHECKOUT,
            env={**os.environ, "PYTHONPATH": str(_packages())},
            check=True,
        )
        return {name: _outcome(place / name) for name in names}


def _outcome(folder: Path) -> Outcome:
    found = next((file.read_bytes() for file in (folder / "faults").iterdir()), None)
    output = (folder / "output").read_text(errors="replace")
    return Outcome((folder / "status").read_text() == "0", output, found)


def _packages() -> Path:
    (packages,) = _ATHERIS.glob("lib/python*/site-packages")
    return packages


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1, 1 << 31))
    parser.add_argument("--input", type=Path, help="a file with the one input to give")
    asked = parser.parse_args()
    install()
    if asked.input is not None:
        outcome = once(asked.target, asked.input)
    else:
        print(f"{asked.target}: {asked.runs} inputs, seed {asked.seed}", flush=True)
        outcome = fuzz([asked.target], asked.runs, asked.seed)[asked.target]
    print(outcome.output[-4000:])
    if outcome.input is not None and asked.input is None:
        kept = Path(tempfile.mkdtemp(prefix="samdrift-fuzz-")) / asked.target
        kept.write_bytes(outcome.input)
        print(f"the input that it failed on: {kept}")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
