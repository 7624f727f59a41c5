"""`samdrift completion`: shell completion of commands, options, choices and organisations.

The shell's part is a few lines, which ask this command for candidates. These come from the same parser as the
help, so that no separate list is kept. Organisations are taken from the configuration named on the command
line, which is read as text: no key is opened and no running process is contacted.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from samdrift.cli.output import print_line, print_text
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False)

_FILES = ":files"
"""Answer that makes the shell complete file names itself; no candidate begins like this."""
_IDENTIFIER = re.compile(r"[0-9A-Za-z][0-9A-Za-z.:_-]{0,199}")
"""Identifiers that need no quoting in a shell; others are not offered."""

_BASH = """\
_samdrift() {
    local line="${COMP_LINE:0:COMP_POINT}" each
    local -a found
    local typed="${line##*[[:space:]]}"
    mapfile -t found < <("${COMP_WORDS[0]}" completion bash --line "$line" --whole "$COMP_LINE" 2>/dev/null)
    COMPREPLY=()
    if [[ ${found[0]-} == :files ]]; then
        compopt -o default 2>/dev/null
        return 0
    fi
    # What bash takes for words of their own, as in 0203:habo.se, is on the line already.
    local before="${typed%"${typed##*[:=]}"}"
    for each in "${found[@]}"; do
        each="${each%% *}"
        COMPREPLY+=("${each#"$before"}")
    done
}
complete -F _samdrift samdrift
"""

_ZSH = """\
#compdef samdrift
_samdrift() {
    local -a found lines
    local each line="${(j: :)${(@q)words[1,CURRENT-1]}} ${words[CURRENT]}"
    lines=("${(@f)$("${words[1]}" completion zsh --line "$line" --whole "${words[*]}" 2>/dev/null)}")
    if [[ ${lines[1]} == :files ]]; then
        _files
        return
    fi
    for each in $lines; do
        found+=("${${each%% *}//:/\\\\:}${${each#* }:+:${each#* }}")
    done
    _describe -V 'samdrift' found
}
if [[ ${funcstack[1]} == _samdrift ]]; then _samdrift "$@"; else compdef _samdrift samdrift; fi
"""

_FISH = """\
function __samdrift_complete
    set -l program (commandline -opc)[1]
    set -l found ($program completion fish --line (commandline -cp | string collect) \\
        --whole (commandline | string collect) 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path (commandline -ct)
    else
        string replace -r '^(\\S+) ?(.*)$' '$1\\t$2' -- $found
    end
end
complete -c samdrift -f -a '(__samdrift_complete)'
"""


class Shell(StrEnum):
    """Supported shells."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


@app.command()
def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    line: Annotated[str | None, typer.Option("--line", hidden=True)] = None,
    whole: Annotated[str, typer.Option("--whole", hidden=True)] = "",
) -> None:
    """Print the script with which a shell completes commands, options and organisations.

    For bash: samdrift completion bash > /etc/bash_completion.d/samdrift. For zsh: a file _samdrift in a
    folder of $fpath. For fish: ~/.config/fish/completions/samdrift.fish.
    """
    if line is None:
        print_text(_SCRIPTS[shell])
        return
    found = candidates(line, whole or line)
    if found is None:
        print_line(_FILES)
    for each in found or ():
        print_line(f"{each.value} {each.help}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that fits at the cursor."""

    value: str
    help: str = ""


def candidates(line: str, whole: str) -> list[Candidate] | None:
    """Return the completions at the end of ``line``, which begins with the program; ``None`` for files.

    ``whole`` also includes the text after the cursor, which may name the configuration.
    """
    words = _words(line)
    current = "" if not words or line[-1:].isspace() else words.pop()
    place = _Place.of(words[1:])
    if place is None:
        return []
    found = place.suggested(current, lambda: organisations(_configurations(_words(whole))))
    return None if found is None else [each for each in found if each.value.startswith(current)]


def organisations(configurations: Iterable[Path]) -> list[str]:
    """Return the organisations of configurations, which are read as text; unreadable ones are skipped."""
    found: set[str] = set()
    for path in configurations:
        try:
            document = tomllib.loads(path.read_text())
            entries = document.get("organisations", ())
            found |= {str(each["identifier"]) for each in entries if isinstance(each, dict)}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(each for each in found if _IDENTIFIER.fullmatch(each))


class _Place:
    """The cursor's place in the command line: a command, and what it expects next."""

    def __init__(self, command: Any) -> None:
        self._command = command
        self._wanted: Any = None
        """Option whose value comes next."""
        self._given: set[str] = set()
        self._arguments = 0
        self._options_over = False

    @classmethod
    def of(cls, words: Sequence[str]) -> _Place | None:
        """Return the place after ``words``; ``None`` if they are not a command."""
        place = cls(_root())
        for word in words:
            below = place._after(word)
            if below is None:
                return None
            place = below
        return place

    def _after(self, word: str) -> _Place | None:
        if self._wanted is not None:
            self._wanted = None
        elif word == "--":
            self._options_over = True
        elif word.startswith("-") and not self._options_over:
            name, joined, _ = word.partition("=")
            option = self._option(name)
            if option is not None:
                self._given.add(option.name)
                self._wanted = None if joined or option.is_flag else option
        elif _subcommands(self._command) is not None:
            below = _subcommand(self._command, word)
            return None if below is None else _Place(below)
        else:
            self._arguments += 1
        return self

    def _option(self, name: str) -> Any:
        for each in self._command.params:
            if name in each.opts and name.startswith("-"):
                return each
        return None

    def suggested(self, current: str, known: Any) -> list[Candidate] | None:
        if self._wanted is not None:
            return _values(self._wanted, known)
        if current.startswith("-") and not self._options_over:
            name, joined, _ = current.partition("=")
            option = self._option(name)
            if joined and option is not None:
                values = _values(option, known)
                return values and [Candidate(f"{name}={each.value}", each.help) for each in values]
            return list(self._options())
        below = _subcommands(self._command)
        if below is not None:
            return [Candidate(name, text) for name, text in below]
        arguments = [each for each in self._command.params if not each.opts[0].startswith("-")]
        for number, each in enumerate(arguments):
            if number == self._arguments or each.nargs == -1:
                return _values(each, known)
        return list(self._options())

    def _options(self) -> Iterator[Candidate]:
        for each in self._command.params:
            fits = each.opts[0].startswith("-") and not each.hidden
            if fits and (each.multiple or each.name not in self._given):
                yield Candidate(each.opts[0], " ".join((getattr(each, "help", None) or "").split()))
        yield Candidate("--help", "Show what the command does, and its options.")


def _values(parameter: Any, known: Any) -> list[Candidate] | None:
    """Return the values of an option or argument; ``None`` for files."""
    annotation = parameter.type_descriptor.annotation
    kinds = [each for each in (*get_args(annotation), annotation) if isinstance(each, type)]
    for kind in kinds:
        if issubclass(kind, Enum):
            return [Candidate(str(each.value)) for each in kind]
        if issubclass(kind, ParticipantIdentifier):
            return [Candidate(each) for each in known()]
        if issubclass(kind, Path):
            return None
    if parameter.name in ("organisation", "organisations"):
        return [Candidate(each) for each in known()]
    return []


def _root() -> Any:
    from samdrift.cli.main import app as root

    return typer.main.get_command(root)


def _subcommands(command: Any) -> list[tuple[str, str]] | None:
    """Return names and help of a command's subcommands without importing them; ``None`` if it has none."""
    from samdrift.cli.main import COMMANDS, Commands

    if isinstance(command, Commands):
        return list(COMMANDS.items())
    below = getattr(command, "commands", None)
    return None if below is None else [(name, "") for name in below]


def _subcommand(command: Any, name: str) -> Any:
    from samdrift.cli.main import COMMANDS, Commands, command_named

    if isinstance(command, Commands):
        return command_named(name) if name in COMMANDS else None
    return command.commands.get(name)


def _configurations(words: Sequence[str]) -> list[Path]:
    found = [word.partition("=")[2] for word in words if word.startswith("--config=")]
    found += [after for word, after in pairwise(words) if word == "--config"]
    return [Path(each).expanduser() for each in found if each]


def _words(line: str) -> list[str]:
    """Split a line as a shell does; an open quotation ends with the line."""
    for closing in ("", '"', "'"):
        try:
            return shlex.split(line + closing)
        except ValueError:
            continue
    return line.split()
