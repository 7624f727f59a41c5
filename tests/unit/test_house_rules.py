"""Linter, format and types over the whole project, so that one command checks everything."""

from __future__ import annotations

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


def test_ci_installs_every_program_that_a_test_would_be_skipped_without() -> None:
    installed = dict(re.findall(r"^([\w-]+) ([\w-]+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    sources = "".join(file.read_text() for file in TESTS.rglob("*.py"))
    assert dict(re.findall(r'\brequires\("([\w-]+)", "([\w-]+)"\)', sources)) | PACKAGES == installed
