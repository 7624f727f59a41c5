"""`samdrift gov board`: the newest reports of the members of a joint board, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import administering, record_command
from samdrift.cli.gov.basis import from_vault, moment_of
from samdrift.cli.org.options import AsJson, ConfigFile
from samdrift.cli.output import print_json, print_line, print_table, require_new
from samdrift.cli.persons import Actor, Reason, asked
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_participant
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.governance.boardreport import Member, document, may_see, page
from samdrift.governance.report import Status
from samdrift.governance.reportkeeping import last
from samdrift.installation.loop import run
from samdrift.rights.agreements import Party
from samdrift.wire.identifiers import ParticipantIdentifier


def board(
    party: Annotated[
        str, typer.Argument(metavar="BOARD", help="The party that the board is, like SE:212000-0142#it.")
    ],
    organisations: Annotated[
        list[ParticipantIdentifier],
        typer.Argument(parser=read_participant, metavar="ORGANISATION...", help="The members, at least two."),
    ],
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    html: Annotated[Path | None, typer.Option("--html", help="A new file for the report as a page.")] = None,
    language: Annotated[str, typer.Option("--language", help="Language of the page: sv or en.")] = "sv",
    as_json: AsJson = False,
) -> int:
    """Show a joint board or municipal federation only the status of each duty at its members.

    Each member must have countersigned an agreement with the board that is in force, and must have a report
    (samdrift gov report), of which the newest is shown. Exit status 1 if a member has a gap, evidence that is
    too old, or no report.
    """
    if language not in ("sv", "en"):
        raise Unusable("--language must be sv or en")
    if len(set(organisations)) != len(organisations) or len(organisations) < 2:
        raise Unusable("ORGANISATION: at least two members are required, each once")
    try:
        named = Party.parse(party)
    except ValueError as error:
        raise Unusable(f"BOARD: {error}") from None
    with reported_as_usage_errors():
        if html is not None:
            require_new(html)
        moment = moment_of("")
        members = run(_members(load(config), named, organisations, asked(by, reason)))
        if html is not None:
            html.write_text(page(named, members, moment, language), encoding="utf-8")
    made = document(named, members, moment)
    if as_json:
        print_json(made)
    else:
        _print(members, made["rows"])
    wrong = {Status.GAP, Status.STALE}
    unmet = any(wrong.intersection(row["statuses"].values()) for row in made["rows"])
    return int(unmet or any(each.report is None for each in members))


async def _members(
    config: Config, board: Party, organisations: Sequence[ParticipantIdentifier], who: Asked
) -> list[Member]:
    """Return the members and their newest reports; :class:`Unusable` names one that the board may not see."""
    async with administering(config, changes=False) as installation:
        for each in organisations:
            if installation.gate.registry.find(each, Role.GOVERNANCE) is None:
                raise Unusable(f"{each.value}: it has no governance in this installation")
        await record_command(installation, "gov board", who, None)
        for each in organisations:
            await record_command(installation, "gov board", who.elsewhere(), each, (Role.GOVERNANCE,))
            known = await from_vault(installation, each)
            if not may_see(board, known.agreements.at(moment_of(""))):
                raise Unusable(
                    f"{each.value}: it has no agreement in force with {board} as a joint board or municipal"
                    " federation; its officers state the party and countersign the agreement"
                )
        return [Member(each.value, await last(installation.gate, each)) for each in organisations]


def _print(members: Sequence[Member], rows: Sequence[dict[str, object]]) -> None:
    for each in members:
        made = "no report: samdrift gov report" if each.at is None else f"report of {each.at:%Y-%m-%d %H:%M}Z"
        print_line(f"{each.organisation}: {made}")
    if rows:
        print_line()
        print_table(
            ["duty", *(each.organisation for each in members)],
            [[str(row["duty"]), *(_said(row, each) for each in members)] for row in rows],
        )


def _said(row: dict[str, object], member: Member) -> str:
    status = member.status(str(row["duty"]))
    return "-" if status is None else status.value
