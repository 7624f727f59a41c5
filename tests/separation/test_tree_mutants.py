"""A mutant is found by name and tree: the source may be renamed inside, formatted anew and moved."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.separation.mutation import marks
from tests.separation.mutation.mutant import ROOT, SOURCE, Mutant, read
from tests.separation.mutation.run import MUTANTS
from tests.separation.mutation.tree import definitions, found, nodes

FIRST: Mapping[str, Mutant] = {
    each.package: each
    for each in reversed(MUTANTS)
    if each.mark is None and f"{each.package}.{found(each.place)[1]}" == each.place
}
"""One guard of every package that has any."""
EVERY_PACKAGE = pytest.mark.parametrize("mutant", FIRST.values(), ids=lambda each: each.package)


class Renamed(ast.NodeTransformer):
    """Gives every name that a function assigns, and every parameter, another one."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._other(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self._other(node.arg), node.annotation)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = node.name and self._other(node.name)
        return self.generic_visit(node)

    def _other(self, name: str) -> str:
        return f"{name}_renamed" if name in self._names else name


def locals_of(function: ast.AST) -> frozenset[str]:
    names = {each.arg for each in nodes(function) if isinstance(each, ast.arg)}
    for each in nodes(function):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            names.add(each.id)
    return frozenset(names - {"self", "cls"})


def defined(text: str, qualified: str) -> ast.AST:
    return dict(definitions(ast.parse(text)))[qualified]


def qualified(mutant: Mutant) -> str:
    return found(mutant.place)[1]


def written(root: Path, file: str, text: str) -> Path:
    path = root / SOURCE / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return root


def file_of(mutant: Mutant) -> str:
    return str(mutant.file().relative_to(ROOT / SOURCE))


def source(mutant: Mutant) -> str:
    return mutant.file().read_text()


@EVERY_PACKAGE
def test_renamed_locals_leave_a_mutant_where_it_was(mutant: Mutant, tmp_path: Path) -> None:
    function = defined(source(mutant), qualified(mutant))
    renamed = Renamed(locals_of(function) if isinstance(function, _FUNCTIONS) else frozenset())
    tree = ast.parse(source(mutant))
    found = dict(definitions(tree))[qualified(mutant)]
    renamed.visit(found)
    changed = mutant.changed(written(tmp_path, file_of(mutant), ast.unparse(tree)))
    expected = renamed.visit(defined(mutant.changed(), qualified(mutant)))
    assert ast.unparse(defined(changed, qualified(mutant))) == ast.unparse(expected)


@EVERY_PACKAGE
def test_another_format_leaves_a_mutant_where_it_was(mutant: Mutant, tmp_path: Path) -> None:
    text = source(mutant)
    other = ast.unparse(ast.parse(text))
    assert other != text
    assert mutant.changed(written(tmp_path, file_of(mutant), other)) == mutant.changed()


@EVERY_PACKAGE
def test_a_mutant_goes_along_to_another_place_of_the_file(mutant: Mutant, tmp_path: Path) -> None:
    tree = ast.parse(source(mutant))
    tree.body.reverse()
    moved = written(tmp_path, file_of(mutant), ast.unparse(tree))
    assert ast.dump(defined(mutant.changed(moved), qualified(mutant))) == ast.dump(
        defined(mutant.changed(), qualified(mutant))
    )


@EVERY_PACKAGE
def test_a_mutant_goes_along_to_another_file_of_the_package(mutant: Mutant, tmp_path: Path) -> None:
    file = str(Path(file_of(mutant)).with_name("elsewhere.py"))
    moved = written(tmp_path, file, source(mutant))
    assert mutant.changed(moved) == mutant.changed()


@EVERY_PACKAGE
def test_a_mutant_changes_something(mutant: Mutant) -> None:
    assert mutant.changed() != ast.unparse(ast.parse(source(mutant)))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_GUARDED = """
def allowed(person, right):
    if person is None:
        raise Denied
    return right in person.rights and not person.ended
"""


