"""Every table that has a text for the members of an enumeration has one for each, or a reason why not."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from enum import Enum

from samdrift.web.texts import Phrase

_PACKAGES = ("messageclient", "web", "entrance", "governance", "console")
_PARTIAL = {
    "messageclient.assigning.routes.RIGHTS": "the rights to a mailbox; the page has no others",
    "messageclient.assigning.routes._REFUSED": "read with a text for all others",
    "messageclient.pages.draftfiles.FILE_PROBLEMS": "the problems of a file",
    "messageclient.pages.reading.NAME_OF_ALL": "the lists of all mailboxes together",
    "messageclient.pages.selecting._STATES": "any state is not named",
    "messageclient.pages.writing.PROBLEMS": "too many files is a problem of the file that was one too many",
    "governance.pages.rights._TYPED": "the kinds that a person types",
    "console.words.DEPENDENCIES": "read with the identifier for all others",
    "console.words.KEYS": "read with the identifier for all others",
    "console.words.STANDINGS": "a transfer that waits is not refused",
}
"""Tables without a text for each member, with the reason why the others are never read."""


def _tables() -> Iterator[tuple[str, Mapping[Enum, Phrase]]]:
    """Yield each table of texts by each name that a module has for it."""
    for package in _PACKAGES:
        root = importlib.import_module(f"samdrift.{package}")
        for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            for name, table in vars(importlib.import_module(found.name)).items():
                if isinstance(table, Mapping) and table and _is_of_texts(table):
                    yield f"{found.name.removeprefix('samdrift.')}.{name}", table


def _is_of_texts(table: Mapping[object, object]) -> bool:
    kinds = {type(member) for member in table}
    of_one = len(kinds) == 1 and issubclass(kinds.pop(), Enum)
    return of_one and all(isinstance(text, Phrase) for text in table.values())


def test_every_member_of_an_enumeration_has_its_text() -> None:
    tables = dict(_tables())
    lacking = {name: _lacking(table) for name, table in tables.items() if _lacking(table)}
    partial = [id(tables[name]) for name in _PARTIAL]
    assert {name: names for name, names in lacking.items() if id(tables[name]) not in partial} == {}
    assert _PARTIAL.keys() <= lacking.keys(), "a table that is complete is no exception"


def _lacking(table: Mapping[Enum, Phrase]) -> list[str]:
    return [one.name for one in type(next(iter(table))) if one not in table]
