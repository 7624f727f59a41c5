"""CI on a fresh machine: programs that the tests use are installed, and every size of the suite is run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.tools import PACKAGES
from tests.programs import HEADLESS

ROOT = Path(__file__).parents[2]
CI = ROOT / ".ci" / "run"
PROGRAMS = dict(re.findall(r"^([\w-]+) ([\w.-]+)$", CI.read_text(), re.MULTILINE))
APT = "apt-get -q -y -o DPkg::Lock::Timeout=300"
UPDATE, INSTALL = f"{APT} update", f"{APT} install --no-install-recommends"


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a checkout on a machine without any of the programs, with an apt that prints its arguments."""
    for folder in (".ci", "bin"):
        (tmp_path / folder).mkdir()
    for program in ("bash", "dirname", "env"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or program)
    script(tmp_path / "bin" / "python3", "")
    script(tmp_path / "bin" / "apt-get", f'echo "apt-get $*"; test ! -e {tmp_path / "apt-fails"}')
    script(tmp_path / "samdrift", f'echo "samdrift $*"; test ! -e "{tmp_path}/fails-$*"')
    (tmp_path / ".ci" / "run").write_text(CI.read_text().replace(":/usr/sbin:/usr/local/go/bin", ""))
    return tmp_path


def run(machine: Path) -> tuple[int, list[str]]:
    command, path = ["/bin/bash", machine / ".ci" / "run"], str(machine / "bin")
    ended = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True)
    return ended.returncode, ended.stdout.splitlines()


def test_every_program_that_a_test_would_be_skipped_without_is_looked_for() -> None:
    sources = "".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))
    named = dict(re.findall(r'\brequires\("([\w-]+)", "([\w.-]+)"\)', sources))
    assert named | PACKAGES | {HEADLESS: HEADLESS} == PROGRAMS


def test_what_is_missing_is_installed_and_both_sizes_run(machine: Path) -> None:
    script(machine / "bin" / "curl", "")
    missing = [package for package in PROGRAMS.values() if package != "curl"]
    installed = [UPDATE, f"{INSTALL} {' '.join(missing)}"]
    assert run(machine) == (0, [*installed, "samdrift test", "samdrift test --peers"])


def test_a_python_that_cannot_make_environments_is_replaced(machine: Path) -> None:
    script(machine / "bin" / "python3", "exit 1")
    assert run(machine)[1][1] == f"{INSTALL} python3 python3-venv {' '.join(PROGRAMS.values())}"


def test_where_nothing_is_missing_nothing_is_installed(machine: Path) -> None:
    for program in PROGRAMS:
        script(machine / "bin" / program, "")
    assert run(machine) == (0, ["samdrift test", "samdrift test --peers"])


def test_what_cannot_be_installed_ends_the_run(machine: Path) -> None:
    (machine / "apt-fails").touch()
    status, output = run(machine)
    assert (status != 0, output) == (True, [UPDATE])


@pytest.mark.parametrize("size", ["test", "test --peers"])
def test_both_sizes_run_and_either_can_fail(machine: Path, size: str) -> None:
    (machine / f"fails-{size}").touch()
    for program in PROGRAMS:
        script(machine / "bin" / program, "")
    assert run(machine) == (1, ["samdrift test", "samdrift test --peers"])
