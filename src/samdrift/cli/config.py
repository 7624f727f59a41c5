"""``samdrift config``: check of configuration files for all faults, and the reference of every key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from samdrift.cli.output import print_line, print_text, print_verdict
from samdrift.config.errors import Unusable, shown
from samdrift.config.reader import examine
from samdrift.config.reference import page
from samdrift.config.toml import ConfigError

app = typer.Typer(add_completion=False)


@app.callback()
def config() -> None:
    """Check configuration files, and print what every key means."""


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", show_default=False, help="Configuration files.")
    ],
) -> int:
    """Check configuration files, and list every fault with its line. Nothing is started or changed.

    Files without faults of their own are also checked against each other, as `serve` does: for this, the
    certificates and keys that they name must exist.

    Exit status 0 when there is no fault, 1 otherwise.
    """
    good = [_without_faults(file) for file in files]
    return 0 if all(good) and (len(files) == 1 or _apart(files)) else 1


@app.command()
def reference() -> None:
    """Print the reference of the configuration file in Markdown: docs/configuration.md."""
    print_text(page())


def _without_faults(file: Path) -> bool:
    try:
        _, found = examine(file)
        faults: Sequence[ConfigError] = found.faults
        told = [("warning", each) for each in found.warnings] + [("note", each) for each in found.notes]
    except ConfigError as error:
        faults, told = error.faults, []
    for kind, each in told:
        print_line(f"{_place(file, each)}: {kind}: {each.where}: {each.text}")
    for each in faults:
        print_line(f"{_place(file, each)}: {_text(file, each)}")
    number = f"{len(faults) or 'no'} fault{'s' if len(faults) > 1 else ''}"
    print_verdict(f"{shown(file)}: ", number, good=not faults)
    return not faults


def _place(file: Path, error: ConfigError) -> str:
    return f"{shown(file)}:{error.line}" if error.line else shown(file)


def _text(file: Path, error: ConfigError) -> str:
    """Return the fault's text, without the file's name, which the line already begins with."""
    return error.text if error.where == str(file) else f"{error.where}: {error.text}"


def _apart(files: Sequence[Path]) -> bool:
    from samdrift.cli.installations import read_installations  # Imports key store and database driver.

    try:
        read_installations(files)
    except Unusable as error:
        print_line(str(error))
        return False
    return True
