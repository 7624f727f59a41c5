"""Runs tests on mutants that come on standard input; the working folder is a copy of the checkout.

One process has imported what the tests need of others, and forks for each run: to
start Python and these libraries anew would take longer than most tests. Nothing of
the project is imported before the fork. A run has a limit of processor time, so that
it does not matter how busy the machine is, and a generous one of time.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
from enum import StrEnum
from pathlib import Path

_LIBRARIES = (
    *(
        "aiohttp",
        "cryptography.x509",
        "hypothesis",
        "httpx",
        "ijson",
        "joserfc.jwt",
        "lxml.etree",
        "nacl.signing",
    ),
    *("obstore", "prometheus_client", "psycopg", "pyhanko_certvalidator", "pytest", "pytest_asyncio", "rich"),
    *("starlette.applications", "typer", "uvicorn", "uvloop"),
)
_MOST = 600
"""Limit of processor seconds of tests on the unchanged code."""
_LEAST, _TIMES = 30, 4
"""The limit on a mutant: so many times what the unchanged code took, and these seconds at least."""
_SECONDS = 1800
_OUTPUT = Path("output-of-the-tests")
_FAILED = (1, 2, 3, 4)
"""Exit codes of pytest where a test failed, or what it imports; the unchanged code has passed before."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"
    """Killed as well: its tests did not come to an end."""


class Stage:
    """Tests that run together; they have passed on the unchanged code, which gives their limit."""

    def __init__(self, tests: tuple[str, ...]) -> None:
        self._tests = tests
        fate, used = _forked(tests, _MOST)
        if fate is not Fate.SURVIVED:
            said = _OUTPUT.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"on the unchanged code: {fate}: {' '.join(tests)}\n{said}")
        self._limit = max(_LEAST, int(used * _TIMES))

    def run(self) -> Fate:
        """Run the tests until the first failure."""
        return _forked(self._tests, self._limit)[0]


def _forked(tests: tuple[str, ...], limit: int) -> tuple[Fate, float]:
    """Run tests in a process of their own; returns the processor time in seconds too."""
    child = os.fork()
    if child == 0:
        _run_and_exit(tests, limit)
    ends = time.monotonic() + _SECONDS
    done, status, usage = os.wait4(child, os.WNOHANG)
    while not done and time.monotonic() < ends:
        time.sleep(0.05)
        done, status, usage = os.wait4(child, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not done:
        _, status, usage = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        return Fate.TIMED_OUT, usage.ru_utime + usage.ru_stime
    code = os.WEXITSTATUS(status)
    if code not in (0, *_FAILED):
        raise RuntimeError(f"pytest ended with {code}: {' '.join(tests)}")
    return Fate.KILLED if code else Fate.SURVIVED, usage.ru_utime + usage.ru_stime


def _run_and_exit(tests: tuple[str, ...], limit: int) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(_OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    import pytest

    options = ("-x", "-q", "-p", "no:cacheprovider")
    try:
        status = int(pytest.main([*options, *tests]))
    except BaseException:
        status = 1
    os._exit(status)


def main() -> None:
    sys.dont_write_bytecode = True
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    stages: dict[tuple[str, ...], Stage] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        file = Path("src/samdrift") / asked["file"]
        kept, fate, begun = file.read_bytes(), Fate.SURVIVED, time.monotonic()
        for tests in map(tuple, asked["stages"]):
            if tests not in stages:
                stages[tests] = Stage(tests)
            file.write_text(asked["code"])
            fate = stages[tests].run()
            file.write_bytes(kept)
            if fate is not Fate.SURVIVED:
                break
        print(json.dumps({"fate": fate, "seconds": round(time.monotonic() - begun, 1)}), flush=True)


if __name__ == "__main__":
    main()
