"""Mutants by name and syntax tree: a function's qualified name, a node of it, and what the node becomes.

Renaming a local variable, formatting anew, or moving a function within its package changes none of the three.
A node is named by its kind and its place among the nodes of that kind, as in ``Compare 2/5``: the second of
five comparisons, in the order of the source. The number in all says when a function was changed in a way that
asks for another look at its mutants.

What it becomes is Python, in which ``$`` is the node itself, ``$0`` its first part, ``$1`` the second,
``$body`` its statements, ``$Name3`` the third name in the function, and ``$$`` a dollar sign: ``not $``,
``$0 and $2``, ``True``. Nothing at all removes the node.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from string import ascii_letters
from typing import Any, cast

ROOT = Path(__file__).parents[3]
SOURCE = "src/samdrift"
_REFERENCE = re.compile(r"\$(\$|body|orelse|\d+|[A-Za-z]+\d+)?")
_UNNAMED = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)
"""Nodes that CPython shares between places, so that none of them has a place of its own."""
Edits = Sequence[tuple[str, str]]
"""Nodes, with what each becomes."""
Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


def changed(text: str, qualified: str, edits: Edits) -> str:
    """Return source in which nodes of a function or constant are replaced."""
    tree = ast.parse(text)
    function = dict(definitions(tree))[qualified]
    places = {id(node_at(function, at)): to for at, to in edits}
    result = ast.unparse(ast.fix_missing_locations(_Replacing(function, places).visit(tree)))
    ast.parse(result)
    return result


def check(file: str, qualified: str, edits: Edits) -> None:
    """Raise :class:`LookupError` or :class:`SyntaxError` unless nodes can be replaced."""
    function = functions(file)[qualified]
    for at, to in edits:
        node = node_at(function, at)
        if to:
            replacement(function, node, to)


@cache
def functions(file: str) -> Mapping[str, ast.AST]:
    """Return what a file of the checkout defines, by qualified name."""
    return dict(definitions(ast.parse((ROOT / SOURCE / file).read_text())))


def definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Defined]]:
    """Yield every function, class and assigned name of a module or class, with its qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name, node
            yield from definitions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else (node.target,):
                if isinstance(target, ast.Name):
                    yield prefix + target.id, node
        elif isinstance(node, ast.stmt):
            yield from definitions(node, prefix)


@cache
def index(package: str, root: Path = ROOT) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Return where each name of a package is defined: file and qualified name, by both ways to name it."""
    names: dict[str, list[tuple[str, str]]] = {}
    folder = root / SOURCE
    below = sorted((folder / package).rglob("*.py")) or [folder / f"{package}.py"]
    for path in below:
        file = path.relative_to(folder)
        module = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        for qualified in dict.fromkeys(each for each, _ in definitions(ast.parse(path.read_text()))):
            for name in {f"{package}.{qualified}", f"{module}.{qualified}"}:
                names.setdefault(name, []).append((str(file), qualified))
    return names


def found(name: str, root: Path = ROOT) -> tuple[str, str]:
    """Return file and qualified name of what has a name; raise :class:`LookupError` unless one has."""
    places = index(name.partition(".")[0], root).get(name, ())
    if len(places) != 1:
        raise LookupError(f"{name}: is in {len(places)} places: {', '.join(file for file, _ in places)}")
    return places[0]


def nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function in the order of the source, without those that share a place."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, _UNNAMED):
            yield node
            yield from nodes(node)


def node_at(function: ast.AST, at: str) -> ast.AST:
    """Return the node that ``at`` names."""
    kind, _, place = at.partition(" ")
    number, _, many = place.partition("/")
    there = [node for node in nodes(function) if type(node).__name__ == kind]
    if len(there) != int(many):
        raise LookupError(f"{at}: the function has {len(there)} of that kind: it was changed, look again")
    return there[int(number) - 1]


def parts(node: ast.AST) -> list[ast.AST]:
    """Return what a node consists of, in the order of the source; of a named argument its value."""
    below = [each for each in ast.iter_child_nodes(node) if not isinstance(each, _UNNAMED)]
    return [each.value if isinstance(each, ast.keyword) else each for each in below]


class _Replacing(ast.NodeTransformer):
    """Puts replacements in the place of nodes."""

    def __init__(self, function: ast.AST, places: Mapping[int, str]) -> None:
        self._function = function
        self._places = places

    def visit(self, node: ast.AST) -> Any:
        to = self._places.get(id(node))
        if to is not None:
            return replacement(self._function, node, to) if to else None
        changed = self.generic_visit(node)
        if getattr(changed, "body", None) == []:
            changed.body = [ast.Pass()]  # type: ignore[attr-defined]
        return changed


def replacement(function: ast.AST, node: ast.AST, to: str) -> ast.AST | list[ast.stmt]:
    """Return what a node becomes."""
    found: dict[str, ast.AST | list[ast.stmt]] = {}

    def named(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        found[name := f"_{len(found)}_"] = _referenced(function, node, match[1] or "")
        return name

    text, filling = _REFERENCE.sub(named, to), _Filling(found)
    if isinstance(node, ast.stmt):
        return [each for statement in ast.parse(text).body for each in filling.filled(statement)]
    return cast(ast.AST, filling.visit(ast.parse(text, mode="eval").body))


def _referenced(function: ast.AST, node: ast.AST, name: str) -> ast.AST | list[ast.stmt]:
    if not name:
        return deepcopy(node)
    if name in ("body", "orelse"):
        return cast("list[ast.stmt]", deepcopy(getattr(node, name)))
    if name.isdigit():
        return deepcopy(parts(node)[int(name)])
    kind, number = name.rstrip("0123456789"), name.lstrip(ascii_letters)
    there = [each for each in nodes(function) if type(each).__name__ == kind][int(number) - 1]
    return ast.Name(there.arg, ast.Load()) if isinstance(there, ast.arg) else deepcopy(there)


class _Filling(ast.NodeTransformer):
    """Puts nodes where a replacement refers to them."""

    def __init__(self, found: Mapping[str, ast.AST | list[ast.stmt]]) -> None:
        self._found = found

    def filled(self, statement: ast.stmt) -> list[ast.stmt]:
        """Return the statements that a statement of the replacement becomes."""
        changed = self.visit(statement)
        return changed if isinstance(changed, list) else [changed]

    def visit_Expr(self, node: ast.Expr) -> Any:
        there = self._found.get(node.value.id) if isinstance(node.value, ast.Name) else None
        return there if isinstance(there, list | ast.stmt) else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        there = self._found.get(node.id, node)
        if isinstance(there, ast.Name | ast.Attribute | ast.Subscript):
            there.ctx = node.ctx
        return there
