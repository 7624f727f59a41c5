"""`samdrift database`: the operator's commands for maintaining an installation's database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import provisioning
from samdrift.administration.turns import in_turn
from samdrift.audit.entries import Happening
from samdrift.cli.org.events import OrgEvent
from samdrift.cli.output import complain, print_line, print_text
from samdrift.cli.persons import Acting, Actor, acting
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_participant
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import PrincipalKind, Purpose
from samdrift.installation.loop import run
from samdrift.installation.vaultsettings import vault_settings
from samdrift.net.clock import system_clock
from samdrift.vault.database import migrations
from samdrift.vault.provision import Provisioner
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False)

ConfigFile = Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")]
Organisation = Annotated[
    str | None, typer.Option("--organisation", help="Only this organisation, like 0203:habo.se.")
]

_ADMINISTRATOR = f"{PrincipalKind.WORKER}:administrator"


@app.callback()
def database() -> None:
    """Maintain the database of the vaults."""


@app.command("rotate-logins")
def rotate_logins(config: ConfigFile, organisation: Organisation = None, by: Actor = None) -> None:
    """Replace the passwords of the vaults', registry's and administrator's logins while everything runs."""
    with reported_as_usage_errors():
        only = None if organisation is None else read_participant(organisation)
        loaded, who = load(config), acting(by)
        rotated, locked = run(_rotate(loaded, only, who))
    print_line(f"{rotated} logins have a new password")
    if locked:
        complain(f"{locked} logins keep theirs: their vaults are locked by the organisation's own officer")


@app.command("merge")
def merge(config: ConfigFile, by: Actor = None) -> None:
    """Move all vaults back into one database, for version 0.1 (docs/upgrade.md)."""
    with reported_as_usage_errors():
        loaded, who = load(config), acting(by)
        moved = run(_merge(loaded, who))
    print_line(f"the vaults of {moved} organisations are in the installation's database")


@app.command("hardening")
def hardening(
    administrator: Annotated[
        str, typer.Argument(help="The login in the database's URL, which creates vaults.")
    ],
) -> None:
    """Print the SQL that a superuser runs in the operator's own cluster (docs/database.md)."""
    print_text(migrations.hardening_for(administrator))


async def _rotate(config: Config, only: ParticipantIdentifier | None, who: Acting) -> tuple[int, int]:
    """Return the number of logins with a new password, and of those whose vaults were locked.

    Only the administrator's login is used.
    """
    async with in_turn(config.vaults), provisioning(vault_settings(config)) as (keys, provisioner):
        hosted = [one for one in await provisioner.registrations() if only in (None, one.organisation)]
        if only is not None and not hosted:
            raise Unusable("the organisation has no vault here")
        about = {} if only is None else {"organisation": only.value}
        await provisioner.operator_log(who.entry("database rotate-logins", **about))
        others = 0 if only is not None else await _rotate_others(provisioner)
        locked = [one for one in hosted if keys.locked(one.vault)]
        for one in hosted:
            if one not in locked:
                await provisioner.rotate_login(one.organisation, one.role, _rotated())
        return len(hosted) - len(locked) + others, len(locked)


async def _merge(config: Config, who: Acting) -> int:
    """Return the number of organisations whose vaults were moved; only the administrator's login is used."""
    async with in_turn(config.vaults), provisioning(vault_settings(config)) as (_, provisioner):
        await provisioner.operator_log(who.entry("database merge"))
        return await provisioner.move_back()


async def _rotate_others(provisioner: Provisioner) -> int:
    """Replace the passwords of logins that belong to no vault; return the number of replaced ones."""
    await provisioner.rotate_registry()
    await provisioner.operator_log(_rotated(login="registry"))
    return 1 + await provisioner.end_readers() + await provisioner.rotate_administrator()


def _rotated(**facts: str) -> Happening:
    return Happening(system_clock(), OrgEvent.VAULT_LOGIN_ROTATED, _ADMINISTRATOR, Purpose.MAINTAIN, facts)
