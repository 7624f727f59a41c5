"""All events that the source declares, collected from the packages that log them."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import samdrift
from samdrift.audit.events import AuditEvent

SOURCE = Path(samdrift.__file__).parent


def declaring() -> list[str]:
    """Return the modules that declare events."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        if "(AuditEvent)" in text and any(map(_declares, ast.walk(ast.parse(text)))):
            found.append(".".join(("samdrift", *path.relative_to(SOURCE).with_suffix("").parts)))
    return found


def _declares(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "AuditEvent" for base in node.bases)


def declared() -> list[AuditEvent]:
    """Return every event, in the order of the modules that declare them."""
    kinds: list[type[AuditEvent]] = []
    for module in map(import_module, declaring()):
        kinds += [
            each
            for each in vars(module).values()
            if isinstance(each, type) and issubclass(each, AuditEvent) and each.__module__ == module.__name__
        ]
    return [event for kind in kinds for event in kind]
