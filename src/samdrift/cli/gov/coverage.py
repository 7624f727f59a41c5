"""`samdrift gov coverage`: duties that an organisation's agreements cover on a given day, and gaps."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from samdrift.cli.gov.basis import (
    Because,
    Installation,
    Known,
    On,
    Operator,
    Roles,
    Statements,
    from_file,
    from_vault,
    governed,
    moment_of,
    performers_of,
    roles_here,
)
from samdrift.cli.gov.duties import CatalogueFile, read
from samdrift.cli.org.options import AsJson, Organisation
from samdrift.cli.output import print_json, print_line, require_new
from samdrift.cli.persons import Actor, asked
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.evidence.trace import Asked
from samdrift.governance.coverage import Coverage, Missing, Standing, standing
from samdrift.governance.coverageview import document, picture
from samdrift.installation.loop import run
from samdrift.rights.agreements import Function
from samdrift.wire.identifiers import ParticipantIdentifier


def coverage(
    organisation: Organisation,
    config: Installation = None,
    statements: Statements = None,
    reason: Because = None,
    by: Actor = None,
    on: On = "",
    operator: Operator = "",
    roles: Roles = "",
    catalogue: CatalogueFile = None,
    drawing: Annotated[
        Path | None, typer.Option("--picture", help="A new SVG file for the chain as a picture.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="Language of the picture: sv or en.")] = "sv",
    as_json: AsJson = False,
) -> int:
    """Show whether agreements pass on each duty of each function down to the last supplier.

    Exit status 1 if there is a gap: each is shown with duty, function, party and what is missing.
    """
    if language not in ("sv", "en"):
        raise Unusable("--language must be sv or en")
    if (config is None) == (statements is None):
        raise Unusable("one of --config and --statements is required")
    if config is not None and reason is None:
        raise Unusable("--config needs --reason, which is recorded in the organisation's log")
    with reported_as_usage_errors():
        if drawing is not None:
            require_new(drawing)
        used, moment = read(catalogue), moment_of(on)
        if config is not None:
            known, roles, own = run(_known(config, organisation, roles, asked(by, reason or "")))
            operator = operator or own
        elif statements is not None:
            known, roles = from_file(organisation.value, statements), roles or "ap,mt,mk"
        basis = known.basis(used, moment.date(), performers_of(roles, operator))
        found = basis.at(moment)
        standings = [standing(basis, each, moment) for each in Function if each in basis.performers]
        if drawing is not None:
            drawing.write_text(picture(found, language), encoding="utf-8")
    if as_json:
        print_json(document(found, used, standings, moment))
    else:
        _print(found, standings, moment)
    return int(not found.covered)


async def _known(
    config: Path, organisation: ParticipantIdentifier, roles: str, who: Asked
) -> tuple[Known, str, str]:
    async with governed(config, organisation, "coverage", who) as governance:
        here = governance.installation
        known = await from_vault(here, organisation)
        return known, roles or roles_here(here, organisation), here.config.operator


def _print(found: Coverage, standings: list[Standing], moment: datetime) -> None:
    for each in standings:
        until = f", until {each.until:%Y-%m-%d}" if each.until else ""
        since = f", since {each.since:%Y-%m-%d}" if each.since else ""
        warning = each.warning(moment)
        ahead = f": within {warning} days" if warning else ""
        print_line(f"{each.function.value:8}  {each.mode.value}{until}{since}{ahead}")
    if found.inherited:
        print_line(
            "INHERITED: one agreement that nobody signed covers everything for a time; enter agreements"
        )
    for gap in found.gaps:
        where = {
            Missing.PARTY: "the organisation has not stated which party it is",
            Missing.AGREEMENT: f"no agreement leads to {gap.party or 'anybody'}",
            Missing.CLAUSE: f"no clause in the agreement of {gap.principal} with {gap.party}",
            Missing.KIND: f"the agreement of {gap.principal} with {gap.party} is of another kind",
        }[gap.missing]
        print_line(f"gap: {gap.duty}, {gap.function.value}: {where}")
    print_line("covered" if found.covered else f"not covered: {len(found.gaps)} gaps")
