"""`samdrift custodian`: people who approve operations under dual control."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import administering
from samdrift.administration.custodians import admit, dismiss
from samdrift.administration.custodians import restart as restart_custodians
from samdrift.administration.dualcontrol import Person, Persons, approve, custodians_of, requests_of
from samdrift.cli.org.options import AsJson, ConfigFile, one_line
from samdrift.cli.output import complain, print_json, print_line, print_table
from samdrift.cli.persons import Acting, Actor, By, ByFile, With, WithFile, acting, passphrase, present
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.keystore.custody import Custodians, CustodyError, CustodyFault, PublicKey
from samdrift.keystore.requests import Request, Requests

app = typer.Typer(add_completion=False)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and dots, such as anna.berg.")
]
OwnFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="A file with the new custodian's passphrase, for scripts; otherwise it is asked for.",
    ),
]
OptionalBy = Annotated[
    str | None, typer.Option("--by", help="The custodian who asks; not needed for the first two custodians.")
]


@app.callback()
def custodian() -> None:
    """Manage custodians: two of them together approve key operations, exports and closing organisations."""


@app.command()
def key(name: Name, config: ConfigFile, passphrase_file: OwnFile = None) -> None:
    """Make the key of a future custodian, who types the passphrase personally.

    Shows its fingerprint, which that person passes on to the custodians who are to agree (samdrift custodian
    add).
    """
    with reported_as_usage_errors():
        loaded = load(config)
        made = _new_key(loaded, name, passphrase_file)
        run(_keep(loaded, made))
        print_line(f"the key of {name} has the fingerprint {made.fingerprint}")
        print_line(f"give it to two custodians: within a day they run samdrift custodian add {name}")


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
    """Add a custodian. The first two add themselves; later two custodians agree to the person's key.

    The key is the one that samdrift custodian key has made, or is made here if the person is here. The
    request that the custodians approve names its fingerprint: compare it with the one that the person was
    shown.
    """
    with reported_as_usage_errors():
        loaded = load(config)
        made = _key_of(loaded, name, passphrase_file)
        print_line(f"the key of {name} has the fingerprint {made.fingerprint}")
        persons = present(by, other, by_file, other_file) if by is not None else None
        run(_add(loaded, made, persons))


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
    with reported_as_usage_errors():
        loaded = load(config)
        Custodians(loaded.vaults.secrets).require_removable(name)
        run(_remove(loaded, name, present(by, other, by_file, other_file)))


@app.command()
def restart(
    config: ConfigFile,
    why: Annotated[str, typer.Option("--why", help="The reason, in one line; recorded in the logs.")],
    by: Actor = None,
) -> None:
    """Begin again with two new custodians if fewer than two are left. Every organisation's log records it."""
    with reported_as_usage_errors():
        ended = run(_restart(load(config), acting(by), one_line("--why", why)))
    print_line(f"custodians no more: {' '.join(ended) or 'there was none'}")
    print_line("two persons now add themselves: samdrift custodian add")


@app.command("list")
def list_custodians(config: ConfigFile, as_json: AsJson = False) -> None:
    """Show the custodians, and their pending requests."""
    with reported_as_usage_errors():
        store = load(config).vaults.secrets
        custodians, now = Custodians(store), datetime.now(UTC)
        requests = Requests(store, custodians).open(now)
        unusable = Requests(store, custodians).unusable(now)
        keys, damaged = [custodians.key(name) for name in custodians.able()], custodians.damaged()
    if as_json:
        print_json(
            {
                "custodians": [each.name for each in keys],
                "fingerprints": {each.name: each.fingerprint for each in keys},
                "requests": [_document(each) for each in requests],
                "unusable": [*(f"{name}.json" for name in damaged), *unusable],
            }
        )
        return
    print_table(("custodian", "fingerprint"), [(key.name, key.fingerprint) for key in keys])
    if keys and requests:
        print_line()
    print_table(("request", "asked by", "to", "state", "until"), map(_cells, requests))
    for name in damaged:
        complain(f"the file of custodian {name} is damaged, and {name} can agree to nothing")
    for file in unusable:
        complain(f"{file} is not a valid request: damaged, not signed by a custodian, or dated in the future")


@app.command("approve")
def approve_request(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The number of the request.")],
    config: ConfigFile,
    by: By,
    by_file: ByFile = None,
) -> None:
    """Approve a request of another custodian, who then repeats the command to carry it out."""
    with reported_as_usage_errors():
        loaded = load(config)
        store = loaded.vaults.secrets
        request = Requests(store, Custodians(store)).find(identifier, datetime.now(UTC))
        print_line(f"{request.by} asks to: {request.matter.text}")
        person = Person(by, passphrase(f"Passphrase of {by}", by_file))
        request = run(_approve(loaded, identifier, person))
        print_line(f"approved; {request.by} can do it now, once, until {_until(request)}")


def _new_key(config: Config, name: str, file: Path | None) -> PublicKey:
    own = passphrase(f"New passphrase of {name}", file, again=True)
    return Custodians(config.vaults.secrets).new_key(name, own)


def _key_of(config: Config, name: str, file: Path | None) -> PublicKey:
    """Return the pending key, or a new one; a passphrase from a file must open the pending key."""
    waiting = Custodians(config.vaults.secrets).waiting(name, datetime.now(UTC))
    if waiting is None:
        return _new_key(config, name, file)
    if file is not None and waiting.opened(passphrase(name, file)) is None:
        text = (
            f"another key of {name} waits, with the fingerprint {waiting.fingerprint}: samdrift custodian key"
        )
        raise CustodyError(CustodyFault.NO_KEY, f"{text} makes a new one in its place")
    return waiting


async def _keep(config: Config, key: PublicKey) -> None:
    async with administering(config) as installation:
        await asyncio.to_thread(custodians_of(installation).wait, key, datetime.now(UTC))


async def _add(config: Config, key: PublicKey, persons: Persons | None) -> None:
    async with administering(config, begin=True) as installation:
        custodians = custodians_of(installation)
        if persons is not None and persons.second is None:
            # The second custodian approves this very key later, and it cannot be made again.
            await asyncio.to_thread(_wait_once, custodians, key)
        await admit(installation, key, persons)


def _wait_once(custodians: Custodians, key: PublicKey) -> None:
    now = datetime.now(UTC)
    if custodians.waiting(key.name, now) != key:
        custodians.wait(key, now)


async def _remove(config: Config, name: str, persons: Persons) -> None:
    async with administering(config) as installation:
        await dismiss(installation, name, persons)


async def _restart(config: Config, who: Acting, why: str) -> tuple[str, ...]:
    async with administering(config) as installation:
        return await restart_custodians(installation, who.name, why, who.proof)


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


def _cells(request: Request) -> tuple[str, ...]:
    state = f"approved by {request.approved_by}" if request.approved_by else "waits for approval"
    return request.id, request.by, request.matter.text, state, _until(request)


def _until(request: Request) -> str:
    return request.expires.isoformat(timespec="minutes")
