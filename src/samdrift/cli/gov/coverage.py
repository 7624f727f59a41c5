"""`samdrift gov coverage`: which duties agreements carry for an organisation, on any day, and which not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from samdrift.cli.gov.duties import CatalogueFile, read
from samdrift.cli.org.options import AsJson, Organisation
from samdrift.cli.output import print_json, print_line, require_new
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.governance.coverage import Basis, Coverage, Missing, Standing, standing
from samdrift.governance.coverageview import document, picture
from samdrift.governance.duties.catalogue import Catalogue, shipped
from samdrift.net.clock import system_clock
from samdrift.rights.agreementfold import Agreements, read_record
from samdrift.rights.agreements import ROLES, Function, Party
from samdrift.rights.folding import end_of
from samdrift.rights.record import Broken

_SWEDEN = ZoneInfo("Europe/Stockholm")
_MAX_BYTES = 64 * 1024 * 1024


def coverage(
    organisation: Organisation,
    statements: Annotated[
        Path, typer.Option("--statements", help="The organisation's signed statements, a line each.")
    ],
    on: Annotated[str, typer.Option("--on", help="A day, like 2026-03-03: as it was known then.")] = "",
    operator: Annotated[
        str, typer.Option("--operator", help="The party that runs the roles, like SE:212000-0142.")
    ] = "",
    roles: Annotated[
        str, typer.Option("--roles", help="The roles that are switched on, joined by commas.")
    ] = "ap,mt,mk",
    catalogue: CatalogueFile = None,
    drawing: Annotated[
        Path | None, typer.Option("--picture", help="A new SVG file for the chain as a picture.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="Words of the picture: sv or en.")] = "sv",
    as_json: AsJson = False,
) -> int:
    """Show whether each duty of each function is carried by agreements down to the last supplier.

    Exit status 1 if something is missing: each gap is named with duty, function, party and what is missing.
    """
    if language not in ("sv", "en"):
        raise Unusable("--language: sv or en is wanted")
    with reported_as_usage_errors():
        if drawing is not None:
            require_new(drawing)
        used = read(catalogue)
        moment = _moment(on)
        agreements = _agreements(organisation.value, statements)
        basis = Basis(agreements, _with(used, moment.date()), _performers(roles, operator))
        found = basis.at(moment)
        standings = [standing(basis, each, moment) for each in Function if each in basis.performers]
        if drawing is not None:
            drawing.write_text(picture(found, language), encoding="utf-8")
    if as_json:
        print_json(document(found, used, standings, moment))
    else:
        _print(found, standings, moment)
    return int(not found.covered)


def _with(used: Catalogue, day: date) -> list[Catalogue]:
    """Return the catalogues that come with this version, and ``used`` last: one that a file has applies on
    the day that is asked about, so that it is seen what agreements lack.
    """
    known = [each for each in shipped() if each.label != used.label]
    return [*known, used if len(known) < len(shipped()) else replace(used, applies=min(used.applies, day))]


def _agreements(organisation: str, file: Path) -> Agreements:
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
    return agreements


def _moment(on: str) -> datetime:
    if not on:
        return system_clock().astimezone(UTC).replace(microsecond=0)
    try:
        return end_of(date.fromisoformat(on), _SWEDEN).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unusable("--on: a day is written as 2026-03-03") from None


def _performers(roles: str, operator: str) -> dict[Function, Party | None]:
    try:
        named = [Function(each) for each in roles.split(",")]
        party = Party.parse(operator) if operator else None
    except ValueError:
        raise Unusable("--roles are ap, mt and mk; --operator is a party like SE:212000-0142") from None
    if not set(named) <= ROLES:
        raise Unusable("--roles are ap, mt and mk")
    return dict.fromkeys(named, party)


def _print(found: Coverage, standings: list[Standing], moment: datetime) -> None:
    for each in standings:
        until = f", until {each.until:%Y-%m-%d}" if each.until else ""
        since = f", since {each.since:%Y-%m-%d}" if each.since else ""
        warning = each.warning(moment)
        ahead = f": within {warning} days" if warning else ""
        print_line(f"{each.function.value:8}  {each.mode.value}{until}{since}{ahead}")
    if found.inherited:
        print_line("inherited: rests on what was there before agreements were kept; enter agreements")
    for gap in found.gaps:
        where = {
            Missing.PARTY: "the organisation has not stated which party it is",
            Missing.AGREEMENT: f"no agreement leads to {gap.party or 'anybody'}",
            Missing.CLAUSE: f"no clause in the agreement of {gap.principal} with {gap.party}",
            Missing.KIND: f"the agreement of {gap.principal} with {gap.party} is of another kind",
        }[gap.missing]
        print_line(f"gap: {gap.duty}, {gap.function.value}: {where}")
    print_line("covered" if found.covered else f"not covered: {len(found.gaps)} gaps")
