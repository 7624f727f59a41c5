"""Linter, format and types over the whole project, so that one command checks everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "check",
    ["ruff check . samdrift", "ruff format --check . samdrift", "mypy"],
)
def test_the_project_passes(check: str) -> None:
    tool, *arguments = check.split()
    ran = subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
