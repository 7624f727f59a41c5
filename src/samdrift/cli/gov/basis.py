"""Statements on which an answer about agreements is based, from a file or the organisation's own record."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from samdrift.administration.administration import Administration, administering, record_command
from samdrift.administration.covering import inherited_by
from samdrift.administration.governing import Governance
from samdrift.config.errors import Unusable, shown
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.governance.coverage import Basis
from samdrift.governance.duties.catalogue import Catalogue, shipped
from samdrift.governance.records import Records
from samdrift.net.clock import system_clock
from samdrift.rights.agreementfold import Agreements
from samdrift.rights.agreements import ROLES, Function, Party
from samdrift.rights.fields import end_of
from samdrift.rights.folds import read_record
from samdrift.rights.record import Broken, Record
from samdrift.wire.identifiers import ParticipantIdentifier

Statements = Annotated[
    Path | None,
    typer.Option("--statements", help="A file of signed statements, a line each, in place of --config."),
]
Installation = Annotated[
    Path | None,
    typer.Option("--config", help="The installation's configuration file (TOML), whose record is read."),
]
Operator = Annotated[
    str,
    typer.Option(
        "--operator",
        help="The party that runs the roles, like SE:212000-0142; by default the configuration's.",
    ),
]
Because = Annotated[
    str | None,
    typer.Option(
        "--reason", help="Your reason, with --config; recorded in the organisation's log with your name."
    ),
]
Roles = Annotated[
    str,
    typer.Option("--roles", help="Roles that are switched on, joined by commas; by default those here."),
]
On = Annotated[str, typer.Option("--on", help="A day, like 2026-03-03: as it was known then.")]

_SWEDEN = ZoneInfo("Europe/Stockholm")
_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Known:
    """The record of an organisation, and the agreements in it."""

    record: Record
    agreements: Agreements
    inherited: tuple[datetime, datetime] | None = None
    """The beginning and end of the inherited agreement that covers the organisation here."""

    def basis(self, catalogue: Catalogue, day: date, performers: Mapping[Function, Party | None]) -> Basis:
        """Return the facts that coverage rests on, with ``catalogue`` as the newest.

        A catalogue that did not come with this version applies from the day in question, so that it shows
        what agreements lack.
        """
        known = [each for each in shipped() if each.label != catalogue.label]
        ours = len(known) < len(shipped())
        newest = catalogue if ours else replace(catalogue, applies=min(catalogue.applies, day))
        return Basis(self.agreements, [*known, newest], performers, self.inherited)


def from_file(organisation: str, file: Path) -> Known:
    """Return the record in a file of signed statements; :class:`Unusable` if the record is invalid."""
    with file.open("rb") as opened:
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise Unusable(f"{shown(file)}: larger than {_MAX_BYTES} bytes")
    try:
        record, agreements = read_record(organisation, content.splitlines())
    except Broken as error:
        raise Unusable(f"{shown(file)}: {error}") from None
    if record.not_understood is not None:
        raise Unusable(f"{shown(file)}: this version does not understand statement {record.not_understood}")
    return Known(record, agreements)


@contextlib.asynccontextmanager
async def governed(
    config: Path, organisation: ParticipantIdentifier, command: str, who: Asked, *, changes: bool = False
) -> AsyncIterator[Governance]:
    """Open an organisation's governance, and record in its log who opens it and why."""
    async with administering(load(config), changes=changes) as installation:
        await record_command(installation, f"gov {command}", who, organisation, (Role.GOVERNANCE,))
        yield Governance(installation, organisation)


async def record_of(config: Path, organisation: ParticipantIdentifier, command: str, who: Asked) -> Record:
    """Return an organisation's record, and record in its log who reads it and why."""
    async with governed(config, organisation, command, who) as governance:
        return await governance.read()


async def from_vault(installation: Administration, organisation: ParticipantIdentifier) -> Known:
    """Return the record of an organisation served here; empty if it does not have the governance role."""
    inherited = await inherited_by(installation, organisation)
    if installation.gate.registry.find(organisation, Role.GOVERNANCE) is None:
        return Known(*read_record(organisation.value, ()), inherited)
    record = await Records(installation.gate, system_clock).read(organisation)
    return Known(record, next(each for each in record.folds if isinstance(each, Agreements)), inherited)


def roles_here(installation: Administration, organisation: ParticipantIdentifier) -> str:
    """Return the roles that an organisation has here, in the form of ``--roles``."""
    hosted = (role for role in Role if installation.gate.registry.find(organisation, role) is not None)
    return ",".join(role.value for role in hosted if role.value in ROLES)


def moment_of(on: str) -> datetime:
    """Return the end of the given day in Sweden; the current time if no day is given."""
    if not on:
        return system_clock().astimezone(UTC).replace(microsecond=0)
    try:
        return end_of(date.fromisoformat(on), _SWEDEN).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unusable("--on: a day is written as 2026-03-03") from None


def performers_of(roles: str, operator: str) -> dict[Function, Party | None]:
    """Return the roles that are switched on, each with the performing party."""
    try:
        named = [Function(each) for each in roles.split(",") if each]
        party = Party.parse(operator) if operator else None
    except ValueError:
        raise Unusable("--roles are ap, mt and mk; --operator is a party like SE:212000-0142") from None
    if not set(named) <= ROLES:
        raise Unusable("--roles are ap, mt and mk")
    return dict.fromkeys(named, party)
