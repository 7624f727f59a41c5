"""Completion by the shell: the candidates come from the parser, and real shells complete them."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from samdrift.cli.completion import candidates, organisations
from samdrift.cli.main import COMMANDS
from tests.programs import requires
from tests.sizes import whole
from tests.unit.cli.commandline import in_process

CONFIG = """
[[organisations]]
identifier = "0203:habo.se"

[[organisations]]
identifier = "0203:aneby.se"

[[organisations]]
identifier = "$(touch harmed)"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a configuration without keys or secrets, with two organisations and a hostile one."""
    file = tmp_path / "production.toml"
    file.write_text(CONFIG)
    return file


def offered(line: str, whole: str = "") -> list[str]:
    found = candidates(line, whole or line)
    assert found is not None
    return [each.value for each in found]


def test_every_command_is_offered_with_its_line_in_the_help() -> None:
    found = candidates("samdrift ", "samdrift ")
    assert found is not None
    assert {each.value: each.help for each in found} == COMMANDS
    assert offered("./samdrift que") == ["queue"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("samdrift queue ", ["list", "why", "retry", "give-up", "refused"]),
        ("samdrift org keys ret", ["retire"]),
        ("samdrift queue list --lim", ["--limit"]),
        ("samdrift queue list --limit 3 --lim", []),
        ("samdrift serve --config a.toml m", ["mt", "mk"]),
        ("samdrift completion --help z", ["zsh"]),
        ("samdrift nonsense ", []),
        ("samdrift queue nonsense ", []),
        ("samdrift queue list --by ", []),
        ('samdrift queue give-up --reason "not closed y', []),
        ("samdrift mailbox list 0203:habo.se --re", ["--reason"]),
    ],
)
def test_what_fits_at_the_cursor_is_offered(line: str, expected: list[str]) -> None:
    assert offered(line) == expected


def test_options_are_offered_once_all_arguments_are_there() -> None:
    assert set(offered("samdrift queue list ")) > {"--config", "--organisation", "--json", "--help"}
    assert "--supervised" not in offered("samdrift serve ap --"), "internal options must not be offered"


@pytest.mark.parametrize(
    "line",
    [
        "samdrift queue list --config ",
        "samdrift validate ",
        "samdrift backup verify ",
        "samdrift init --answers ",
    ],
)
def test_files_are_left_to_the_shell(line: str) -> None:
    assert candidates(line, line) is None


def test_organisations_come_from_the_configuration_on_the_line_before_or_behind(config: Path) -> None:
    named = f"--config {config}"
    assert offered(f"samdrift org show {named} ") == ["0203:aneby.se", "0203:habo.se"]
    assert offered(f"samdrift storage {named} --organisation 0203:h") == ["0203:habo.se"]
    assert offered(f"samdrift storage {named} --organisation=0203:h") == ["--organisation=0203:habo.se"]
    assert offered("samdrift org show 0203:a", f"samdrift org show 0203:a {named}") == ["0203:aneby.se"]
    assert offered("samdrift org show 0203:a") == []


def test_what_a_shell_could_run_is_never_offered(config: Path) -> None:
    assert organisations([config]) == ["0203:aneby.se", "0203:habo.se"]


@pytest.mark.parametrize("content", ["", "[[organisations]]", "organisations = 7", "\x00", "[[[", None])
def test_a_configuration_that_cannot_be_read_offers_nothing_and_says_nothing(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "odd.toml"
    if content is not None:
        file.write_text(content)
    ended = in_process("completion", "bash", "--line", f"samdrift org show --config {file} 0")
    assert (ended.status, ended.output, ended.complaints) == (0, "", "")


# --- the shells themselves ----------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `samdrift` is this program, without the launcher that prepares .venv."""
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "samdrift"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m samdrift.cli.main "$@"\n')
    file.chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(tmp_path)}


def script(shell: str, folder: Path) -> Path:
    file = folder / f"samdrift.{shell}"
    ended = in_process("completion", shell)
    assert ended.status == 0
    file.write_text(ended.output)
    return file


BASH = """
source "$1"
shift
for COMP_LINE in "$@"; do
    COMP_POINT=${#COMP_LINE} COMP_WORDS=(samdrift) COMPREPLY=()
    _samdrift
    printf '%s\\n' "${COMPREPLY[*]}"
done
"""


def test_bash_completes(tmp_path: Path, config: Path, program: dict[str, str]) -> None:
    """An organisation with its colon, which bash splits into several words, is not typed twice."""
    lines = [
        "samdrift que",
        f"samdrift org show --config {config} 0203:h",
        f"samdrift storage --config {config} --organisation=0203:a",
        "samdrift queue list --config ",
    ]
    command = ["bash", "--norc", "-c", BASH, "bash", str(script("bash", tmp_path)), *lines]
    ended = subprocess.run(command, env=program, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["queue", "habo.se", "aneby.se", ""]


@whole
@requires("fish", "fish")
def test_fish_completes(tmp_path: Path, config: Path, program: dict[str, str]) -> None:
    lines = ["samdrift que", f"samdrift org show --config {config} 0203:h", "samdrift queue list --lim"]
    asked = "; ".join(f"complete -C '{line}'" for line in lines)
    command = ["fish", "--no-config", "-c", f"source {script('fish', tmp_path)}; {asked}"]
    ended = subprocess.run(command, env=program, capture_output=True, text=True, check=True)
    assert [line.split("\t") for line in ended.stdout.splitlines()] == [
        ["queue", COMMANDS["queue"]],
        ["0203:habo.se"],
        ["--limit", "The maximum number of rows."],
    ]


@whole
@requires("zsh", "zsh")
def test_zsh_completes(tmp_path: Path, config: Path, program: dict[str, str]) -> None:
    """At a terminal, because zsh completes nowhere else."""
    with_script = script("zsh", tmp_path)
    terminal, end = pty.openpty()
    command = ["zsh", "-f", "-i"]
    process = subprocess.Popen(
        command, env=program, stdin=end, stdout=end, stderr=end, start_new_session=True
    )
    os.close(end)
    try:
        type_at(terminal, f"autoload -Uz compinit; compinit -u -D; source {with_script}; print re''ady\n")
        until_shown(terminal, "ready")
        for line, rest in (
            ("samdrift que", "queue "),
            (f"samdrift org show --config {config} 0203:h", "0203:habo.se "),
            ("samdrift queue list --lim", "--limit "),
        ):
            type_at(terminal, f"{line}\t")
            until_shown(terminal, rest)
            type_at(terminal, "\x15")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def type_at(terminal: int, text: str) -> None:
    os.write(terminal, text.encode())


def until_shown(terminal: int, text: str) -> None:
    """Read until the terminal shows a text; fail when it does not within a minute."""
    shown, end = "", time.monotonic() + 60
    while text not in shown:
        ready, *_ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, f"{text!r} is not shown: {shown!r}"
        shown += os.read(terminal, 65536).decode(errors="replace")