def made(at: str, to: str, root: Path, *also: tuple[str, str]) -> str:
    mutant = Mutant("any", "guarded.allowed", ((at, to), *also), ("test_any.py",))
    return mutant.changed(written(root, "guarded.py", _GUARDED)).strip()


def test_a_guard_is_dropped(tmp_path: Path) -> None:
    assert made("If 1/1", "", tmp_path) == (
        "def allowed(person, right):\n    return right in person.rights and (not person.ended)"
    )


def test_a_condition_is_negated_with_itself(tmp_path: Path) -> None:
    assert "if not person is None:" in made("Compare 1/2", "not $", tmp_path)


def test_a_part_of_a_condition_is_dropped(tmp_path: Path) -> None:
    assert made("BoolOp 1/1", "$0", tmp_path).endswith("return right in person.rights")


def test_a_replacement_names_what_the_function_calls_by_place(tmp_path: Path) -> None:
    assert made("BoolOp 1/1", "$arg2 == '$$1'", tmp_path).endswith("return right == '$1'")


def test_a_guard_is_left_without_its_condition(tmp_path: Path) -> None:
    assert made("If 1/1", "$body", tmp_path).startswith("def allowed(person, right):\n    raise Denied\n")


def test_a_body_that_loses_all_does_nothing(tmp_path: Path) -> None:
    assert made("If 1/1", "", tmp_path, ("Return 1/1", "")).endswith("pass")


def test_a_function_that_was_changed_is_named(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="If 1/2: the function has 1 of that kind"):
        made("If 1/2", "", tmp_path)


def test_a_name_that_is_not_there_is_named(tmp_path: Path) -> None:
    mutant = Mutant("any", "guarded.denied", (("If 1/1", ""),), ("test_any.py",))
    with pytest.raises(LookupError, match=r"guarded\.denied: is in 0 places"):
        mutant.changed(written(tmp_path, "guarded.py", _GUARDED))


_FILE = """one is dropped
  guarded.allowed, If 1/1 ->
  tests/one.py::test
two nodes change
  guarded.allowed, BoolOp 1/1 -> $0
  and If 1/1 ->
    if True:
        raise Denied
  tests/one.py
  tests/two.py
what is marked
  mark only-own -> true
  tests/one.py
"""


def test_a_file_of_guards_has_mutants_of_functions_and_of_marks() -> None:
    assert list(read(_FILE)) == [
        Mutant("one is dropped", "guarded.allowed", (("If 1/1", ""),), ("tests/one.py::test",)),
        Mutant(
            "two nodes change",
            "guarded.allowed",
            (("BoolOp 1/1", "$0"), ("If 1/1", "if True:\n    raise Denied")),
            ("tests/one.py", "tests/two.py"),
        ),
        Mutant("what is marked", "mark only-own", (("", "true"),), ("tests/one.py",)),
    ]


def test_a_mark_is_replaced_with_the_marks_in_it() -> None:
    text = "WHERE /*[outer*/a AND /*[inner*/b/*]*/ AND c/*]*/ ORDER"
    assert marks.replaced(text, "outer", "true") == "WHERE true ORDER"
    assert marks.replaced(text, "inner", "true") == "WHERE /*[outer*/a AND true AND c/*]*/ ORDER"


def test_a_mark_that_does_not_end_is_named() -> None:
    with pytest.raises(LookupError, match="mark open: does not end"):
        marks.replaced("/*[open*/ x", "open", "")


def test_two_marks_of_one_name_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("/*[same*/ x /*]*/")
    (tmp_path / "b.js").write_text("/*[same*/ x /*]*/")
    with pytest.raises(LookupError, match="mark same: is in"):
        marks.marked(tmp_path)


def test_each_mark_has_its_mutant() -> None:
    assert {each.mark for each in MUTANTS if each.mark} == set(marks.marked(ROOT / SOURCE))
