"""Commands in documents are valid on the command line: names, options, arguments, choices.

Tests that extract the commands of getting started, of the run books and of other documents also run them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.commandtree import Words, commands

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changes/*.md")])
_BLOCK = re.compile(r"^ *```[a-z]*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_CALLED = re.compile(r"(?:^|(?<=[\s(=']))(?:\./samdrift|/opt/samdrift/(?:bin/)?samdrift|^samdrift)(?=\s)(.*)")
_MENTIONED = re.compile(r"`(?:\./)?samdrift ([^`]+)`")
_LEFT_OUT = {"…", "..."}
"""Placeholders for a value, or for options and arguments, that are omitted."""
_NO_COMMANDS = {"log key v1"}
"""Texts that begin with the program's name but are not commands."""
_ENDS = re.compile(r"[();<>|&]+")


def words(line: str) -> list[str]:
    """Split the text after the program's name into words, up to the next shell operator."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    taken: list[str] = []
    for word in reader:
        if _ENDS.fullmatch(word):
            break
        taken.append(word)
    return taken


def called(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a document's code blocks."""
    for block in _BLOCK.findall(text):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            for rest in _CALLED.findall(line.strip()):
                # A unit quotes the shell's command, so its last word may end with a quotation mark.
                yield words(rest.removesuffix("'") if rest.count("'") % 2 else rest)


def mentioned(text: str) -> Iterator[list[str]]:
    """Yield the words of each command that a sentence names."""
    for found in _MENTIONED.findall(re.sub(_BLOCK, "", text)):
        yield re.sub(r"[\[\]]", "", found.split(" > ")[0]).replace("\n", " ").split()


def found(words: list[str]) -> tuple[Words, list[str]]:
    """Return the words that name a command or a group, and the remaining words."""
    length = 0
    while length < len(words) and _below((*words[: length + 1],)):
        length += 1
    return tuple(words[:length]), words[length:]


def _below(path: Words) -> dict[Words, Any]:
    return {each: command for each, command in commands().items() if each[: len(path)] == path}


def fault_of_call(words: list[str]) -> str | None:
    """Return the fault that the command line would find in a complete command, or None."""
    if words[:1] == ["--help"] or words[:1] == ["--version"]:
        return None
    path, rest = found(words)
    command = commands().get(path)
    if command is None:
        return "no such command"
    whole = not _LEFT_OUT & set(rest)
    pairs = zip(["", *rest], rest, strict=False)
    rest = [word for before, word in pairs if word not in _LEFT_OUT or before.startswith("--")]
    if rest == ["--help"] or command.context_settings.get("ignore_unknown_options"):
        return None
    context = command.context_class(command, info_name=" ".join(path))
    try:
        given, more, _ = command.make_parser(context).parse_args(args=list(rest))
    except Exception as refused:
        return str(refused)
    if more:
        return f"takes no {more}"
    for parameter in command.params:
        value = given.get(str(parameter.name))
        if whole and parameter.required and (value is None or value == ()):
            return f"lacks {parameter.name}"
        choices = parameter.type_descriptor.choices  # type: ignore[attr-defined]
        for one in value if isinstance(value, list | tuple) else [value]:
            if choices and isinstance(one, str) and one not in {getattr(it, "value", it) for it in choices}:
                return f"takes no {one} as {parameter.name}"
    return None


def fault_of_mention(words: list[str]) -> str | None:
    """Return the fault in a command that a sentence names, possibly without all of its arguments, or None."""
    if words[:1] == ["--help"] or " ".join(words) in _NO_COMMANDS:
        return None
    path, rest = found(words)
    if not path:
        return "no such command"
    if path not in commands() and rest and re.fullmatch(r"[a-z|-]+", rest[0]) and not rest[0].startswith("-"):
        missing = [name for name in rest[0].split("|") if not _below((*path, name))]
        return f"has no {missing}" if missing else None
    below = _below(path)
    parameters = [each for command in below.values() for each in command.params]
    known = {option for each in parameters for option in (*each.opts, *each.secondary_opts)}
    free = any(command.context_settings.get("ignore_unknown_options") for command in below.values())
    unknown = [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
    return None if free or not unknown else f"has no {unknown}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_command_in_a_document_is_one_that_is_taken(document: Path) -> None:
    text = document.read_text()
    faults = [(" ".join(each), fault_of_call(each)) for each in called(text)]
    faults += [(" ".join(each), fault_of_mention(each)) for each in mentioned(text)]
    assert [fault for fault in faults if fault[1]] == []


def test_commands_are_found_in_all_forms_in_which_documents_have_them() -> None:
    text = """
```
TOKEN=$(./samdrift client token --config $HABO)
sudo -u samdrift ./samdrift config check a.toml   # comment
./samdrift gov who-can 0203:habo.se \\
    --csv who.csv | cat
ExecStart=/bin/sh -c 'exec /opt/samdrift/samdrift isolation check --json > x.json'
systemctl enable --now samdrift
```
"""
    assert list(called(text)) == [
        ["client", "token", "--config", "$HABO"],
        ["config", "check", "a.toml"],
        ["gov", "who-can", "0203:habo.se", "--csv", "who.csv"],
        ["isolation", "check", "--json"],
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        "org sho 0203:habo.se",
        "org show --config",
        "org show 0203:habo.se --confg a.toml",
        "org show 0203:habo.se 0203:eksjo.se --config a.toml",
        "log verify",
        "log export 0203:habo.se --role mt --out a.log --by kim --config a.toml",
        "serve everything --config a.toml",
    ],
)
def test_a_command_that_is_wrong_is_found(wrong: str) -> None:
    assert fault_of_call(words(wrong)) is not None


@pytest.mark.parametrize("wrong", ["queue lst", "status --wach", "gov incident shared open|nte", "nothing"])
def test_a_mention_that_is_wrong_is_found(wrong: str) -> None:
    assert fault_of_mention(wrong.split()) is not None
