"""Run mutants: ``python -m tests.separation.mutation.run [WORD...]``; without words of a guard, all of them.

Each guard is removed from a copy of the checkout, and its tests run there. A mutant is killed when an
assertion fails. It has survived when its tests pass, and it proves nothing when it merely breaks them. The
exit status is 0 when all mutants were killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from xml.etree import ElementTree

from tests.separation.mutation.mutant import ROOT, Mutant, everything

MUTANTS = tuple(everything())
_COPIED = ("src", "tests", "pyproject.toml")
_ASSERTED = ("AssertionError", "assert ", "Failed: ", "TimeoutError")
"""Beginnings of pytest's message when an assertion failed, or when an expected exception was not raised.

Tests wait at least a minute for what they expect, so one that waits in vain has failed, too.
"""
_WITHIN = 600.0
"""Seconds after which a mutant's tests are ended, as when a mutated program never stops."""


class Fate(StrEnum):
    """Outcome of a mutant's tests."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"
    """The tests could not run, or did not end in time, so nothing is known about the guard."""


@contextmanager
def copy() -> Iterator[Path]:
    """Copy the code and its tests to a temporary folder, and yield it."""
    with tempfile.TemporaryDirectory(prefix="samdrift-mutant-") as name:
        folder = Path(name)
        for each in _COPIED:
            if (ROOT / each).is_dir():
                shutil.copytree(ROOT / each, folder / each, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / each, folder / each)
        yield folder


def fate(mutant: Mutant, folder: Path) -> Fate:
    """Run the mutant's tests without its guard, and put the guard back."""
    file = mutant.file(folder)
    whole = file.read_text()
    file.write_text(mutant.changed(folder))
    try:
        return _tested(mutant.tests, folder)
    finally:
        file.write_text(whole)


def _tested(tests: Sequence[str], folder: Path) -> Fate:
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-P", "-m", "pytest", "-q", "--maxfail=1", f"--junitxml={report}", *tests]
    if not _ended(command, folder) or not report.exists():
        return Fate.BROKEN
    cases = ElementTree.parse(report).getroot().iter("testcase")
    outcomes = [(case.find("failure"), case.find("error")) for case in cases]
    told = [failure.get("message", "") for failure, _ in outcomes if failure is not None]
    if any(message.startswith(_ASSERTED) for message in told):
        return Fate.KILLED
    if told or not outcomes or any(error is not None for _, error in outcomes):
        return Fate.BROKEN
    return Fate.SURVIVED


def _ended(command: Sequence[str], folder: Path) -> bool:
    """Run pytest in a process group of its own; kill the group and return false if it does not end in time.

    Its databases run in other groups. The test run's :class:`tests.leftovers.Cleaner` outlives it, ends them
    and removes the run's folder.
    """
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'src'}:{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            process.wait(_WITHIN)
        except subprocess.TimeoutExpired:
            return False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return True


def main(words: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that the tests of the moment end as well.
    wanted = [mutant for mutant in MUTANTS if all(word in mutant.guard for word in words)]
    began, alive = time.monotonic(), 0
    with copy() as folder:
        for mutant in wanted:
            since = time.monotonic()
            found = fate(mutant, folder)
            alive += found is not Fate.KILLED
            print(f"{found:9} {time.monotonic() - since:5.1f} s  {mutant.guard}", flush=True)
    killed = len(wanted) - alive
    print(f"{killed} of {len(wanted)} mutants killed in {time.monotonic() - began:.0f} s")
    return 1 if alive or not wanted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
