"""The sizes of the suite: samples are the same each time, and a soak does more with a seed that it prints."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests import sizes


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
