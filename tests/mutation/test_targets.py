"""The mutation run itself is by command; that what it names exists is held here."""

from __future__ import annotations

import pytest

from tests.mutation.drawing import bare
from tests.mutation.targets import ROOT, SOURCE, TARGETS


@pytest.mark.parametrize("package", TARGETS)
def test_every_file_and_every_test_of_a_target_exists(package: str) -> None:
    target = TARGETS[package]
    for pattern in target.files:
        assert list(SOURCE.glob(pattern)), pattern
    for begin in target.near:
        assert list(SOURCE.glob(f"{begin}*")), begin
    for tests in (target.tests, *target.near.values()):
        for each in tests:
            assert (ROOT / each).exists(), each


@pytest.mark.parametrize("package", TARGETS)
def test_the_tests_near_a_file_run_before_all_of_its_package(package: str) -> None:
    for module in TARGETS[package].modules():
        *_, last = TARGETS[package].stages(module)
        assert last == TARGETS[package].tests


def test_a_change_of_an_annotation_is_no_mutant() -> None:
    code = "def f(a: str | None, *b: int) -> str | int:\n    c: int | str = 1\n    return a or b\n"
    assert bare(code) == bare(code.replace("|", "&"))
    assert bare(code) != bare(code.replace(" or ", " and "))
