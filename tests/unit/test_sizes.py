"""The sizes of the suite: samples are the same each time, and a soak does more with a seed that it prints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests import checks, sizes


def test_a_sample_has_a_fixed_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sizes.SEED, raising=False)
    assert (sizes.count(40, 1000), sizes.seed(7), sizes.seed("name")) == (40, 7, "name")
    assert settings.get_profile("sample").derandomize


def test_a_soak_has_full_counts_and_one_seed_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sizes.SEED, "4711")
    assert (sizes.count(40, 1000), sizes.seed(7), sizes.seed("name")) == (1000, 4711, 4711)
    assert not settings.get_profile("soak").derandomize


def test_folders_of_peers_and_of_what_runs_together_exist() -> None:
    root = sizes.TESTS.parent
    assert all(folder.is_dir() for folder in sizes.PEERS)
    assert all((root / path).exists() for path in (*sizes.TOGETHER, *sizes.FIRST))


def test_a_check_beside_the_tests_has_the_result_that_it_has_by_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = "print('found'); raise SystemExit(3)"
    monkeypatch.setattr(checks, "_command", lambda check: [sys.executable, "-c", program])
    monkeypatch.delenv(checks._FOLDER, raising=False)
    alone = checks.result("mypy")
    monkeypatch.setenv(checks._FOLDER, "restored at the end")
    checks.begin(tmp_path)
    assert [checks.result(check) for check in checks.CHECKS] == [alone] * len(checks.CHECKS)
    assert alone == (3, "found\n")
