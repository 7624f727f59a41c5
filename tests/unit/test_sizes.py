"""The sizes of the suite: each test has one, samples are the same each time, and soaks print their seed."""

from __future__ import annotations

import re
import sys
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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
    assert all((root / path).exists() for path in (*chain.from_iterable(sizes.TOGETHER), *sizes.FIRST))


CASES = [f"case {number}" for number in range(22)]


def of_peers(cases: list[object]) -> list[object]:
    return [case for case in cases if getattr(case, "marks", ())]


def test_a_sample_is_the_same_each_time_and_of_every_stretch_of_the_matrix() -> None:
    sampled = sizes.sampled(CASES, "case 21")
    assert sizes.sampled(CASES, "case 21") == sampled
    kept = {CASES.index(case) for case in sampled if isinstance(case, str)}
    assert {number // 4 for number in kept} == set(range(6))
    assert 21 in kept
    assert len(of_peers(sampled)) == 22 - len(kept) >= 15


def test_no_case_changes_by_being_sampled() -> None:
    pairs = [(number, number + 1) for number in range(5)]
    named = [pytest.param(number, id=f"number {number}", marks=pytest.mark.soak) for number in range(5)]
    assert [getattr(each, "values", each) for each in sizes.sampled(pairs)] == pairs
    assert [(each.id, each.values) for each in sizes.sampled(named)] == [
        (each.id, each.values) for each in named
    ]
    assert {tuple(mark.name for mark in each.marks) for each in sizes.sampled(named)} == {
        ("soak",),
        ("soak", "whole"),
    }


def test_a_file_of_both_sizes_is_collected_for_both() -> None:
    upgrade = sizes.TESTS / "upgrade"
    assert sizes._has_whole(upgrade / "test_killed.py")
    assert not sizes._has_whole(upgrade / "test_upgrade.py")
    marked = {
        file
        for file in sizes.TESTS.rglob("test_*.py")
        if re.search(r"@whole\b|\bsampled\(|mark\.whole|marks=whole", file.read_text())
    }
    assert marked - {Path(__file__)} == {
        file for file in sizes.TESTS.rglob("test_*.py") if sizes._has_whole(file)
    }


@pytest.mark.parametrize(("peers", "ran"), [(False, ["default"]), (True, ["peer", "marked"])])
def test_each_size_has_the_tests_that_the_other_has_not(peers: bool, ran: list[str]) -> None:
    class Item:
        def __init__(self, name: str, path: Path, mark: object = None) -> None:
            self.name, self.path, self._mark = name, path, mark

        def get_closest_marker(self, name: str) -> object:
            return self._mark if name == "whole" else None

    here = sizes.TESTS / "unit" / "test_x.py"
    items: Any = [
        Item("default", here),
        Item("peer", sizes.TESTS / "interop" / "web" / "test_x.py"),
        Item("marked", here, sizes.whole),
    ]
    left_out: list[str] = []
    config: Any = SimpleNamespace(
        args_source=pytest.Config.ArgsSource.TESTPATHS,
        option=SimpleNamespace(peers=peers),
        hook=SimpleNamespace(pytest_deselected=lambda items: left_out.extend(one.name for one in items)),
    )
    sizes._divide(config, items)
    assert [one.name for one in items] == ran
    assert sorted([*ran, *left_out]) == ["default", "marked", "peer"]
    config.args_source = pytest.Config.ArgsSource.ARGS
    everything = [*items]
    sizes._divide(config, everything)
    assert everything == items, "tests that are named must run, whatever their size"


def test_nothing_of_the_default_size_uses_programs_of_others_that_are_built_or_installed() -> None:
    """Such programs are used by tests in the folders of ``PEERS`` only."""
    uses = re.compile(r"^\s*(?:from|import) tests\.(?:interop|fuzz)\b", re.MULTILINE)
    elsewhere = {
        str(file.relative_to(sizes.TESTS))
        for file in sizes.TESTS.rglob("*.py")
        if not any(peer in file.parents for peer in sizes.PEERS) and uses.search(file.read_text())
    }
    assert elsewhere == {"unit/test_ci.py"}, "only test_ci may, as it reads the names of packages"


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
