"""`samdrift org add` and `show`: setting up an organisation until it is ready, with what is still missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from samdrift.administration.administration import Administration, administering
from samdrift.administration.checklist import Facts, Item, State, checklist, ready
from samdrift.administration.configentry import entry_text
from samdrift.administration.readiness import asking, gather, marks_lost
from samdrift.audit.entries import Happening
from samdrift.cli.org.events import OrgEvent
from samdrift.cli.org.options import AsJson, ConfigFile, Offline, Organisation
from samdrift.cli.output import print_json, print_line, print_text
from samdrift.cli.persons import Acting, Actor, acting
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import PrincipalKind, Purpose, Role
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.wire.identifiers import ParticipantIdentifier

Roles = Annotated[
    str,
    typer.Option(
        "--roles",
        "--role",
        help="ap, mt, mk, gov, separated by commas; by default those of its entry in the configuration, or"
        " all that run here.",
    ),
]
_SIGNS = {State.DONE: "ok", State.SOON: "soon", State.MISSING: "MISSING", State.NOT_CHECKED: "not checked"}


def add(
    organisation: Organisation,
    config: ConfigFile,
    roles: Roles = "",
    name: Annotated[str, typer.Option("--name", help="The name in the printed configuration entry.")] = "",
    by: Actor = None,
    offline: Offline = False,
    as_json: AsJson = False,
) -> int:
    """Create an organisation's vaults, and show what else it needs. Can be repeated at any time.

    Exit status 0 when it is ready, 1 when something is missing or could not be checked.
    """
    with reported_as_usage_errors():
        loaded = load(config)
        wanted = _roles(loaded, organisation, roles)
        facts = run(_added(loaded, organisation, wanted, acting(by), offline))
    status = _told(loaded, facts, name, as_json)
    if not as_json:
        print_text("\na running serve takes up the entry, and all else, by itself")
    return status


def show(
    organisation: Organisation, config: ConfigFile, offline: Offline = False, as_json: AsJson = False
) -> int:
    """Show what an organisation has and what it still needs, in the order of the steps to take.

    Exit status 0 when it is ready, 1 when something is missing or could not be checked.
    """
    with reported_as_usage_errors():
        loaded = load(config)
        facts = run(_shown(loaded, organisation, offline))
    return _told(loaded, facts, "", as_json)


def _roles(config: Config, organisation: ParticipantIdentifier, given: str) -> tuple[Role, ...]:
    """Return the roles in which to add the organisation; they must not contradict the configuration."""
    try:
        wanted = tuple(Role(each.strip()) for each in given.split(",")) if given else ()
    except ValueError:
        raise Unusable(f"--roles names roles, separated by commas: {', '.join(Role)}") from None
    for one in config.organisations:
        if one.identifier == organisation:
            if wanted and set(wanted) != set(one.roles):
                entered = ",".join(role.value for role in one.roles)
                raise Unusable(f"--roles: the configuration says {entered}; change its entry first")
            return one.roles
    return wanted or tuple(role for role in Role if role in config.roles)


async def _added(
    config: Config, organisation: ParticipantIdentifier, roles: Sequence[Role], who: Acting, offline: bool
) -> Facts:
    happening = Happening(
        system_clock(),
        OrgEvent.ORGANISATION_ADDED,
        f"{PrincipalKind.OPERATOR}:{who.name}",
        Purpose.ADMINISTER,
        who.facts(),
    )
    async with administering(config, begin=True) as installation:
        closing = await installation.provisioner.closings.last(organisation)
        if closing is not None and closing.certificate is None:
            raise Unusable(f"{organisation} is being closed: samdrift org close completes that first")
        await installation.provisioner.add_organisation(organisation, roles, happening)
    async with administering(config, changes=False) as installation:
        return await _asked(installation, organisation, offline, roles)


async def _shown(config: Config, organisation: ParticipantIdentifier, offline: bool) -> Facts:
    async with administering(config, changes=False) as installation:
        known = {one.identifier for one in config.organisations}
        if organisation not in known | {one.organisation for one in installation.gate.registry.all()}:
            raise Unusable(f"{organisation} is neither in the configuration nor has it a vault here")
        facts = await _asked(installation, organisation, offline)
        return replace(facts, lost_marks=await marks_lost(installation, organisation))


async def _asked(
    installation: Administration,
    organisation: ParticipantIdentifier,
    offline: bool,
    roles: Sequence[Role] = (),
) -> Facts:
    now = system_clock()
    if offline:
        return await gather(installation, organisation, None, now, roles)
    async with asking(installation.config, now) as federation:
        return await gather(installation, organisation, federation, now, roles)


def _told(config: Config, facts: Facts, name: str, as_json: bool) -> int:
    items = checklist(facts)
    entry = "" if facts.entry else entry_text(config, facts, name)
    if as_json:
        print_json(_document(facts, items, entry))
    else:
        print_line(f"{facts.organisation}  {'ready' if ready(items) else 'NOT READY'}")
        for item in items:
            print_line(f"  {_SIGNS[item.state]:<12} {item.name}: {item.text}")
            if item.next:
                print_line(f"  {'':<12}   -> {item.next}")
        if entry:
            print_text(f"\n{entry}")
    return 0 if ready(items) else 1


def _document(facts: Facts, items: Sequence[Item], entry: str) -> dict[str, Any]:
    return {
        "organisation": facts.organisation.value,
        "part_of": facts.entry.part_of.value if facts.entry and facts.entry.part_of else None,
        "roles": {role.value: _state(facts, role) for role in facts.roles},
        "ready": ready(items),
        "items": [
            {"item": one.name, "state": one.state.value, "text": one.text, "next": one.next or None}
            for one in items
        ],
        "entry": entry or None,
    }


def _state(facts: Facts, role: Role) -> str | None:
    state = facts.vaults.get(role)
    return state.value if state else None
