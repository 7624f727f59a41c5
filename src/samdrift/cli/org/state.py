"""`samdrift org suspend` and `resume`: pausing an organisation temporarily, without loss."""

from __future__ import annotations

from typing import Annotated

import typer

from samdrift.administration.administration import administering
from samdrift.audit.entries import Happening
from samdrift.cli.org.events import OrgEvent
from samdrift.cli.org.options import ConfigFile, Organisation, one_line
from samdrift.cli.output import print_line
from samdrift.cli.persons import Acting, Actor, acting
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import PrincipalKind, Purpose, Role
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.vault.events import VaultEvent
from samdrift.vault.registry import Registration, RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier

Why = Annotated[str, typer.Option("--why", help="The reason; recorded in both logs. No personal data.")]
OneRole = Annotated[Role | None, typer.Option("--role", help="Only in this role; in all roles by default.")]

_EVENTS = {
    RegistrationState.SUSPENDED: VaultEvent.ORGANISATION_SUSPENDED,
    RegistrationState.ACTIVE: OrgEvent.ORGANISATION_RESUMED,
}


def suspend(
    organisation: Organisation, config: ConfigFile, why: Why, role: OneRole = None, by: Actor = None
) -> None:
    """Suspend an organisation: work waits, peers and clients are asked to retry later.

    Nothing is lost, but deadlines keep running: messages not sent or answered in time fail.
    """
    _set(organisation, config, role, RegistrationState.SUSPENDED, by, why)


def resume(
    organisation: Organisation, config: ConfigFile, why: Why, role: OneRole = None, by: Actor = None
) -> None:
    """Resume a suspended organisation, immediately and without a restart."""
    _set(organisation, config, role, RegistrationState.ACTIVE, by, why)


def _set(
    organisation: ParticipantIdentifier,
    config: ConfigFile,
    role: Role | None,
    state: RegistrationState,
    by: str | None,
    why: str,
) -> None:
    with reported_as_usage_errors():
        why = one_line("--why", why)
        changed = run(_change(load(config), organisation, role, state, acting(by), why))
    for each, was in changed:
        print_line(f"{organisation}  {each.value}  {state.value}{'' if was else ' already'}")


async def _change(
    config: Config,
    organisation: ParticipantIdentifier,
    role: Role | None,
    state: RegistrationState,
    who: Acting,
    why: str,
) -> list[tuple[Role, bool]]:
    """Set the state of the selected vaults; return each role, and whether its state changed."""
    async with administering(config) as installation:
        hosted = [
            one
            for one in installation.gate.registry.all()
            if one.organisation == organisation and role in (None, one.role)
        ]
        _require(organisation, role, hosted)
        if state is RegistrationState.ACTIVE and await installation.provisioner.arriving(organisation):
            raise Unusable(f"{organisation} has not arrived wholly: first samdrift org import, as before")
        principal, facts = f"{PrincipalKind.OPERATOR}:{who.name}", {"why": why, **who.facts()}
        happening = Happening(system_clock(), _EVENTS[state], principal, Purpose.ADMINISTER, facts)
        for one in hosted:
            if one.state is not state:
                await installation.provisioner.set_state(organisation, one.role, state, happening)
        return [(one.role, one.state is not state) for one in hosted]


def _require(organisation: ParticipantIdentifier, role: Role | None, hosted: list[Registration]) -> None:
    if not hosted:
        where = f" in role {role.value}" if role else ""
        raise Unusable(f"{organisation} has no vault here{where}: samdrift org list shows which do")
    if any(one.state is RegistrationState.CLOSING for one in hosted):
        raise Unusable(f"{organisation} is being closed, which cannot be undone: org close continues it")
