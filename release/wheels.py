"""The wheel, built reproducibly: it does not depend on the machine or the day.

File times come from the commit (``SOURCE_DATE_EPOCH``), modes are fixed, setuptools is the locked version,
and the build runs in a copy, so that nothing else from the checkout (bytecode, earlier builds) gets in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from failures import BuildFailure

_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src")
_OF_THE_CHECKOUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
_EARLIEST = "315532800"
"""The first day of 1980, the earliest time in ZIP files; used if no commit is available."""


def epoch(checkout: Path) -> str:
    """Return the time of the build: the environment's if it is set, otherwise that of the commit."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    if git := shutil.which("git"):
        asked = [git, "-C", str(checkout), "log", "-1", "--format=%ct"]
        ended = subprocess.run(asked, capture_output=True, text=True, check=False)
        return ended.stdout.strip() or _EARLIEST
    return _EARLIEST


def build(checkout: Path, folder: Path) -> Path:
    """Build the wheel of ``checkout`` into ``folder``, and return its path."""
    with tempfile.TemporaryDirectory() as temporary:
        copy, made = Path(temporary, "copy"), Path(temporary, "made")
        copy.mkdir()
        for name in _SOURCES:
            source = checkout / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=_OF_THE_CHECKOUT)
            else:
                shutil.copyfile(source, copy / name)
        for path in copy.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        _run(copy, made, epoch(checkout))
        (wheel,) = made.glob("*.whl")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, folder / wheel.name))


def _run(copy: Path, made: Path, when: str) -> None:
    fixed = {"SOURCE_DATE_EPOCH": when, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    options = ["--isolated", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    options += ["--no-index", "--wheel-dir", str(made)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(copy)]
    ended = subprocess.run(
        command, env=os.environ | fixed, capture_output=True, text=True, umask=0o022, check=False
    )
    if ended.returncode:
        raise BuildFailure(f"the wheel cannot be built:\n{ended.stdout}{ended.stderr}")
