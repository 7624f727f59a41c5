"""`samdrift org sign-in`: keys that identify an organisation's pages to its sign-in service.

SAML keys are made, handed over, replaced and destroyed here (`list`, `renew`, `metadata`, `retire`); `jwks`
prints the public keys with which its message client identifies itself to other services.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from samdrift.administration.administration import administering
from samdrift.administration.signinkeys import SignInKeyring
from samdrift.cli.org.keyoptions import From, Number
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation
from samdrift.cli.output import print_json, print_line, print_rows, print_text
from samdrift.cli.persons import By, ByFile, With, WithFile, present
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_time
from samdrift.config.reader import load
from samdrift.installation.keyrows import KeyRow
from samdrift.installation.loop import run
from samdrift.keystore.keyfiles import KeyName
from samdrift.wire.crypto.certificates import fingerprint
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False)
T = TypeVar("T")


class WhichSignInKey(StrEnum):
    """The keys for a SAML sign-in service."""

    SIGNING = "signing"
    ENCRYPTION = "encryption"

    @property
    def key(self) -> KeyName:
        return KeyName(f"sign-in-{self.value}")


@app.callback()
def sign_in() -> None:
    """Manage the keys for an organisation's sign-in service: make, hand over, replace and destroy them."""


@app.command("list")
def list_keys(organisation: Organisation, config: ConfigFile, as_json: AsJson = False) -> int:
    """Show the keys for a SAML sign-in service. Exit status 1 if one needs attention."""

    async def work(keyring: SignInKeyring) -> list[KeyRow]:
        return keyring.rows()

    found, now = _worked(config, organisation, work), datetime.now(UTC)
    rows = [_row(row, now) for row in found]
    if as_json:
        print_json({"keys": rows})
    else:
        print_rows(rows)
    return int(any(row.attention for row in found))


@app.command()
def renew(
    organisation: Organisation,
    config: ConfigFile,
    by: By,
    other: With = None,
    start: From = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """Make new keys for a SAML sign-in service, used immediately or from a day on. Needs two custodians."""

    async def work(keyring: SignInKeyring) -> None:
        await keyring.renew(persons, by, at)

    with reported_as_usage_errors():
        at = read_time(start) if start is not None else None
        persons = present(by, other, by_file, other_file)
    _worked(config, organisation, work)
    when = f"from {at.isoformat(timespec='minutes')} on" if at is not None else "from now on"
    print_line(f"signs requests {when}, and opens assertions from now on; have the service read it again:")
    print_line(f"samdrift org sign-in metadata {organisation.value}")


@app.command()
def metadata(organisation: Organisation, config: ConfigFile) -> None:
    """Print the metadata of the organisation's pages, for its SAML sign-in service."""

    async def work(keyring: SignInKeyring) -> str:
        return keyring.metadata()

    print_text(_worked(config, organisation, work) + "\n")


@app.command()
def jwks(organisation: Organisation, config: ConfigFile) -> None:
    """Print the public keys of the organisation's message client (JWK Set), for other services."""

    async def work(keyring: SignInKeyring) -> str:
        return keyring.key_set()

    print_text(_worked(config, organisation, work) + "\n")


@app.command()
def retire(
    organisation: Organisation,
    key: Annotated[WhichSignInKey, typer.Argument(help="One of the two kinds.")],
    number: Number,
    config: ConfigFile,
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """Destroy a key permanently, except the one in use. Needs two custodians."""

    async def work(keyring: SignInKeyring) -> None:
        await keyring.retire(persons, by, key.key, number)

    with reported_as_usage_errors():
        persons = present(by, other, by_file, other_file)
    _worked(config, organisation, work)


def _worked(
    config: Path, organisation: ParticipantIdentifier, work: Callable[[SignInKeyring], Awaitable[T]]
) -> T:
    """Do ``work`` on an organisation's keys; report a failure in one line."""

    async def doing() -> T:
        async with administering(load(config)) as installation:
            return await work(SignInKeyring.of(installation, organisation, lambda: datetime.now(UTC)))

    with reported_as_usage_errors():
        return run(doing())


def _row(row: KeyRow, now: datetime) -> dict[str, Any]:
    certificate = row.key.certificate if row.key is not None else None
    start = row.key.state.active_from if row.key is not None else None
    return {
        "key": row.name.value.removeprefix("sign-in-"),
        "number": row.key.number if row.key is not None else None,
        "state": row.standing.value,
        "from": start.isoformat() if start is not None else None,
        "until": certificate.not_valid_after_utc.isoformat() if certificate is not None else None,
        "days": row.days_left(now),
        "sha256": fingerprint(certificate) if certificate is not None else None,
        "attention": row.attention or None,
    }
