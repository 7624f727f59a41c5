"""Values of TOML, read strictly: of the right type and not empty, or an error that says what they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - what is listened on


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """An address and a port."""

    host: str
    port: int

    @property
    def called(self) -> str:
        """Host at which this machine reaches what listens there: one that means all addresses is not one."""
        return _ANY_ADDRESS.get(self.host, self.host)


def text(value: Any) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise TypeError("is not a text")
    return value


def flag(value: Any) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise TypeError("is neither true nor false")
    return value


def count(value: Any) -> int:
    """Return a whole number from 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("is not a whole number from 0")
    return value


def positive(value: Any) -> int:
    """Return a whole number from 1."""
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
    """Return the texts of a table, by their names."""
    if not isinstance(value, dict):
        raise TypeError("is not a table")
    return {key: text(each) for key, each in value.items()}
