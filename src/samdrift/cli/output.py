"""Terminal output of all commands: results on standard output, complaints as one line on standard error.

Much of what commands print comes from a peer: names in certificates, texts of receipts, answers of services.
Characters that could move the cursor, or colour, hide or reorder text on the screen, are escaped here, in one
place, so that no command can forget it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from samdrift.config.errors import Unusable, printable, shown


def complain(text: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(f"samdrift: {printable(text)}\n")


def complain_of_unreached(unreached: Mapping[Any, str]) -> int:
    """Report the organisations whose vaults could not be reached, and why; return the exit status."""
    for organisation, reason in unreached.items():
        complain(f"{organisation} could not be asked, and is not in this answer: {reason}")
    return 1 if unreached else 0


def print_line(text: str = "") -> None:
    """Print one line on standard output."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def print_verdict(before: str, verdict: str, *, good: bool) -> None:
    """Print a line that ends with the verdict of a check, in green or red on a terminal."""
    colour = typer.colors.GREEN if good else typer.colors.RED
    styled = typer.style(printable(verdict), colour) if sys.stdout.isatty() else printable(verdict)
    sys.stdout.write(f"{printable(before)}{styled}\n")


def print_text(text: str) -> None:
    """Print our own text of several lines, each of which may contain names from a peer."""
    sys.stdout.write("\n".join(map(printable, text.removesuffix("\n").split("\n"))) + "\n")


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns below upper-case headers; print nothing without rows."""
    shown_rows = [[printable(cell) for cell in row] for row in rows]
    if not shown_rows:
        return
    lines = [[header.upper() for header in headers], *shown_rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")
    sys.stdout.flush()


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of a document as a table of the columns that are not empty, named as in the document."""
    names = [name for name in (rows[0] if rows else ()) if any(row[name] not in (None, "") for row in rows)]
    print_table(
        names, [["-" if row[name] in (None, "") else str(row[name]) for name in names] for row in rows]
    )


def size_text(size: int) -> str:
    """Return a number of bytes in a readable form, with a decimal unit from kilobytes upwards."""
    if size < 1000:
        return f"{size} B"
    value, units = float(size), ("kB", "MB", "GB", "TB", "PB")
    for unit in units:
        value /= 1000
        if value < 999.95 or unit == units[-1]:
            break
    return f"{value:.1f} {unit}"


def print_screen(text: str) -> None:
    """Print a text in place of the screen's content; without a terminal, below the previous one."""
    if sys.stdout.isatty():
        sys.stdout.write("\x1b[H\x1b[2J")
    print_text(text)
    sys.stdout.flush()


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document on standard output; unprintable characters are escaped as JSON requires."""
    for line in json.dumps(document, ensure_ascii=False, indent=2).split("\n"):
        sys.stdout.write((line if line.isprintable() else "".join(map(_json_shown, line))) + "\n")


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the progress of long work on standard error, if it is a terminal.

    The yielded function reports the amount done.
    """
    # Imported here, since every command imports this module and few show progress.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def require_new(path: Path) -> None:
    """Check that a file can be created at a path, before doing work that cannot be repeated."""
    if path.exists():
        raise Unusable(f"{shown(path)}: already exists")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Unusable(f"{shown(path)}: its folder is not there, or cannot be written in")


def _json_shown(each: str) -> str:
    """Escape a JSON document for the terminal; unprintable characters occur only within its texts."""
    return each if each.isprintable() else json.dumps(each)[1:-1]
