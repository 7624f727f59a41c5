"""Bytecode for a run with several worker processes, compiled once by a process for each core.

Otherwise each worker and each process of a test compiles missing modules for itself. For tests this is
most of the time of collection, since their assertions are rewritten.
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
"""Modules whose assertions pytest rewrites; all others are compiled normally."""


def prepare(config: pytest.Config) -> None:
    """Compile the source and the tests, and have workers save what they compile themselves."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(TESTS.parent / "src", quiet=1, workers=0)
    compileall.compile_dir(TESTS, rx=_REWRITTEN, quiet=1, workers=0)
    tests, cores = sorted(TESTS.rglob("test_*.py")), os.cpu_count() or 1
    forks = get_context("fork")  # Forks inherit pytest's configuration from this process.
    compilers = [forks.Process(target=_rewrite, args=(config, tests[at::cores])) for at in range(cores)]
    for one in compilers:
        one.start()
    for one in compilers:
        one.join()


def _rewrite(config: pytest.Config, tests: Iterable[Path]) -> None:
    """Rewrite and compile outdated tests as pytest would."""
    state = config.stash[rewrite.assertstate_key]
    for test in tests:
        folder = rewrite.get_cache_dir(test)
        kept = folder / (test.stem + rewrite.PYC_TAIL)
        if rewrite._read_pyc(test, kept) is None and rewrite.try_makedirs(folder):
            source, code = rewrite._rewrite_test(test, config)
            rewrite._write_pyc(state, code, source, kept)
