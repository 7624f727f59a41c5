"""The reader of any table that is declared by its keys, which reports all faults of a file in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from samdrift.config.keys import UNSET, Declared, Key, Shape, Tables, declared
from samdrift.config.toml import ConfigError, Table
from samdrift.config.values import items

Breaches = Iterator[tuple[str, str]]
"""Key and text of each violation of a rule."""
Check = Callable[[Any, Table], Breaches]
"""A rule that involves several keys of one table."""
Checks = Mapping[type[Any], tuple[Check, ...]]
"""The rules, by the type of the table."""


class Undecided(Exception):
    """A rule cannot be checked, because a value that it needs is itself faulty."""


class _Unreadable:
    """Placeholder for a faulty value: any use of it ends the rule that uses it."""

    def _undecided(self, *_: Any) -> NoReturn:
        raise Undecided

    __getattr__ = __eq__ = __hash__ = __bool__ = __iter__ = __len__ = __contains__ = _undecided
    __str__ = __fspath__ = __mul__ = __rmul__ = __gt__ = _undecided


UNREADABLE: Any = _Unreadable()


def read_table(tables: Tables, table: Table, checks: Checks) -> Any:
    """Return the object of one table, and record all its faults in ``table.found``.

    Faulty values are placeholders in the object; rules that do not depend on them are still checked.
    """
    written = set(table.values)
    values = {}
    for each in declared(tables):
        values[each.attribute] = _attribute(each, table, checks)
        written -= {known for name, key, _ in each.keys for known in key.names(name)}
    for key in sorted(written):
        table.fault(key, _not_a_setting(key, tables))
    read = tables.type(**values)
    for check in checks.get(tables.type, ()):
        for where, text in _decided(check(read, table)):
            table.breach(where, text)
    return read


def _decided(breaches: Breaches) -> Breaches:
    """Yield the violations of a rule, as far as it can be checked."""
    try:
        yield from breaches
    except Undecided:
        return


def _attribute(attribute: Declared, table: Table, checks: Checks) -> Any:
    values = [_value(name, key, default, table, checks) for name, key, default in attribute.keys]
    if attribute.build is None or any(each is UNREADABLE for each in values):
        return values[0] if attribute.build is None else UNREADABLE
    try:
        return attribute.build(*values)
    except Undecided:
        return UNREADABLE
    except ConfigError as error:
        table.fault(error.where, error.text)
    except ValueError as error:
        table.fault(attribute.keys[0][0], str(error))
    return UNREADABLE


def _value(name: str, key: Key, default: Any, table: Table, checks: Checks) -> Any:
    name = _written(name, key, table)
    if name not in table:
        if default is UNSET:
            table.fault(name, "is missing")
            return UNREADABLE
        return default
    try:
        return _read(name, key, table, checks)
    except (ValueError, TypeError) as error:
        table.fault(name, str(error))
        return UNREADABLE


def _written(name: str, key: Key, table: Table) -> str:
    """Return the name that the file uses, which may be the key's former name."""
    if key.formerly is None or key.formerly not in table:
        return name
    if name in table:
        table.fault(key.formerly, f"is the former name of {name}, which is also set")
        return name
    table.warn(key.formerly, f"is called {name} now; the former name works in this version only")
    return key.formerly


def _read(name: str, key: Key, table: Table, checks: Checks) -> Any:
    value = table.values[name]
    kind = key.kind
    if not isinstance(kind, Tables):
        return kind.read(value, table.folder)
    if kind.shape is Shape.ONE:
        return read_table(kind, table.table(name, value), checks)
    if kind.shape is Shape.LIST:
        places = {f"{name}[{number}]": each for number, each in enumerate(items(value))}
        return tuple(_below(kind, place, each, table, checks) for place, each in places.items())
    named = table.table(name, value)
    return {each: _below(kind, each, values, named, checks) for each, values in named.values.items()}


def _below(kind: Tables, place: str, values: Any, table: Table, checks: Checks) -> Any:
    """Return one of several tables below a key; a fault in one does not affect the others."""
    try:
        return read_table(kind, table.table(place, values), checks)
    except TypeError as error:
        table.fault(place, str(error))
        return UNREADABLE


def _not_a_setting(key: str, tables: Tables) -> str:
    known = {name for each in declared(tables) for name, _, _ in each.keys}
    close = get_close_matches(key, sorted(known), n=1)
    return "is not a setting" + (f"; did you mean {close[0]}?" if close else "")
