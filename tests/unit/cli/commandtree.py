"""Every command of the command line, read from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import click
import typer

from samdrift.cli.main import COMMANDS

Words = tuple[str, ...]


def leaves(command: Any, path: Words) -> Iterator[tuple[Words, click.Command]]:
    """Yield the commands below a group, or the command itself, by the words that call them."""
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from leaves(below, (*path, name))
    else:
        yield path, command


@cache
def commands() -> dict[Words, click.Command]:
    """Return every command that does something, by the words that call it."""
    return {
        path: command
        for name in COMMANDS
        for path, command in leaves(
            typer.main.get_command(import_module(f"samdrift.cli.{name}").app), (name,)
        )
    }
