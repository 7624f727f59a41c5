"""The mutation run itself is by command; what it names, and how it chooses tests, is held here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.mutation.covering import Passed, statement
from tests.mutation.drawing import bare
from tests.mutation.executing import unaffected
from tests.mutation.run import read
from tests.mutation.targets import ROOT, SOURCE, TARGETS


@pytest.mark.parametrize("package", TARGETS)
def test_every_file_and_every_test_of_a_target_exists(package: str) -> None:
    target = TARGETS[package]
    for pattern in target.files:
        assert list(SOURCE.glob(pattern)), pattern
    for each in target.tests:
        assert (ROOT / each).exists(), each


def test_a_change_of_an_annotation_is_no_mutant() -> None:
    code = "def f(a: str | None, *b: int) -> str | int:\n    c: int | str = 1\n    return a or b\n"
    assert bare(code) == bare(code.replace("|", "&"))
    assert bare(code) != bare(code.replace(" or ", " and "))


def test_that_a_class_has_slots_is_no_mutant_and_that_it_is_frozen_is_one() -> None:
    code = "@dataclass(frozen=True, slots=True)\nclass A: ...\n"
    assert bare(code) == bare(code.replace("slots=True", "slots=False"))
    assert bare(code) != bare(code.replace("frozen=True", "frozen=False"))


CODE = """\
LIMIT = 3


@decorated
def f(
    a: int = LIMIT,
) -> int:
    if (
        a
        > LIMIT
    ):
        return f(
            a
        )
    return 0
"""


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (1, range(1, 2)),
        (4, range(4, 5)),
        (6, range(5, 8)),
        (10, range(8, 12)),
        (13, range(12, 15)),
        (15, range(15, 16)),
    ],
)
def test_the_lines_of_a_statement_are_without_its_body(line: int, lines: range) -> None:
    assert statement(CODE, line) == lines


PASSED = Passed(
    {"slow.py::a": 3.0, "quick.py::b": 0.1, "quick.py::c": 0.2, "fifth.py::d": 9.0, "fourth.py::e": 5.0},
    {
        "p/f.py": {1: [""], 8: ["slow.py::a", "quick.py::c"], 12: ["slow.py::a"], 15: ["quick.py::c"]},
        "p/g.py": {1: ["fourth.py::e", "fifth.py::d"]},
        "q/h.py": {1: ["quick.py::b"]},
    },
)


def test_only_tests_that_come_past_the_changed_statement_run_the_quickest_file_first() -> None:
    assert PASSED.stages("p/f.py", CODE, 10) == [["quick.py::c", "slow.py::a"]]
    assert PASSED.stages("p/f.py", CODE, 13) == [["slow.py::a"]]
    assert PASSED.stages("p/f.py", CODE, 10, left_out=["quick.py::c"]) == [["slow.py::a"]]


def test_what_no_test_comes_past_has_none() -> None:
    assert PASSED.stages("q/h.py", CODE, 13) == []


def test_what_runs_at_import_is_for_every_test_of_the_folder() -> None:
    nearest, rest = PASSED.stages("p/f.py", CODE, 1)
    assert nearest == ["quick.py::c", "slow.py::a", "fourth.py::e"]
    assert rest == ["fifth.py::d"]


def test_what_runs_at_import_is_for_tests_that_look_at_classes_without_running_them_too() -> None:
    looking = Passed({**PASSED.seconds, "classes.py::f": 0.1}, PASSED.lines)
    assert "classes.py::f" in looking.stages("p/f.py", CODE, 1)[0]
    assert "classes.py::f" not in looking.stages("p/f.py", CODE, 10)[0]


def test_a_module_that_imports_a_mutated_one_through_another_is_affected(tmp_path: Path) -> None:
    """Through its own package, too, which Python imports first."""
    for name, code in {
        "__init__": "",
        "base": "",
        "middle": "def f():\n    from samdrift import base",
        "top": "import samdrift.middle",
        "other": "import json",
        "package/__init__": "from samdrift.base import x",
        "package/inside": "",
        "beside": "from samdrift.package.inside import y",
    }.items():
        path = tmp_path / "samdrift" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    assert unaffected(tmp_path, ["base.py"]) == ["samdrift", "samdrift.other"]


def test_the_last_result_of_a_mutant_counts_and_none_of_a_line_that_is_gone(tmp_path: Path) -> None:
    here = "accesspoint/refusals.py", "while True:", "while False:"
    results = [(*here, "survived"), ("accesspoint/refusals.py", "while never_written:", "x", "survived")]
    results += [("accesspoint/moved_away.py", "while True:", "while False:", "survived"), (*here, "killed")]
    names = ("file", "before", "after", "fate")
    file = tmp_path / "results"
    file.write_text("".join(json.dumps(dict(zip(names, one, strict=True))) + "\n" for one in results))
    assert [(one["file"], one["fate"]) for one in read(file)] == [("accesspoint/refusals.py", "killed")]
