"""`samdrift gov group`: groups of an organisation's directories, their members, and when they were read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration.administration import Administration, administering, record_command
from samdrift.administration.governing import Governance
from samdrift.cli.gov.basis import record_of
from samdrift.cli.gov.signing import moment
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import Actor, Reason, asked
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.governance.groups import GroupState, Outcome, Synchronised, states
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.rights.fields import moment_text
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False, no_args_is_help=True)

Shrink = Annotated[
    bool,
    typer.Option(
        "--shrink",
        help="Accept, once checked, that groups of many lose more than half of their people; never all.",
    ),
]
Directory = Annotated[
    str, typer.Option("--directory", help="The name of one directory; by default all of the organisation.")
]


@app.callback()
def group() -> None:
    """Show and read directory groups that have rights; their members are read by LDAP and recorded."""


@app.command()
def show(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    on: Annotated[str, typer.Option("--on", help="The state at the end of this day; now by default.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show every group that has rights: its number of members, when it was read, and when its rights end."""
    with reported_as_usage_errors():
        when = moment("--on", on) if on else system_clock()
        record = run(record_of(config, organisation, "group show", asked(by, reason)))
    rows = [_row(each, when) for each in states(record, when)]
    if as_json:
        print_json({"groups": rows})
        return
    for row in rows:
        age = f"read {row['read']} from {row['server']}" if row["read"] else "never read"
        print_line(f"{row['group']}  {row['members']} people, {age}, rights until {row['until']}")


@app.command()
def synchronise(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    directory: Directory = "",
    shrink: Shrink = False,
    as_json: AsJson = False,
) -> int:
    """Read the groups that have rights now. Exit status 1 if a directory or group was not read in full.

    Running processes do this by themselves; at isolation level process a timer runs this command.
    """
    with reported_as_usage_errors():
        found = run(_synchronised(config, organisation, asked(by, reason), directory, shrink=shrink))
    if as_json:
        print_json({"directories": found})
    else:
        _print(found)
    whole = all(not one["reason"] and all(not each["reason"] for each in one["groups"]) for one in found)
    return 0 if whole else 1


async def _synchronised(
    config: Path, organisation: ParticipantIdentifier, who: Asked, directory: str, *, shrink: bool
) -> list[dict[str, Any]]:
    from samdrift.installation.directories import Place, places_of

    loaded = load(config)
    own = [one for one in loaded.organisations if one.identifier == organisation]
    known = [each for one in own for each in places_of(one) if directory in ("", each.own.name)]

    async def read(installation: Administration, place: Place) -> dict[str, Any]:
        name = {"directory": place.own.name}
        try:
            done = await _read(installation, place)
        except ConfigError as unfit:
            return {**name, "reason": str(unfit), "groups": []}
        except Temporary as gone:
            return {**name, "reason": gone.cause or str(gone), "groups": []}
        return {**name, "reason": "", "groups": [_done(each) for each in done]}

    async def _read(installation: Administration, place: Place) -> tuple[Synchronised, ...]:
        from samdrift.governance.groups import Synchroniser
        from samdrift.installation.directories import source_of

        records = Governance(installation, organisation).records
        synchroniser = Synchroniser(installation.gate, records, system_clock)
        return await synchroniser.synchronise(organisation, source_of(place), shrink=shrink)

    async with administering(loaded, changes=False) as installation:
        if not known:
            raise Unusable(
                f"{organisation} has no such directory in the configuration (organisations.directories)"
            )
        roles = (Role.GOVERNANCE, Role.MESSAGE_CLIENT)
        await record_command(installation, "gov group synchronise", who, organisation, roles)
        return [await read(installation, each) for each in known]


def _row(state: GroupState, when: datetime) -> dict[str, Any]:
    reading = state.reading
    read = None if reading is None else reading.act.read_at
    return {
        "group": str(state.group),
        "members": state.members,
        "read": None if read is None else moment_text(read),
        "age_seconds": None if read is None else int((when - read).total_seconds()),
        "server": None if reading is None else reading.act.server,
        "listing": None if reading is None else reading.act.listing,
        "until": moment_text(state.until),
    }


def _done(one: Synchronised) -> dict[str, Any]:
    return {
        "group": str(one.group),
        "outcome": one.outcome.value,
        "joined": one.joined,
        "left": one.left,
        "members": one.members,
        "unknown": one.unknown,
        "reason": one.reason,
    }


def _print(found: list[dict[str, Any]]) -> None:
    for one in found:
        if one["reason"]:
            print_line(f"{one['directory']}: nothing was changed: {one['reason']}")
        elif not one["groups"]:
            print_line(f"{one['directory']}: no group of it has a right")
        for each in one["groups"]:
            print_line(f"{each['group']}  {_words(each)}")


def _words(each: dict[str, Any]) -> str:
    if each["outcome"] == Outcome.KEPT:
        return f"kept as it was, {each['members']} people: {each['reason']}"
    unknown = f"; {each['unknown']} members are not among the people" if each["unknown"] else ""
    return f"{each['members']} people, {each['joined']} came and {each['left']} left{unknown}"
