"""House style: docstrings open with a verb or a noun, and help texts address the user of the command."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import PACKAGES, SOURCE, modules_of, statements

OPENER = re.compile(r"(What|Who|Whom|Whose|Whoever|Whatever|Nobody|Somebody|Others)\b")
"""Openers of docstrings that hide the subject in a clause; name it instead."""
OF_FUNCTIONS = re.compile(r"Whether\b")
"""Opener that functions may not use, because they return whether; attributes may."""
CLAUSE = re.compile(r"(Of|How|Where|When|Which|Whether|As|Those|Nothing|For|From|Until|So many|All that)\b")
"""Openers of sentence fragments without a subject, which only a module's docstring may use."""
PHRASE = re.compile(r"unless told|stands? in (the|an?|its|both) (\w+ )*logs?\b|\bwhosever\b", re.IGNORECASE)
HELP = re.compile(r"^(What|Who|Whose|Whom|Of|As|For whom)\b|stands? in|unless told|; else\b|asked for else")


def docstrings(module: Path) -> Iterator[tuple[int, bool, str]]:
    """Yield the line of each docstring and attribute docstring, whether it is a function's, and its text."""
    for node, body in statements(module.read_text()):
        for place, statement in enumerate(body):
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                function = place == 0 and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                yield statement.lineno, function, value.value


def faults(module: Path) -> list[str]:
    """Return the docstrings of a module that break the rules."""
    found = []
    for line, function, text in docstrings(module):
        if (
            (line > 1 and CLAUSE.match(text))
            or OPENER.match(text)
            or (function and OF_FUNCTIONS.match(text))
            or PHRASE.search(text)
        ):
            found.append(f"{line}: {text.splitlines()[0]}")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_open_with_a_verb_or_a_noun(package: str) -> None:
    found = {str(module.relative_to(SOURCE)): faults(module) for module in modules_of(package)}
    assert {name: each for name, each in found.items() if each} == {}


def test_help_texts_are_addressed_to_whoever_types_the_command() -> None:
    found = []
    for module in (SOURCE / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            for keyword in node.keywords if isinstance(node, ast.Call) else ():
                value = keyword.value
                if (
                    keyword.arg == "help"
                    and isinstance(value, ast.Constant)
                    and HELP.search(str(value.value))
                ):
                    found.append(f"{module.name}: {value.value}")
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "What it is.",
        "Whoever asks.",
        "Of a key.",
        "How long it lasts.",
        "As it is written.",
        "The keys, unless told otherwise.",
        "The name; stands in both logs.",
    ],
)
def test_a_docstring_that_breaks_the_rule_is_found(tmp_path: Path, text: str) -> None:
    module = tmp_path / "module.py"
    module.write_text(f'def f() -> None:\n    """{text}"""\n\n\nclass C:\n    """A class."""\n')
    assert len(faults(module)) == 1
