"""Strict readers of TOML values, which raise an error if a value is of the wrong type or empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - listening addresses


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """A host and a port."""

    host: str
    port: int

    @property
    def called(self) -> str:
        """Return the host to connect to from this machine, replacing one that means all addresses."""
        return _ANY_ADDRESS.get(self.host, self.host)


def text(value: Any) -> str:
    """Return a non-empty text."""
    if not isinstance(value, str) or not value:
        raise TypeError("is not a text")
    return value


def flag(value: Any) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise TypeError("is neither true nor false")
    return value


def count(value: Any) -> int:
    """Return a whole number of 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("is not a whole number from 0")
    return value


def positive(value: Any) -> int:
    """Return a whole number of 1 or more."""
    if count(value) == 0:
        raise ValueError("is not a whole number from 1")
    return int(value)


def items(value: Any) -> list[Any]:
    """Return the items of a list."""
    if not isinstance(value, list):
        raise TypeError("is not a list")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Return the texts of a list."""
    return tuple(text(each) for each in items(value))


def names(value: Any) -> dict[str, str]:
    """Return the texts of a table, by name."""
    if not isinstance(value, dict):
        raise TypeError("is not a table")
    return {key: text(each) for key, each in value.items()}
