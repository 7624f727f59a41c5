"""Declarations of configuration keys, which the reader, the defaults and the reference page are based on.

A table of the file is a frozen dataclass. Each attribute that is in the file is declared once, with
its type, its :class:`Key` and its default::

    retry_seconds: Annotated[int, Key("Time between attempts.", POSITIVE, unit="seconds")] = 30

:mod:`samdrift.config.reading` reads a table of that type, and :mod:`samdrift.config.reference` writes its
part of docs/configuration.md. To add a key, add one such line and regenerate the page: ``./samdrift config
reference > docs/configuration.md``.
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
    """Step that is needed for a changed value to take effect."""

    RESTART = "restart"
    FOLLOWED = "followed"
    """Running processes read the value again by themselves."""
    COMMAND = "next command"
    """The value is used only by commands, not by running processes."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of value: its name in the reference, and its reader."""

    name: str
    read: Callable[[Any, Path], T]
    """Reader of a value in a file in the given folder; raises :class:`ValueError` or :class:`TypeError`."""


class Shape(Enum):
    """Forms in which a key can have tables below it."""

    ONE = "table"
    LIST = "array of tables"
    NAMED = "table of tables"
    """Tables with names that are chosen in the file, such as those of transport profiles."""


@dataclass(frozen=True, slots=True)
class Tables:
    """A key with tables below it, each of which is read into an object of ``type``."""

    type: type[Any]
    shape: Shape = Shape.ONE
    keys: Mapping[str, Key | Compound] | None = None
    """Declarations for a type in another package that has none itself."""


class _Unset(Enum):
    UNSET = 0


UNSET = _Unset.UNSET


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file."""

    text: str
    """Its description in the reference page."""
    kind: Kind[Any] | Tables
    name: str = ""
    """Its name in the file, if different from the attribute's."""
    unit: str = ""
    default: Any = UNSET
    """Default of a key without an attribute that has one."""
    otherwise: str = ""
    """Description of the effect of leaving it out, if the default does not show that."""
    required: bool = False
    """True if the key must be given although its attribute has a default."""
    example: str = ""
    """Example value in TOML; empty to show the default."""
    since: str = ""
    """First version that knows the key; empty for that of its table."""
    change: Change | None = None
    """Step that is needed after a change; ``None`` for that of its table."""
    formerly: str | None = None
    """Its name in the previous version, which still works."""

    def names(self, name: str) -> set[str]:
        """Return all names that the file may use for it."""
        return {name} if self.formerly is None else {name, self.formerly}


@dataclass(frozen=True, slots=True)
class Compound:
    """Several keys of the file that form one attribute, whose default is that of the first key."""

    build: Callable[..., Any]
    """Function that makes the attribute's value from the keys' values, in their order.

    A :class:`ConfigError` from it names one of the keys; a :class:`ValueError` concerns the first.
    """
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """An attribute with its keys, each with its name and default."""

    attribute: str
    build: Callable[..., Any] | None
    keys: tuple[tuple[str, Key, Any], ...]


def declared(tables: Tables) -> Iterator[Declared]:
    """Yield the declared attributes of a table in their order."""
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
    """Return the keys of a type by attribute; attributes without one are not in the file."""
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
