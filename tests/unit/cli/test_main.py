"""The command line as a whole: help, versions, and the reaction to a wrong command."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO

import pytest

from samdrift import __version__
from samdrift.cli.main import COMMANDS
from tests.unit.cli.commandline import in_process, samdrift

HEAVY = "lxml cryptography psycopg aiohttp starlette asyncio"


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_every_command(arguments: list[str]) -> None:
    ended = in_process(*arguments)
    assert (ended.status, ended.complaints) == (0, "")
    assert all(name in ended.output for name in COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    look = f"""
import sys
sys.argv = ["samdrift", "--help"]
from samdrift.cli.main import main
try:
    main()
finally:
    sys.stderr.write(" ".join(set({HEAVY!r}.split()) & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    ended = in_process(name, "--help")
    assert (ended.status, ended.complaints) == (0, "")
    assert f"samdrift {name}" in ended.output


def test_a_command_that_is_mistyped_is_answered_with_the_one_that_was_meant() -> None:
    ended = in_process("staus")
    assert (ended.status, ended.output) == (2, "")
    assert "No such command 'staus'. Did you mean 'status'?" in ended.complaints


def test_version() -> None:
    assert samdrift("--version").output == f"samdrift {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "nonsense"),
        (["--nonsense"], "--nonsense"),
        (["validate"], "FILE"),
        (["validate", "--nonsense"], "--nonsense"),
        (["envelope"], "command"),
        (["envelope", "verify"], "FILE"),
        (["envelope", "verify", "one", "two"], "two"),
        (["test", "-k", "name"], "./samdrift test"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_told_in_one_line(arguments: list[str], told: str) -> None:
    ended = in_process(*arguments)
    assert (ended.status, ended.output) == (2, "")
    assert ended.complaints.startswith("samdrift: ")
    assert ended.complaints.count("\n") == 1
    assert told in ended.complaints


def test_output_into_a_closed_pipe_ends_quietly() -> None:
    command = f"{sys.executable} -m samdrift.cli.main --help | true"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert ended.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["validate", "--help"]])
def test_a_full_standard_output_is_told_in_one_line(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        ended = run_into(full, *arguments)
    assert (ended.returncode, ended.stderr) == (2, "samdrift: no space left on device\n")


def test_a_closed_standard_output_is_not_complained_about() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:
        ended = run_into(closed, "--help")
    assert (ended.returncode != 0, ended.stderr) == (True, "")


def run_into(output: IO[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "samdrift.cli.main", *arguments]
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60)
