"""Subcommands of a group, each imported when used, so that one starts without the imports of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import typer
from typer.core import TyperGroup

from samdrift.installation.startup import import_for_life


class _Commands(Mapping[str, Any]):
    """The commands by name; iterating over the values imports all of them, as the group's help does."""

    def __init__(self, package: str, rows: Mapping[str, str]) -> None:
        self._package = package
        self._rows = rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = self._rows[name].partition(":")
        found = getattr(import_for_life(f"{self._package}.{module}"), attribute)
        if not isinstance(found, typer.Typer):
            app = typer.Typer(add_completion=False)
            app.command(name)(found)
            found = app
        command = typer.main.get_command(found)
        command.name = name
        return command


def group_of(package: str, rows: Mapping[str, str]) -> type[TyperGroup]:
    """Return a group class with one command per row: its name, and its ``module:function`` in ``package``.

    A row may name a ``typer`` object instead of a function, for a nested group or a command with its own
    settings.
    """

    class Group(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = cast(Any, _Commands(package, rows))

    return Group
