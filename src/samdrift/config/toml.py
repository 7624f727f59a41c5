"""Strict reading of TOML tables: a key that is missing, wrong or unknown is an error that names it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from samdrift.contracts.errors import Explained

T = TypeVar("T")


class ConfigError(Explained, ValueError):
    """What is wrong with the configuration, and where in it."""

    def __init__(self, where: str, text: str) -> None:
        super().__init__(f"{where}: {text}")
        self.where = where
        self.text = text


class Table:
    """A table of the file whose keys are taken one by one; what is left over is an error."""

    def __init__(self, values: Mapping[str, Any], where: str, folder: Path) -> None:
        self._values = dict(values)
        self._where = where
        self.folder = folder

    def take(self, key: str, read: Callable[[Any], T], *default: T) -> T:
        """The value of ``key`` through ``read``, which raises ``ValueError`` or ``TypeError``."""
        if key not in self._values:
            if default:
                return default[0]
            raise ConfigError(self.at(key), "is missing")
        try:
            return read(self._values.pop(key))
        except (ValueError, TypeError) as error:
            raise ConfigError(self.at(key), str(error)) from None

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def table(self, key: str) -> Table:
        return self.take(key, lambda value: self._sub(value, key))

    def optional(self, key: str) -> Table | None:
        return self.table(key) if key in self._values else None

    def tables(self, key: str) -> list[Table]:
        values: list[Any] = self.take(key, items, [])
        return [self._sub(value, f"{key}[{number}]") for number, value in enumerate(values)]

    def path(self, key: str) -> Path:
        return self.take(key, lambda value: self.folder / text(value))

    def place(self, key: str) -> Path | str:
        """A folder, or a URL as it stands."""
        return self.take(
            key, lambda value: text(value) if "://" in text(value) else self.folder / text(value)
        )

    def finish(self) -> None:
        """Raise for keys that nobody took."""
        for key in self._values:
            raise ConfigError(self.at(key), "is not a setting")

    def _sub(self, value: Any, key: str) -> Table:
        if not isinstance(value, dict):
            raise TypeError("is not a table")
        return Table(value, self.at(key), self.folder)

    def at(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key


def read_file(path: Path) -> Table:
    """A file's outermost table; paths in it are relative to the file's folder."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"is not TOML: {error}") from None
    return Table(document, "", path.parent.resolve())


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("is not a text")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("is neither true nor false")
    return value


def count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("is not a whole number from 0")
    return value


def positive(value: Any) -> int:
    if count(value) == 0:
        raise ValueError("is not a whole number from 1")
    return int(value)


def items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("is not a list")
    return value


def texts(value: Any) -> tuple[str, ...]:
    return tuple(text(each) for each in items(value))


def names(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError("is not a table")
    return {key: text(each) for key, each in value.items()}
