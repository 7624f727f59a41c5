"""Bytecode for a run with several worker processes: made once, by a process for each core.

Otherwise each worker and each process of a test compiles for itself what it has not found. For tests that is
most of what collecting them takes, since their assertions are rewritten.
"""

from __future__ import annotations

import compileall
import os
import re
from collections.abc import Iterable
from multiprocessing import get_context
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

TESTS = Path(__file__).parent
_REWRITTEN = re.compile(r"/(test_[^/]*|conftest)\.py$")
"""Modules whose assertions pytest rewrites; the others are compiled as they are."""


def prepare(config: pytest.Config) -> None:
    """Compile the source and the tests, and have workers keep what they compile themselves."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(TESTS.parent / "src", quiet=1, workers=0)
    compileall.compile_dir(TESTS, rx=_REWRITTEN, quiet=1, workers=0)
    tests, cores = sorted(TESTS.rglob("test_*.py")), os.cpu_count() or 1
    forks = get_context("fork")  # They have pytest's configuration from this process.
    compilers = [forks.Process(target=_rewrite, args=(config, tests[at::cores])) for at in range(cores)]
    for one in compilers:
        one.start()
    for one in compilers:
        one.join()


def _rewrite(config: pytest.Config, tests: Iterable[Path]) -> None:
    """Rewrite and compile as pytest does, what it would find out of date."""
    state = config.stash[rewrite.assertstate_key]
    for test in tests:
        folder = rewrite.get_cache_dir(test)
        kept = folder / (test.stem + rewrite.PYC_TAIL)
        if rewrite._read_pyc(test, kept) is None and rewrite.try_makedirs(folder):
            source, code = rewrite._rewrite_test(test, config)
            rewrite._write_pyc(state, code, source, kept)
