"""`samdrift storage`: each organisation's usage by kind, with its age and the rule that ends it.

It shows counts, sizes and times of vaults, of closed organisations' logs, and of backups; never content.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration.administration import administering
from samdrift.cli.org.options import AsJson, ConfigFile, OnlyOrganisation
from samdrift.cli.output import complain, print_json, print_line, print_table, progress, size_text
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.installation.vaultsettings import key_store
from samdrift.net.clock import system_clock
from samdrift.operations.backup import signers
from samdrift.operations.storage import Stored, Use, read_backups, storage_of
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False)

_HEADERS = ("place", "role", "what", "count", "size", "oldest", "ends")
Backups = Annotated[
    list[Path],
    typer.Option("--backups", metavar="FOLDER", help="A folder that has backups; may be repeated."),
]


@app.command()
def storage(
    config: ConfigFile,
    organisation: OnlyOrganisation = None,
    backups: Backups = [],  # noqa: B006
    as_json: AsJson = False,
) -> int:
    """Show each organisation's usage and the rule that ends it: database, objects, logs, backups.

    Counts and sizes only. Backups are counted if --backups names their folder. Exit status 1 if a vault could
    not be read.
    """
    with reported_as_usage_errors():
        found = run(_gathered(config, organisation, backups))
    if as_json:
        print_json({"organisations": [_document(each) for each in found]})
    else:
        for each in found:
            _print(each)
    for each in found:
        for role, why in each.unread:
            complain(f"{each.organisation} {role.value}: {why}")
    return int(any(each.unread for each in found))


async def _gathered(config: Path, only: ParticipantIdentifier | None, folders: list[Path]) -> list[Stored]:
    loaded = load(config)
    for folder in folders:
        if not folder.is_dir():
            raise Unusable(f"{shown(folder)}: is not a folder")
    copies = read_backups(folders, signers(key_store(loaded), None)) if folders else []
    async with administering(loaded, changes=False) as installation:
        hosted = {each.organisation for each in installation.gate.registry.all()}
        with progress("organisations", len(hosted) if only is None else 1) as done:
            return await storage_of(installation, only, copies, system_clock(), done)


def _print(stored: Stored) -> None:
    made = stored.backups
    told = f"{made.count} backups made, the latest {_day(made.latest)}" if made else "no backup was ever made"
    unread = ", ".join(role.value for role, _ in stored.unread)
    without = f" without {unread}, which could not be asked" if unread else ""
    print_line(f"{stored.organisation}: {size_text(stored.bytes)}{without}; {told}")
    print_table(_HEADERS, [_row(use) for use in stored.uses if use.count])
    print_line()


def _row(use: Use) -> tuple[str, ...]:
    ends = use.ends if use.ends_at is None else f"{use.ends}: from {_day(use.ends_at)} on"
    role = use.role.value if use.role else "-"
    return use.place.value, role, use.what, str(use.count), size_text(use.bytes), _day(use.oldest), ends


def _day(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d}"


def _document(stored: Stored) -> dict[str, Any]:
    made = stored.backups
    return {
        "organisation": stored.organisation,
        "bytes": stored.bytes,
        "uses": [_use(use) for use in stored.uses],
        "backups": None if made is None else {"made": made.count, "latest": made.latest.isoformat()},
        "unread": [{"role": role.value, "reason": why} for role, why in stored.unread],
    }


def _use(use: Use) -> dict[str, Any]:
    return {
        "place": use.place.value,
        "role": use.role.value if use.role else None,
        "what": use.what,
        "count": use.count,
        "bytes": use.bytes,
        "oldest": use.oldest.isoformat() if use.oldest else None,
        "ends": use.ends,
        "ends_at": use.ends_at.isoformat() if use.ends_at else None,
    }
