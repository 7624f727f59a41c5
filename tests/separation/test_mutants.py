"""Every guard between organisations has a mutant that removes it; the cheapest few are run here.

All of them: ``.venv/bin/python -m tests.separation.mutation.run``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.separation.mutation.mutant import ROOT, Mutant
from tests.separation.mutation.run import MUTANTS, Fate, copy, fate
from tests.sizes import sampled

CHEAP = (
    "a sealed value is bound to its vault",
    "an address without a star is that address",
    "a leak is never called denied",
)


def guard(mutant: Mutant) -> str:
    return mutant.guard


def test_no_two_guards_have_one_name() -> None:
    assert len({mutant.guard for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=guard)
def test_the_guard_is_where_its_mutant_takes_it_away(mutant: Mutant) -> None:
    """After a guard was moved or rewritten, this fails until its mutant is updated."""
    assert mutant.changed() != ""


@pytest.mark.parametrize("mutant", MUTANTS, ids=guard)
def test_the_tests_that_must_notice_exist(mutant: Mutant) -> None:
    for test in mutant.tests:
        file, *names = test.split("::")
        text = (ROOT / file).read_text()
        functions = [name.partition("[")[0] for name in names]
        assert all(re.search(rf"(def|class) {name}\b", text) for name in functions), test


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with copy() as folder:
        yield folder


@pytest.mark.parametrize("mutant", sampled(one for one in MUTANTS if one.guard in CHEAP), ids=guard)
def test_a_mutant_is_killed(folder: Path, mutant: Mutant) -> None:
    assert fate(mutant, folder) is Fate.KILLED
