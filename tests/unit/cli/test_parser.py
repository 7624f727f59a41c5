"""Rules that hold for every command; the whole parser is walked, so that they hold for new commands too."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from rich.markup import render

from samdrift.cli.main import COMMANDS, command_named
from tests.unit.cli.commandline import in_process

Path_ = tuple[str, ...]
ONE_TEXT = ("--json", "--organisation")
"""Options that mean the same everywhere, and have the same help text."""
OTHER_WORDS = {
    ("gov", "incident", "shared", "open"): "the organisations that it concerns, more than one",
}
"""Commands in which an option of such a name means something else."""
ONE_KIND = ("--by", "--reason", "--config", "--limit", "--out", "--identity", "--with")
"""Options that accept the same kind of value everywhere."""
CONFIGS = ("configuration file", "Configuration whose")
NOT_A_LIST = {
    "gov": "signed decisions, which are shown as they are",
    "routing": "shows what belongs to each organisation below it",
}


def walk(command: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*path, name))


EVERYTHING: dict[Path_, Any] = {
    path: found for name in COMMANDS for path, found in walk(command_named(name), (name,))
}
LEAVES = {path: found for path, found in EVERYTHING.items() if not hasattr(found, "commands")}
PARAMETERS = [
    (" ".join(path), each)
    for path, found in LEAVES.items()
    for each in found.params
    if not getattr(each, "hidden", False)
]


def options() -> Iterator[tuple[str, str, Any]]:
    for path, each in PARAMETERS:
        if each.opts[0].startswith("-"):
            yield path, each.opts[0], each


def test_the_walk_sees_every_command() -> None:
    assert len(LEAVES) > 150
    assert {path[0] for path in LEAVES} == set(COMMANDS)


def test_every_command_and_group_says_what_it_does_in_sentences() -> None:
    wrong = []
    for path, found in EVERYTHING.items():
        text = (found.help or "").strip()
        first = text.split("\n\n")[0]
        if not re.match(r"[A-Z`]", first) or not re.search(r"[.:)]$", first):
            wrong.append((" ".join(path), first))
    assert wrong == []


def test_every_option_and_argument_says_what_it_is() -> None:
    wrong = [
        (path, each.opts[0])
        for path, each in PARAMETERS
        if not re.fullmatch(r"[A-Za-z0-9`].*[.)]", " ".join((getattr(each, "help", None) or "").split()))
    ]
    assert wrong == []


@pytest.mark.parametrize("name", ONE_TEXT)
def test_an_option_with_one_meaning_has_one_text(name: str) -> None:
    texts = defaultdict(list)
    for path, option, each in options():
        if option == name and tuple(path.split()) not in OTHER_WORDS:
            texts[each.help].append(path)
    assert len(texts) == 1, texts


@pytest.mark.parametrize("name", ONE_KIND)
def test_an_option_takes_the_same_kind_of_value_everywhere(name: str) -> None:
    kinds = defaultdict(list)
    for path, option, each in options():
        if option == name:
            kinds[each.is_flag].append(path)
    assert set(kinds) == {False}, kinds


def test_every_configuration_is_named_in_the_same_way() -> None:
    assert {
        path: each.help
        for path, option, each in options()
        if option == "--config" and not any(words in each.help for words in CONFIGS)
    } == {}


def test_an_organisation_that_may_be_left_out_is_named_by_an_option() -> None:
    """Arguments are always required, so an optional organisation is `--organisation`."""
    wrong = {
        path
        for path, each in PARAMETERS
        if not each.opts[0].startswith("-") and each.name == "organisation" and not each.required
    }
    assert wrong == set()


def test_options_are_whole_words() -> None:
    wrong = {
        (path, name)
        for path, option, each in options()
        for name in each.opts
        if not re.fullmatch(r"--[a-z0-9]+(-[a-z0-9]+)*", name)
    }
    assert wrong == set()


def test_every_list_has_headers() -> None:
    """Commands that list things print a table with headers."""
    wrong = []
    for path, found in LEAVES.items():
        if path[-1] in ("list", "refused", "kept") and path[0] not in NOT_A_LIST:
            source = inspect.getsource(inspect.unwrap(found.callback))
            if "print_table(" not in source and "print_rows(" not in source:
                wrong.append(" ".join(path))
    assert wrong == []


def test_the_former_spelling_of_an_organisation_works_with_a_warning() -> None:
    """It works for one version, so that scripts go on, and standard error shows the new spelling."""
    for command in (("org", "keys", "list"), ("log", "status"), ("log", "checkpoint"), ("log", "export")):
        (former,) = (each for each in LEAVES[command].params if each.name == "former")
        assert former.hidden
        assert not former.required
    ended = in_process("org", "keys", "list", "0203:habo.se", "--config", "/nowhere/production.toml")
    warning, refused = ended.complaints.splitlines()
    assert warning.startswith("samdrift: write --organisation 0203:habo.se: ")
    assert "there is no such file" in refused
    both = ("0203:habo.se", "--organisation", "0203:aneby.se", "--config", "/nowhere/production.toml")
    assert "two organisations are named" in in_process("org", "keys", "list", *both).complaints


def test_an_identifier_is_read_before_anything_is_opened() -> None:
    """A misspelt identifier ends the command with one line about the spelling, whatever else was given."""
    ended = in_process("storage", "--organisation", "habo", "--config", "/nowhere/production.toml")
    assert (ended.status, ended.complaints.count("\n")) == (2, 1)
    assert "a participant identifier starts with 0203:" in ended.complaints


def test_a_group_without_a_command_says_which_there_are() -> None:
    ended = in_process("queue")
    assert (ended.status, ended.output) == (2, "")
    assert "command" in ended.complaints


def test_no_word_of_a_help_page_is_taken_for_markup() -> None:
    """Most pages showed `[[staff]]` as `[]`, because the printer reads brackets as markup."""
    texts = {(path, getattr(each, "help", None) or "") for path, each in PARAMETERS}
    texts |= {(" ".join(path), each.help or "") for path, each in LEAVES.items()}
    assert [(path, text) for path, text in sorted(texts) if render(text).plain != text] == []
