"""Linter, formatter and type checker over the whole project, which run in parallel with a whole test run.

They start with the run, and their test, which comes late, reads the results.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECKS = ("ruff check . samdrift", "ruff format --check . samdrift", "mypy")

_FOLDER = "SAMDRIFT_TESTS_CHECKS"
"""Environment variable with the folder of the results if the checks run in parallel with the tests."""
_WITHIN = 1200.0
_SCRIPT = 'at=$1; shift; "$@" > $at/output 2>&1; echo $? > $at/draft; mv $at/draft $at/status'


def begin(folder: Path) -> None:
    """Start every check, with its result in ``folder``."""
    for check in CHECKS:
        at = _at(folder, check)
        at.mkdir(parents=True)
        subprocess.Popen(["sh", "-c", _SCRIPT, "sh", at, *_command(check)], cwd=ROOT)
    os.environ[_FOLDER] = str(folder)


def result(check: str) -> tuple[int, str]:
    """Return the status and output of a check, which is run now unless it has been started already."""
    if _FOLDER not in os.environ:
        ran = subprocess.run(_command(check), cwd=ROOT, capture_output=True, text=True)
        return ran.returncode, ran.stdout + ran.stderr
    at = _at(Path(os.environ[_FOLDER]), check)
    end = time.monotonic() + _WITHIN
    while not (at / "status").exists():
        assert time.monotonic() < end, f"{check} has not ended"
        time.sleep(0.05)
    return int((at / "status").read_text()), (at / "output").read_text()


def _command(check: str) -> list[str]:
    tool, *arguments = check.split()
    return [sys.executable, "-m", tool, *arguments]


def _at(folder: Path, check: str) -> Path:
    return folder / str(CHECKS.index(check))
