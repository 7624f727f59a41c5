"""Linter, format and types over the whole project, and rules of the house that they do not know."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.tools import PACKAGES

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"


@pytest.mark.parametrize(
    "check",
    ["ruff check . samdrift", "ruff format --check . samdrift", "mypy"],
)
def test_the_project_passes(check: str) -> None:
    tool, *arguments = check.split()
    ran = subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


SOURCE = ROOT / "src" / "samdrift"
PRINTS = {
    "app/output.py",  # the one way to a terminal
    "app/demo/show.py",  # tables of the demonstration, through the same escaping
    *("app/launcher.py", "app/environment.py"),  # before anything is installed
}
"""Who may write to standard output and standard error."""
WRITERS = {"print", "typer.echo", "typer.secho", "click.echo", "sys.stdout.write", "sys.stderr.write"}
MAKERS = {"Console"}


def written_in(source: str) -> set[str]:
    """The ways to a terminal that a module's code calls or hands on."""
    nodes = list(ast.walk(ast.parse(source)))
    named = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute | ast.Name)}
    made = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    return (named & WRITERS) | (made & MAKERS)


@pytest.mark.parametrize(
    "module", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_nothing_reaches_a_terminal_but_by_one_way(module: Path) -> None:
    """Names in a peer's certificate have overwritten "not verified" with "verified" on a screen."""
    if str(module.relative_to(SOURCE)) not in PRINTS:
        assert written_in(module.read_text()) == set()


def test_every_way_to_a_terminal_is_seen() -> None:
    for way in WRITERS:
        assert written_in(f"def f():\n    {way}('x')") == {way}
        assert written_in(f"g(then={way})") == {way}
    assert written_in("console = Console()") == MAKERS


def test_ci_installs_every_program_that_a_test_would_be_skipped_without() -> None:
    installed = dict(re.findall(r"^([\w-]+) ([\w-]+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    sources = "".join(file.read_text() for file in TESTS.rglob("*.py"))
    assert dict(re.findall(r'\brequires\("([\w-]+)", "([\w-]+)"\)', sources)) | PACKAGES == installed
