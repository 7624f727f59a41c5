"""Runs tests on mutants that come on standard input; the working folder is a copy of the checkout.

One process has imported what the tests need of others, and forks for each run: to
start Python and these libraries anew would take longer than most tests. Nothing of
the project is imported before the fork. A run has a limit of processor time, so that
it does not matter how busy the machine is, and a generous one of time.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.covering import SETTINGS, Passed

_LIBRARIES = (
    *(
        "aiohttp",
        "anyio.pytest_plugin",
        "asn1crypto.x509",
        "cryptography.x509",
        "hypothesis",
        "httpx",
        "ijson",
    ),
    *("joserfc.jwt", "lxml.etree", "nacl.signing", "obstore", "pkcs11", "prometheus_client", "psutil"),
    *("psycopg", "pyhanko_certvalidator", "pytest", "pytest_asyncio", "rich", "schemathesis.pytest.plugin"),
    *("starlette.applications", "typer", "uvicorn", "uvloop", "xdist.plugin"),
)
_MOST = 900
"""Limit of processor seconds of tests on the unchanged code."""
_LEAST, _TIMES = 20, 4
"""The limit on a mutant: so many times what the unchanged code took, and these seconds at least."""
_SECONDS, _SLOWER = 240, 40
"""Limit of time: these seconds, and so many times the processor time of the unchanged code."""
_OUTPUT = Path("output-of-the-tests")
_NOTICED = Path("test-that-failed")
_FAILED = (1, 2, 3, 4)
"""Exit codes of pytest where a test failed, or what it imports; the unchanged code has passed before."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"
    """Killed as well: its tests did not come to an end."""


class Tests:
    """Tests that passed on the unchanged code, of which those run that come past what a mutant changes."""

    def __init__(self, asked: dict[str, Any]) -> None:
        kept = Path(asked["kept"]) / f"mutation-{digest_of(asked['watched'], asked['tests'])}.json"
        if not kept.exists():
            _note_lines(asked, kept)
        self._passed = Passed.read(kept)
        self._alone: dict[str, bool] = {}
        """Whether a test that failed on a mutant passes alone on the unchanged code."""
        for name in unaffected(Path("src"), asked["watched"]):
            importlib.import_module(name)
        modules = {".".join(("samdrift", *Path(one).with_suffix("").parts)) for one in asked["watched"]}
        assert not modules & sys.modules.keys(), "a module to be mutated must not be imported before the runs"

    def run(self, name: str, line: int, code: str) -> dict[str, Any]:
        """Run tests on a mutant until the first failure; returns its fate and the test that noticed."""
        file = Path("src/samdrift") / name
        kept = file.read_text()
        while True:
            doubtful = [one for one, passes in self._alone.items() if not passes]
            noticed = None
            for chosen in self._passed.stages(name, kept, line, doubtful):
                file.write_text(code)
                try:
                    fate, noticed, _ = self._limited(chosen)
                finally:
                    file.write_text(kept)
                if fate is not Fate.SURVIVED:
                    break
            else:
                return {"fate": Fate.SURVIVED}
            if fate is Fate.TIMED_OUT or noticed is None or self._passes(noticed):
                return {"fate": fate, "by": noticed}

    def _passes(self, test: str) -> bool:
        """Whether a test is no witness of the mutant alone: it passes, by itself, on the unchanged code."""
        if test not in self._alone:
            self._alone[test] = self._limited([test])[0] is Fate.SURVIVED
        return self._alone[test]

    def _limited(self, tests: list[str]) -> tuple[Fate, str | None, float]:
        used = sum(self._passed.seconds.get(one, 1) for one in tests)
        return _forked(tests, max(_LEAST, int(used * _TIMES)), _SECONDS + used * _SLOWER)


def _note_lines(asked: dict[str, Any], path: Path) -> None:
    """Run all tests on the unchanged code, and write down which comes past which line."""
    settings = {"packages": asked["coverage"], "path": str(path), "watched": asked["watched"]}
    os.environ[SETTINGS] = json.dumps(settings)
    fate, failed, _ = _forked(["-p", "tests.mutation.covering", *asked["tests"]], _MOST, _MOST * _SLOWER)
    del os.environ[SETTINGS]
    if failed is not None:
        print(f"left out, since it fails on the unchanged code: {failed} and others", file=sys.stderr)
    if not path.exists():
        said = _OUTPUT.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"on the unchanged code: {fate}: {' '.join(asked['tests'])}\n{said}")


def digest_of(watched: Sequence[str], tests: Sequence[str]) -> str:
    """Return a digest of the files that are mutated, and of the tests."""
    digest = hashlib.sha256()
    folders = [*map(Path("src/samdrift").joinpath, watched), *map(Path, tests)]
    for path in sorted(file for one in folders for file in (one.rglob("*.py") if one.is_dir() else [one])):
        digest.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def unaffected(source: Path, watched: list[str]) -> list[str]:
    """Return the modules that import none of some files, directly or through others."""
    imports: dict[str, set[str]] = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found = {".".join(parts[:-1])}
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        names = (name.split(".") for name in found)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        imports[name] = {".".join(each[:end]) for each in names for end in range(1, len(each) + 1)} - {name}
    reached = {".".join(("samdrift", *Path(one).with_suffix("").parts)) for one in watched}
    while more := {one for one, names in imports.items() if one not in reached and names & reached}:
        reached |= more
    return [one for one in imports if one not in reached and one.rpartition(".")[2][0] != "_"]


def _forked(tests: list[str], limit: int, seconds: float) -> tuple[Fate, str | None, float]:
    """Run tests in a process of their own; returns the first that failed, and the processor time, too."""
    _NOTICED.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _run_and_exit(tests, limit)
    ends = time.monotonic() + seconds
    done, status, usage = os.wait4(child, os.WNOHANG)
    while not done and time.monotonic() < ends:
        time.sleep(0.05)
        done, status, usage = os.wait4(child, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not done:
        _, status, usage = os.wait4(child, 0)
    used = usage.ru_utime + usage.ru_stime
    if os.WIFSIGNALED(status):
        return Fate.TIMED_OUT, None, used
    code = os.WEXITSTATUS(status)
    if code not in (0, *_FAILED):
        raise RuntimeError(f"pytest ended with {code}: {' '.join(tests)}")
    noticed = _NOTICED.read_text() if _NOTICED.exists() else None
    return Fate.KILLED if code else Fate.SURVIVED, noticed, used


class _Noticing:
    """Writes down the first test that fails."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not _NOTICED.exists():
            _NOTICED.write_text(report.nodeid)


def _run_and_exit(tests: list[str], limit: int) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(_OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    mutated = "-p" not in tests
    sys.dont_write_bytecode = mutated
    options = ("-q", "-p", "no:cacheprovider", *(("-x",) if mutated else ()))
    try:
        status = int(pytest.main([*options, *tests], plugins=[_Noticing()]))
    except BaseException:
        status = 1
    os._exit(status)


def main() -> None:
    sys.dont_write_bytecode = True
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    tests: Tests | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.monotonic()
        if tests is None:
            tests = Tests(asked)
        done = tests.run(asked["file"], asked["line"], asked["code"])
        print(json.dumps(done | {"seconds": round(time.monotonic() - begun, 1)}), flush=True)


if __name__ == "__main__":
    main()
