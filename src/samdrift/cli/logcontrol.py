"""`samdrift log search` and `sample`: log control by the organisation, on an exported log."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from samdrift.administration import logs
from samdrift.administration.administration import administering
from samdrift.administration.dualcontrol import custodians_of
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import Retention
from samdrift.audit.reading import Malformed
from samdrift.cli.lognames import Identity, NamesFile, joined
from samdrift.cli.logrunning import RoleOption
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import ByFile, passphrase
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.evidence import logreading
from samdrift.evidence.loghints import Rules
from samdrift.evidence.loghints import hints as find_hints
from samdrift.installation.logturns import LogPlace
from samdrift.installation.loop import run
from samdrift.web.tables import harmless

Export = Annotated[Path, typer.Argument(metavar="EXPORT", help="A file that samdrift log export wrote.")]
_ZONE = ZoneInfo("Europe/Stockholm")
_COLUMNS = ("number", "at", "event", "principal", "purpose", "class", "facts")


def search(
    export: Export,
    words: Annotated[str, typer.Argument(help="A person, message, reference or mailbox, or a part of it.")],
    names: NamesFile = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> int:
    """Show the entries of an exported log that match a search term, as CSV. Verify the file first.

    Exit status 1 if there are none.
    """
    wanted = one_line("WORDS", words)
    named = joined(names, identity)
    return _shown(export, lambda: logreading.search(export, wanted), named, as_json=as_json)


def sample(
    export: Export,
    seed: Annotated[str, typer.Option("--seed", help="Fixed in advance; it decides what is drawn.")],
    count: Annotated[
        int, typer.Option("--count", min=1, max=logreading.MAX_SAMPLE, help="Number of entries to draw.")
    ] = 20,
    retention: Annotated[
        str, typer.Option("--class", help="transfer, reading, access, administration, log, or all.")
    ] = "reading",
    names: NamesFile = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> int:
    """Draw a sample of an exported log for a closer look, as CSV. Verify the file first.

    Exit status 1 if there is no such entry.
    """
    fixed, only = one_line("--seed", seed), _class(retention)
    named = joined(names, identity)
    return _shown(export, lambda: logreading.sample(export, fixed, count, only), named, as_json=as_json)


def hints(
    export: Export,
    many: Annotated[
        int, typer.Option("--many", min=1, help="Readings of a person on one day that are not many yet.")
    ] = 100,
    begins: Annotated[
        datetime, typer.Option("--from", formats=["%H:%M"], help="When the working day begins.")
    ] = datetime(1900, 1, 1, 7),
    ends: Annotated[
        datetime,
        typer.Option("--to", formats=["%H:%M"], help="When the working day ends; weekends have none."),
    ] = datetime(1900, 1, 1, 18),
    names: NamesFile = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> int:
    """Show readings in an exported log that raise questions: many, at odd hours, in another's case; as CSV.

    A hint is a question, not a finding. Exit status 1 if there are none. Verify the file first.
    """
    named = joined(names, identity)
    rules = Rules(many, begins.time(), ends.time(), _ZONE)
    with _read(export):
        found = find_hints(logreading.entries_of(export), rules)
    rows = [
        asdict(each)
        | {"kind": each.kind.value, "day": each.day.isoformat()}
        | {"person": named(each.person), "handler": named(each.handler)}
        for each in found
    ]
    if as_json:
        print_json({"hints": rows})
    elif rows:
        print_line(_line(rows[0]))
        for row in rows:
            print_line(_line(str(value) for value in row.values()))
    return 0 if rows else 1


def outcome(
    organisation: Organisation,
    role: RoleOption,
    text: Annotated[str, typer.Option("--outcome", help="The outcome, in one line and without names.")],
    by: Annotated[str, typer.Option("--by", help="The custodian who records it.")],
    config: ConfigFile,
    period: Annotated[str, typer.Option("--period", help="The period that was reviewed.")],
    seed: Annotated[str, typer.Option("--seed", help="The seed of the sample that was drawn.")] = "",
    entries: Annotated[
        int, typer.Option("--entries", min=0, help="Number of entries that were examined closely.")
    ] = 0,
    by_file: ByFile = None,
) -> None:
    """Record in a log that it was reviewed, and the outcome."""
    facts = {"outcome": one_line("--outcome", text), "period": one_line("--period", period), "by": by}
    facts |= {"entries": str(entries)} | ({"seed": one_line("--seed", seed)} if seed else {})

    async def record() -> bool:
        async with administering(load(config)) as installation:
            known, secret = custodians_of(installation), passphrase(f"Passphrase of {by}", by_file)
            custodian = await asyncio.to_thread(known.prove, by, secret)
            return await logs.record_control(installation, LogPlace(organisation, role), custodian, facts)

    with reported_as_usage_errors():
        if not run(record()):
            raise Unusable("nothing can be recorded in this log while its vault waits for its officer")
    print_line("recorded in the log: log:control:recorded")


def _class(name: str) -> Retention | None:
    try:
        return None if name == "all" else Retention[name.upper()]
    except KeyError:
        known = ", ".join(each.name.lower() for each in Retention)
        raise Unusable(f"--class must be one of {known}, or all") from None


def _shown(
    export: Path, find: Callable[[], Iterable[LogEntry]], named: Callable[[str], str], *, as_json: bool
) -> int:
    with _read(export):
        rows = [_row(entry, named) for entry in find()]
    if as_json:
        print_json({"entries": rows})
    elif rows:
        print_line(_line(_COLUMNS))
        for row in rows:
            facts = "  ".join(f"{name}={value}" for name, value in row["facts"].items())
            print_line(_line([*(str(row[name]) for name in _COLUMNS[:-1]), facts]))
    return 0 if rows else 1


@contextmanager
def _read(export: Path) -> Iterator[None]:
    """Report a file that cannot be used."""
    with reported_as_usage_errors():
        try:
            yield
        except Malformed as fault:
            raise Unusable(f"{shown(export)}: {fault}") from None


def _row(entry: LogEntry, named: Callable[[str], str]) -> dict[str, Any]:
    known = {each.value: each.name.lower() for each in Retention}
    return {
        "number": entry.sequence,
        "at": entry.at.astimezone(UTC).isoformat(),
        "event": entry.event,
        "principal": named(entry.principal),
        "purpose": entry.purpose,
        "class": known.get(entry.retention, "") if entry.retention is not None else "",
        "facts": {name: named(value) for name, value in entry.ids.items()},
    }


def _line(values: Iterable[str]) -> str:
    """Return a line of CSV; values that a spreadsheet would treat as formulas are written as text."""
    made = io.StringIO()
    csv.writer(made).writerow(map(harmless, values))
    return made.getvalue().rstrip("\r\n")
