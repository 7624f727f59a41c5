"""The line of each key, which tomllib does not report, checked with tomllib itself."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.config.toml import lines_of
from tests.unit.config.test_reader import AT_DOMIBUS, GOOD

ROOT = Path(__file__).parents[3]
BLOCKS = [
    block
    for page in sorted((ROOT / "docs").glob("*.md"))
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
]
ODD = (
    """# a comment = [ "
a = "x # [y]" # z = 1
b.c = 'it"""
    + "'"
    + '''
"quoted key" = 1
'lit.eral' = [
  "]",  # ] comment
  { one = 1, two.three = [2, {four = 4}] },
]
many = """
[not.a.table]
key = \\"""
"""
raw = \'\'\'
[[neither]] \'\'\'
when = 1979-05-27 07:32:00
float = 1.5
empty = {}
none = []
[t]
[t.u]
x = {p = {q = "}"}}
[[list]]
n = 1
[list.below]
m = 2
[[list]]
[[list.below]]
m = 3
[[list.below]]
m = """x"""""
[ spaced . "key" ]
y = 0
'''
)


def places(value: Any, where: str = "") -> Iterator[str]:
    """Yield every table, key and item that tomllib finds."""
    if isinstance(value, dict):
        for name, each in value.items():
            place = f"{where}.{name}" if where else name
            yield place
            yield from places(each, place)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield f"{where}[{number}]"
            yield from places(each, f"{where}[{number}]")


@pytest.mark.parametrize("document", [GOOD, AT_DOMIBUS, ODD, *BLOCKS])
def test_every_key_that_tomllib_finds_has_a_line_and_nothing_else_has(document: str) -> None:
    assert set(lines_of(document)) == set(places(tomllib.loads(document)))


@pytest.mark.parametrize("document", [GOOD, AT_DOMIBUS, ODD, *BLOCKS])
def test_without_its_line_a_key_is_not_there_yet_and_with_it_begins(document: str) -> None:
    """The text above a key's line does not contain the key, wherever that text is valid TOML."""
    lines = document.split("\n")
    for place, line in lines_of(document).items():
        try:
            above = tomllib.loads("\n".join(lines[: line - 1]))
        except tomllib.TOMLDecodeError:
            continue
        assert place not in set(places(above))
        last = re.split(r"[.\[]", place.rstrip("]"))[-1]
        assert last.isdigit() or last.removeprefix("lit.") in lines[line - 1]


NAMES = st.sampled_from(["a", "b-c", "1", '"q.u o"', "'l'"])
SCALARS = st.sampled_from(
    ['"]"', "'#'", "-1.5e3", "true", '"""\n=\n"""', "'''\n[x]\n'''", "07:32:00", '"\\""']
)
VALUES: st.SearchStrategy[str] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ", # ,\n".join(items) + "\n]")
        | st.dictionaries(NAMES, inner, max_size=3).map(
            lambda pairs: "{ " + ", ".join(f"{name} = {value}" for name, value in pairs.items()) + " }"
        )
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["[{}]", "[[{}]]"]), NAMES, st.dictionaries(NAMES, VALUES)), max_size=5
    ),
    st.dictionaries(NAMES, VALUES, max_size=3),
)
def test_documents_of_any_form(tables: list[tuple[str, str, dict[str, str]]], first: dict[str, str]) -> None:
    pairs = [f"{name} = {value}" for name, value in first.items()]
    for number, (header, name, content) in enumerate(tables):
        pairs += [header.format(f"t{number % 2}.{name}")]
        pairs += [f"{key}.z = {value}" for key, value in content.items()]
    document = "\n".join(pairs)
    try:
        expected = set(places(tomllib.loads(document)))
    except tomllib.TOMLDecodeError:
        return
    assert set(lines_of(document)) == expected
