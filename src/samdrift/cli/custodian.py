"""`samdrift custodian`: the persons two of whom are needed where one alone must not act."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import Administration, administering
from samdrift.administration.dualcontrol import (
    Matter,
    Person,
    Persons,
    approve,
    custodians_of,
    record,
    requests_of,
    two_persons,
)
from samdrift.audit.events import AuditEvent
from samdrift.cli.org.options import AsJson, ConfigFile
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import By, ByFile, With, WithFile, passphrase, present
from samdrift.config.errors import Unusable
from samdrift.config.failures import told
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.keystore.custody import NEEDED, Custodians
from samdrift.keystore.requests import Request, Requests

app = typer.Typer(add_completion=False)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits, dots, like anna.berg.")]
OwnFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="The new custodian's, for scripts; asked for else.")
]
OptionalBy = Annotated[
    str | None, typer.Option("--by", help="Who asks; not needed for the first two custodians.")
]


@app.callback()
def custodian() -> None:
    """Who, two together, makes and destroys keys, takes backups of them, exports and closes organisations."""


@app.command()
def add(
    name: Name,
    config: ConfigFile,
    passphrase_file: OwnFile = None,
    by: OptionalBy = None,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """Add a custodian, who types a passphrase. The first two add themselves; later it takes two of them."""
    with told():
        loaded = load(config)
        own = passphrase(f"New passphrase of {name}", passphrase_file, again=True)
        Custodians(loaded.vaults.secrets).require_new(name, own)
        persons = present(by, other, by_file, other_file) if by is not None else None
        run(_add(loaded, Person(name, own), persons))


@app.command()
def remove(
    name: Name,
    config: ConfigFile,
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """Remove a custodian. Two must remain: add the successor first."""
    with told():
        loaded = load(config)
        Custodians(loaded.vaults.secrets).require_removable(name)
        run(_remove(loaded, name, present(by, other, by_file, other_file)))


@app.command("list")
def list_custodians(config: ConfigFile, as_json: AsJson = False) -> None:
    """Show the custodians, and what they have asked for and not done yet."""
    with told():
        store = load(config).vaults.secrets
        custodians = Custodians(store)
        requests = Requests(store, custodians).open(datetime.now(UTC))
        names = custodians.names()
    if as_json:
        print_json({"custodians": list(names), "requests": [_document(each) for each in requests]})
        return
    for name in names:
        print_line(name)
    for each in requests:
        print_line(_line(each))


@app.command("approve")
def approve_request(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Of the request.")],
    config: ConfigFile,
    by: By,
    by_file: ByFile = None,
) -> None:
    """Agree to what another custodian has asked for. It is done when that one repeats the command."""
    with told():
        loaded = load(config)
        store = loaded.vaults.secrets
        request = Requests(store, Custodians(store)).find(identifier, datetime.now(UTC))
        print_line(f"{request.by} asks to: {request.matter.text}")
        person = Person(by, passphrase(f"Passphrase of {by}", by_file))
        request = run(_approve(loaded, identifier, person))
        print_line(f"approved; {request.by} can do it now, once, until {_until(request)}")


async def _add(config: Config, new: Person, persons: Persons | None) -> None:
    async with administering(config, begin=True) as installation:
        custodians = custodians_of(installation)
        matter = Matter("custodian add", "", f"make {new.name} a custodian")
        if len(custodians.names()) >= NEEDED:
            await _agreement(installation, matter, persons)
        await record(installation, AuditEvent.CUSTODY_CUSTODIAN_ADDED, new.name, matter, {})
        await asyncio.to_thread(custodians.add, new.name, new.passphrase)


async def _remove(config: Config, name: str, persons: Persons) -> None:
    async with administering(config) as installation:
        matter = Matter("custodian remove", "", f"make {name} a custodian no more")
        await _agreement(installation, matter, persons)
        await record(installation, AuditEvent.CUSTODY_CUSTODIAN_REMOVED, persons.first.name, matter, {})
        custodians_of(installation).remove(name)


async def _agreement(installation: Administration, matter: Matter, persons: Persons | None) -> None:
    """One custodian alone must not make another: the two could be one person."""
    if persons is None:
        raise Unusable("there are two custodians: --by and --with say which two of them agree")
    await two_persons(installation, matter, persons)


async def _approve(config: Config, identifier: str, person: Person) -> Request:
    async with administering(config) as installation:
        requests_of(installation).find(identifier, datetime.now(UTC))
        return await approve(installation, identifier, person)


def _document(request: Request) -> dict[str, str | None]:
    return {
        "request": request.id,
        "by": request.by,
        "action": request.matter.action,
        "organisation": request.matter.organisation or None,
        "what": request.matter.text,
        "approved_by": request.approved_by,
        "until": _until(request),
    }


def _line(request: Request) -> str:
    state = f"approved by {request.approved_by}" if request.approved_by else "waits for approval"
    return f"{request.id}  {request.by} asks to: {request.matter.text}  ({state}; until {_until(request)})"


def _until(request: Request) -> str:
    return request.expires.isoformat(timespec="minutes")
