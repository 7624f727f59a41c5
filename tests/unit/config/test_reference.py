"""docs/configuration.md describes what the reader reads, and every key is declared in full."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from samdrift.config.keys import Compound, Key, Tables, annotated, declared
from samdrift.config.model import Config
from samdrift.config.reading import read_table
from samdrift.config.reference import Section, page, sections
from samdrift.config.toml import Table

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
NOT_IN_THE_FILE = {"Config.file"}


def tables(own: Tables) -> Iterator[Tables]:
    yield own
    for attribute in declared(own):
        for _, key, _ in attribute.keys:
            if isinstance(key.kind, Tables):
                yield from tables(key.kind)


ALL = list(tables(Tables(Config)))


def test_the_page_is_the_one_that_the_model_gives() -> None:
    assert PAGE.read_text() == page(), "run: ./samdrift config reference > docs/configuration.md"


@pytest.mark.parametrize("own", ALL, ids=lambda own: own.type.__name__)
def test_every_attribute_is_a_key(own: Tables) -> None:
    """An attribute without a key could not be set, and would not be documented."""
    keys = own.keys if own.keys is not None else annotated(own.type)
    missing = {f"{own.type.__name__}.{each.name}" for each in fields(own.type) if each.name not in keys}
    assert missing <= NOT_IN_THE_FILE


@pytest.mark.parametrize("own", ALL, ids=lambda own: own.type.__name__)
def test_every_key_is_described(own: Tables) -> None:
    for attribute in declared(own):
        for name, key, _ in attribute.keys:
            assert name, attribute
            assert key.text.endswith("."), name
            assert not name.endswith("_seconds") or key.unit == "seconds", name


@pytest.mark.parametrize("section", list(sections()), ids=lambda section: section.header)
def test_every_example_is_read(section: Section) -> None:
    values: Any = tomllib.loads(section.example)
    for part in section.header.strip("[]").split(".") if section.header else ():
        values = values[part][0] if isinstance(values[part], list) else values[part]
    assert set(values) == set(section.keys)
    for name, (key, _) in section.keys.items():
        assert not isinstance(key.kind, Tables)
        assert key.kind.read(values[name], Path("/etc/samdrift")) is not None


def test_the_examples_together_are_a_configuration() -> None:
    """Except for examples that exclude each other, and for made-up names."""
    document = tomllib.loads(
        "\n".join(each.example for each in sections()).replace("NAME", "digg-transport-as4-v1_0")
    )
    table = Table(document, "", Path("/etc/samdrift"))
    read_table(Tables(Config), table, {})
    assert [str(each) for each in table.found.faults] == []


def test_a_key_stands_on_the_page_once_with_its_default() -> None:
    line = (
        "| `lease_seconds` | Time after which work of a process that may have ended, as on"
        " another machine, is taken over. "
    )
    assert PAGE.read_text().count(f"{line}| whole number from 1, in seconds | `300` | 0.1 | restart |") == 1


def test_declarations_are_found() -> None:
    found = annotated(Config)
    assert isinstance(found["environment"], Key)
    assert "file" not in found
    assert any(
        isinstance(each, Compound) for own in ALL if own.keys is None for each in annotated(own.type).values()
    )
