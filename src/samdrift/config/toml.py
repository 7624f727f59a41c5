"""The TOML of a configuration file: its tables, the line of each key, and all faults found in it."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samdrift.config.errors import shown
from samdrift.contracts.errors import Explained


class ConfigError(Explained, ValueError):
    """A fault in the configuration, with the key, the text and, if known, the line."""

    def __init__(
        self,
        where: str,
        text: str,
        *,
        line: int | None = None,
        others: Iterable[ConfigError] = (),
        file: Path | None = None,
    ) -> None:
        """Combine a fault with ``others``; with ``file``, the text only counts them and refers to a command.

        ``file`` is the installation's configuration file. For other files the text lists all faults.
        """
        self.where = where
        self.text = text
        self.line = line
        self.faults = (self, *others)
        """This fault, and the others in the same file."""
        notes = [f"line {line}"] if line else []
        if file is not None and len(self.faults) > 1:
            notes.append(f"and {len(self.faults) - 1} more, see samdrift config check {shown(file)}")
        elif len(self.faults) > 1:
            notes += [f"{each.where}: {each.text}" for each in self.faults[1:]]
        super().__init__(f"{where}: {text}" + (f" ({'; '.join(notes)})" if notes else ""))


@dataclass(slots=True)
class Findings:
    """Faults, warnings and notes of one file, collected while it is read."""

    lines: Mapping[str, int] = field(default_factory=dict)
    unreadable: list[ConfigError] = field(default_factory=list)
    """Faults of single keys."""
    breaches: list[ConfigError] = field(default_factory=list)
    """Conflicts between keys."""
    warnings: list[ConfigError] = field(default_factory=list)
    notes: list[ConfigError] = field(default_factory=list)
    """Consequences that people may not expect, shown when the file is checked."""

    @property
    def faults(self) -> tuple[ConfigError, ...]:
        """Return all faults in the order of the file, conflicts between keys last."""
        ordered = (
            sorted(each, key=lambda fault: fault.line or 0) for each in (self.unreadable, self.breaches)
        )
        return tuple(itertools.chain.from_iterable(ordered))

    def line(self, where: str) -> int | None:
        """Return the line of a key or, if it is not in the file, of its nearest table."""
        ends = (end for end in range(len(where), 0, -1) if where[end : end + 1] in ("", ".", "["))
        return next((self.lines[where[:end]] for end in ends if where[:end] in self.lines), None)

    def require_no_faults(self, file: Path | None = None) -> None:
        """Raise the first fault, with all others attached, if there is any; ``file`` is an installation's."""
        if self.faults:
            first, *others = self.faults
            raise ConfigError(first.where, first.text, line=first.line, others=others, file=file)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file, with its place in it and the folder that its paths are relative to."""

    values: Mapping[str, Any]
    where: str
    folder: Path
    found: Findings = field(default_factory=Findings)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def at(self, key: str) -> str:
        """Return the full name of a key of this table."""
        return f"{self.where}.{key}" if self.where else key

    def table(self, key: str, values: Any) -> Table:
        """Return the table below ``key``; raise :class:`TypeError` if the value is not a table."""
        if not isinstance(values, dict):
            raise TypeError("is not a table")
        return Table(values, self.at(key), self.folder, self.found)

    def fault(self, key: str, text: str) -> None:
        """Record a fault of a key of this table."""
        self.found.unreadable.append(self._error(key, text))

    def breach(self, key: str, text: str) -> None:
        """Record a conflict between a key of this table and others."""
        self.found.breaches.append(self._error(key, text))

    def warn(self, key: str, text: str) -> None:
        """Record a use that works in this version but not in the next."""
        self.found.warnings.append(self._error(key, text))

    def note(self, key: str, text: str) -> None:
        """Record a consequence that people may not expect."""
        self.found.notes.append(self._error(key, text))

    def _error(self, key: str, text: str) -> ConfigError:
        where = self.at(key)
        return ConfigError(where, text, line=self.found.line(where))


def read_file(path: Path) -> Table:
    """Read a file's outermost table; raise :class:`ConfigError` when it is missing or not TOML."""
    try:
        document = path.read_text(encoding="utf-8")
        values = tomllib.loads(document)
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), _unreadable(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"is not TOML: {error}") from None
    return Table(values, "", path.parent.resolve(), Findings(lines_of(document)))


