"""`samdrift log search` and `sample`: log control by the organisation, over a log in a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import Retention
from samdrift.audit.reading import Malformed
from samdrift.cli.org.options import AsJson, one_line
from samdrift.cli.output import print_json, print_line
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.evidence import logreading

Export = Annotated[Path, typer.Argument(metavar="EXPORT", help="A file that samdrift log export wrote.")]
_COLUMNS = ("number", "at", "event", "principal", "purpose", "class", "facts")


def search(
    export: Export,
    words: Annotated[str, typer.Argument(help="A person, message, reference or mailbox, or a part of it.")],
    as_json: AsJson = False,
) -> int:
    """Show the entries of an exported log that name something, as CSV. Verify the file first.

    Exit status 1 if there is none.
    """
    wanted = one_line("WORDS", words)
    return _shown(export, lambda: logreading.search(export, wanted), as_json=as_json)


def sample(
    export: Export,
    seed: Annotated[str, typer.Option("--seed", help="Fixed in advance; it decides what is drawn.")],
    count: Annotated[
        int, typer.Option("--count", min=1, max=logreading.MAX_SAMPLE, help="Number of entries to draw.")
    ] = 20,
    retention: Annotated[
        str, typer.Option("--class", help="transfer, reading, access, administration, log, or all.")
    ] = "reading",
    as_json: AsJson = False,
) -> int:
    """Draw a sample of an exported log for a closer look, as CSV. Verify the file first.

    Exit status 1 if there is no such entry.
    """
    fixed, only = one_line("--seed", seed), _class(retention)
    return _shown(export, lambda: logreading.sample(export, fixed, count, only), as_json=as_json)


def _class(name: str) -> Retention | None:
    try:
        return None if name == "all" else Retention[name.upper()]
    except KeyError:
        known = ", ".join(each.name.lower() for each in Retention)
        raise Unusable(f"--class is one of {known}, or all") from None


def _shown(export: Path, find: Callable[[], Iterable[LogEntry]], *, as_json: bool) -> int:
    with reported_as_usage_errors():
        try:
            rows = [_row(entry) for entry in find()]
        except Malformed as fault:
            raise Unusable(f"{shown(export)}: {fault}") from None
    if as_json:
        print_json({"entries": rows})
    elif rows:
        print_line(_line(_COLUMNS))
        for row in rows:
            facts = "  ".join(f"{name}={value}" for name, value in row["facts"].items())
            print_line(_line([*(str(row[name]) for name in _COLUMNS[:-1]), facts]))
    return 0 if rows else 1


def _row(entry: LogEntry) -> dict[str, Any]:
    known = {each.value: each.name.lower() for each in Retention}
    return {
        "number": entry.sequence,
        "at": entry.at.astimezone(UTC).isoformat(),
        "event": entry.event,
        "principal": entry.principal,
        "purpose": entry.purpose,
        "class": known.get(entry.retention, "") if entry.retention is not None else "",
        "facts": dict(entry.ids),
    }


def _line(values: Iterable[str]) -> str:
    """Return a line of CSV; what a spreadsheet would take for a formula is text."""
    made = io.StringIO()
    csv.writer(made).writerow([f"'{each}" if each[:1] in "=+-@\t" and each else each for each in values])
    return made.getvalue().rstrip("\r\n")
