"""The generator of docs/configuration.md, the reference of the configuration file, from the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from samdrift.config.keys import UNSET, Change, Key, Kind, Shape, Tables, declared
from samdrift.config.model import Config

_HEAD = """# The configuration file

One file in TOML is one installation. `./samdrift config check FILE` lists every fault of a file with
its line, and warns of keys that have a new name. An unknown key is a fault. Paths are relative to the
folder of the file.

*After a change* is how a running installation comes to use a new value: by a **restart** of `serve`; by
itself, when it is **followed** with the next request; or with the **next command**, when no running
process uses it. Trust folder, certificates, keys and bundles that a key *names* are followed
([operations](operations.md#what-is-followed-without-a-restart)).

The example of a table has all of its keys, also such as exclude each other.

This page is made by `./samdrift config reference` from what the reader reads.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the file: its heading, its meaning, and its keys by name."""

    header: str
    text: str
    keys: dict[str, tuple[Key, Any]]
    """The keys with their defaults."""

    @property
    def example(self) -> str:
        """Return the table in TOML with every key."""
        values = (f"{name} = {_example(key, default)}" for name, (key, default) in self.keys.items())
        return "\n".join([*([self.header] if self.header else []), *values])


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *(_shown(section) for section in sections())])


def sections() -> Iterator[Section]:
    """Yield all tables, the outermost first."""
    outermost = Key("The keys before the first table.", Tables(Config), since="0.1", change=Change.RESTART)
    yield from _sections("", "", outermost, outermost.kind)


def _sections(where: str, header: str, own: Key, tables: Kind[Any] | Tables) -> Iterator[Section]:
    """Yield the section of a table, and those of the tables below it."""
    assert isinstance(tables, Tables)
    keys: dict[str, tuple[Key, Any]] = {}
    below = []
    for attribute in declared(tables):
        for name, key, default in attribute.keys:
            full = replace(key, since=key.since or own.since, change=key.change or own.change)
            if isinstance(key.kind, Tables):
                below.append((f"{where}.{name}".removeprefix("."), full, key.kind))
            else:
                keys.setdefault(name, (full, default))
    yield Section(header, own.text + _former(own), keys)
    for place, key, kind in below:
        path = f"{place}.NAME" if kind.shape is Shape.NAMED else place
        yield from _sections(path, f"[[{path}]]" if kind.shape is Shape.LIST else f"[{path}]", key, kind)


def _shown(section: Section) -> str:
    head = ["key", "meaning", "type", "without it", "since", "after a change"]
    rows = [
        [f"`{name}`", key.text + _former(key), _type(key), _default(key, default), key.since, str(key.change)]
        for name, (key, default) in section.keys.items()
    ]
    table = "\n".join(_row(each) for each in (head, ["---"] * len(head), *rows))
    title = section.header or "Outermost keys"
    return f"## {title.strip('[]')}\n\n{section.text}\n\n{table}\n\n```toml\n{section.example}\n```\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _former(key: Key) -> str:
    return (
        f" Formerly `{key.formerly}`, which works in version {key.since} with a warning."
        if key.formerly
        else ""
    )


def _type(key: Key) -> str:
    assert isinstance(key.kind, Kind)
    return f"{key.kind.name}, in {key.unit}" if key.unit else key.kind.name


def _default(key: Key, default: Any) -> str:
    if key.otherwise:
        return key.otherwise
    if default is UNSET:
        return "**needed**"
    return "–" if default in (None, "", ()) else f"`{json.dumps(default)}`"


def _example(key: Key, default: Any) -> str:
    return key.example or json.dumps(default)
