"""Declarations of configuration keys: what reader, defaults and reference page are made from.

A table of the file is a frozen dataclass. Each attribute that is in the file is declared once, with
its type, its :class:`Key` and its default::

    retry_seconds: Annotated[int, Key("Time between attempts.", POSITIVE, unit="seconds")] = 30

:mod:`samdrift.config.reading` reads a table of that type, :mod:`samdrift.config.reference` writes its
part of docs/configuration.md. A new key is one such line, and the page made again:
``./samdrift config reference > docs/configuration.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum, StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

T = TypeVar("T")


class Change(StrEnum):
    """Event that has to happen before a changed value is used."""

    RESTART = "restart"
    FOLLOWED = "followed"
    """Running processes read it again by themselves."""
    COMMAND = "next command"
    """No running process uses it."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of value: its name in the reference, and its reading."""

    name: str
    read: Callable[[Any, Path], T]
    """Reader of a value, given the file's folder; :class:`ValueError` or :class:`TypeError` if unfit."""


class Shape(Enum):
    """The forms in which a key has tables below it."""

    ONE = "table"
    LIST = "array of tables"
    NAMED = "table of tables"
    """By names that are chosen in the file, such as those of transport profiles."""


@dataclass(frozen=True, slots=True)
class Tables:
    """A key with tables below it, each of which becomes an object of ``type``."""

    type: type[Any]
    shape: Shape = Shape.ONE
    keys: Mapping[str, Key | Compound] | None = None
    """Keys of a type of another package, which declares none itself."""


class _Unset(Enum):
    UNSET = 0


UNSET = _Unset.UNSET


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file."""

    text: str
    """Its meaning, in the reference page."""
    kind: Kind[Any] | Tables
    name: str = ""
    """Its name in the file, where that differs from the attribute's."""
    unit: str = ""
    default: Any = UNSET
    """Default of a key without an attribute that has one."""
    otherwise: str = ""
    """The effect of its absence in words, where the default does not tell."""
    required: bool = False
    """Set where the key must be given although its attribute has a default."""
    example: str = ""
    """A value in TOML; the default when empty."""
    since: str = ""
    """The first version that knows it; that of the table that it is in, when empty."""
    change: Change | None = None
    """Effect of a change; by default that of the table that it is in."""
    formerly: str | None = None
    """Its name in the version before, which still works."""

    def names(self, name: str) -> set[str]:
        """Return all names that the file may use for it."""
        return {name} if self.formerly is None else {name, self.formerly}


@dataclass(frozen=True, slots=True)
class Compound:
    """Several keys of the file that make up one attribute, whose default is that of the first."""

    build: Callable[..., Any]
    """Maker of the table's object, from the values in the order of the keys.

    :class:`ConfigError` names one of the keys, :class:`ValueError` means the first.
    """
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """An attribute with its keys, each with name and default."""

    attribute: str
    build: Callable[..., Any] | None
    keys: tuple[tuple[str, Key, Any], ...]


def declared(tables: Tables) -> Iterator[Declared]:
    """Yield what is declared of a table, in the order of its attributes."""
    own: Any = tables.type
    entries = tables.keys if tables.keys is not None else annotated(own)
    for attribute in fields(tables.type):
        entry = entries.get(attribute.name)
        if isinstance(entry, Key):
            own = (entry.name or attribute.name, entry, _default(entry, attribute))
            yield Declared(attribute.name, None, (own,))
        elif entry is not None:
            first, *others = entry.keys
            keys = ((first.name or attribute.name, first, _default(first, attribute)),)
            yield Declared(
                attribute.name, entry.build, (*keys, *((each.name, each, each.default) for each in others))
            )


@cache
def annotated(type_: Any) -> dict[str, Key | Compound]:
    """Return the keys of a type by attribute; an attribute without one is not in the file."""
    return {
        attribute: each
        for attribute, hint in get_type_hints(type_, include_extras=True).items()
        for each in getattr(hint, "__metadata__", ())
        if isinstance(each, Key | Compound)
    }


def _default(key: Key, attribute: Field[Any]) -> Any:
    if key.required or key.default is not UNSET:
        return key.default
    if attribute.default_factory is not MISSING:
        return attribute.default_factory()
    return UNSET if attribute.default is MISSING else attribute.default