def _unreadable(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return f"cannot be read: {(error.strerror or type(error).__name__).lower()}"


_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\r]+|\#[^\n]*)
    |(?P<newline>\n)
    |(?P<quoted>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
    |(?P<mark>[\[\]{}=,.])
    |(?P<bare>[^\s\[\]{}=,.\#"']+)
    """,
    re.VERBOSE | re.DOTALL,
)


def lines_of(document: str) -> dict[str, int]:
    """Return the line of each table, key and item of a document that :mod:`tomllib` has accepted."""
    return _Lines(document).found


class _Lines:
    """A walk over the tokens of a valid document, since tomllib does not report where a key is."""

    def __init__(self, document: str) -> None:
        self.found: dict[str, int] = {}
        self._lengths: dict[str, int] = {}
        """Number of tables in each array of tables so far."""
        self._tokens: list[tuple[str, int]] = []
        line = 1
        for match in _TOKEN.finditer(document):
            if match.lastgroup != "blank":
                self._tokens.append((match.group(), line))
            line += match.group().count("\n")
        self._tokens.append(("", line))
        self._next = 0
        table = ""
        while self._peek():
            if self._skip("["):
                table = self._header()
            elif not self._skip("\n"):
                self._pair(table)

    def _peek(self) -> str:
        return self._tokens[self._next][0]

    def _take(self) -> tuple[str, int]:
        self._next += 1
        return self._tokens[self._next - 1]

    def _skip(self, text: str) -> bool:
        """Skip the next token if it is ``text``; return whether it was."""
        if self._peek() != text:
            return False
        self._next += 1
        return True

    def _header(self) -> str:
        """Read ``[a.b]`` or ``[[a.b]]``, and return the name of the table that begins there."""
        array = self._skip("[")
        *above, (last, line) = self._names()
        where = ""
        for name, at in above:
            where = self._note(where, name, at)
            where = f"{where}[{self._lengths[where] - 1}]" if where in self._lengths else where
        where = self._note(where, last, line)
        self._take()
        if array:
            self._take()
            self._lengths[where] = self._lengths.get(where, 0) + 1
            where = f"{where}[{self._lengths[where] - 1}]"
            self.found[where] = line
        return where

    def _names(self) -> list[tuple[str, int]]:
        """Read a key, which may be dotted, and return its parts with their lines."""
        names = []
        while True:
            name, line = self._take()
            names.append((tomllib.loads(f"name = {name}")["name"] if name[0] in "\"'" else name, line))
            if not self._skip("."):
                return names

    def _note(self, where: str, name: str, line: int) -> str:
        where = f"{where}.{name}" if where else name
        self.found.setdefault(where, line)
        return where

    def _pair(self, where: str) -> None:
        """Read ``key = value`` and record the lines in it."""
        for name, line in self._names():
            where = self._note(where, name, line)
        self._take()
        self._value(where)

    def _value(self, where: str) -> None:
        if self._skip("["):
            self._items(where)
        elif self._skip("{"):
            while not self._skip("}"):
                if not (self._skip(",") or self._skip("\n")):
                    self._pair(where)
        else:
            while self._peek() not in ("", "\n", ",", "]", "}"):
                self._take()

    def _items(self, where: str) -> None:
        number = 0
        while not self._skip("]"):
            if not (self._skip(",") or self._skip("\n")):
                self.found[f"{where}[{number}]"] = self._tokens[self._next][1]
                self._value(f"{where}[{number}]")
                number += 1
