"""`samdrift addressbook`: contents and age of an installation's copy of the address book."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from samdrift.cli.output import print_json, print_line, print_table
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_participant
from samdrift.config.reader import load
from samdrift.net.addressbook import kept_copy
from samdrift.net.clock import system_clock
from samdrift.wire.addressbook import AddressBookCopy, FunctionalAddress, Query

app = typer.Typer(add_completion=False)


@app.command("addressbook")
def addressbook_command(
    config: Annotated[Path, typer.Option(help="The installation's configuration file (TOML).")],
    text: Annotated[str, typer.Argument(help="Words to look for in names, descriptions and keywords.")] = "",
    organisation: Annotated[str, typer.Option(help="Only this organisation, like 0203:habo.se.")] = "",
    keyword: Annotated[str, typer.Option(help="A keyword or code, whole.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="The maximum number of rows.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Search the copy of the address book. The address book service itself is not contacted."""
    participant = read_participant(organisation) if organisation else None
    copy = _copy(config)
    found = copy.search(Query(text, participant, keyword), limit)
    if as_json:
        print_json(_document(copy, found, system_clock()))
    else:
        print_line(_age(copy, system_clock()))
        print_table(("organisation", "address", "name", "part"), [_cells(copy, one) for one in found])
    return 0 if found else 1


def _copy(config: Path) -> AddressBookCopy:
    with reported_as_usage_errors():
        book = load(config).address_book
    if book is None:
        raise Unusable("the configuration names no address book")
    copy = kept_copy(book.file)
    if copy is None:
        raise Unusable("there is no copy of the address book yet")
    return copy


def _age(copy: AddressBookCopy, now: datetime) -> str:
    minutes = int((now - copy.taken_at).total_seconds()) // 60
    return (
        f"copied {copy.taken_at:%Y-%m-%d %H:%M}Z, {minutes // 60} h {minutes % 60} min ago:"
        f" {len(copy.organisations)} organisations, {len(copy.addresses)} functional addresses"
    )


def _document(
    copy: AddressBookCopy, found: tuple[FunctionalAddress, ...], now: datetime
) -> dict[str, object]:
    return {
        "taken_at": copy.taken_at.isoformat(),
        "age_seconds": int((now - copy.taken_at).total_seconds()),
        "organisations": len(copy.organisations),
        "addresses": len(copy.addresses),
        "found": [_plain(copy, one) for one in found],
    }


def _cells(copy: AddressBookCopy, one: FunctionalAddress) -> tuple[str, ...]:
    """Return the cells of an address, naming its organisation if that is only a part of the participant."""
    parent = copy.parent(one.organisation)
    part = "-" if parent is None else f"{one.organisation.name}, part of {parent.name}"
    return one.organisation.participant.value, one.identifier, one.name, part


def _plain(copy: AddressBookCopy, one: FunctionalAddress) -> dict[str, object]:
    parent = copy.parent(one.organisation)
    owner = {
        "participant": one.organisation.participant.value,
        "name": one.organisation.name,
        "part_of": None if parent is None else {"participant": parent.participant.value, "name": parent.name},
    }
    return {**asdict(one), "organisation": owner}
