"""Parsed source files for tests of rules, searched no further than a rule needs."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "samdrift"
MODULES = sorted(SOURCE.rglob("*.py"))


def package_of(module: Path) -> str:
    """Return the package of a module; a single module counts as a package, too."""
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


PACKAGES = sorted(set(map(package_of, MODULES)))
"""Packages of the source; rules have a test for each of them, which takes less than one for each module."""


def modules_of(package: str) -> list[Path]:
    """Return the modules of a package, in order."""
    return [each for each in MODULES if package_of(each) == package]


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name; unparsing whole names takes longer than most tests."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def nodes_of(source: str, names: Collection[str]) -> list[ast.AST]:
    """Return all nodes of a module whose source contains one of these names; none for other modules."""
    named = re.search(rf"\b(?:{'|'.join(map(re.escape, names))})\b", source)
    return list(ast.walk(ast.parse(source))) if named else []


def statements(source: str) -> Iterator[tuple[ast.AST, list[ast.stmt]]]:
    """Yield each node that has statements, such as a module or a branch, together with them."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        for name, field in ast.iter_fields(node):
            if (
                isinstance(field, list)
                and field
                and isinstance(field[0], ast.stmt | ast.excepthandler | ast.match_case)
            ):
                waiting += field
                if name == "body":
                    yield node, field
