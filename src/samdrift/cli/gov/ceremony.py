"""`samdrift gov grant unsigned`, `sign-over`, `settle`: unsigned rights, which are then signed or ended."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration.administration import administering, record_command
from samdrift.administration.appointing import MessageClients
from samdrift.administration.governing import Governance
from samdrift.cli.gov.grants import app as grants
from samdrift.cli.gov.signing import By, Out, Why, show, subject
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation
from samdrift.cli.output import print_json, print_line, require_new
from samdrift.cli.persons import Actor, PreparedBy, Reason, asked, preparing
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.governance.records import StatementRefused
from samdrift.governance.words import named
from samdrift.installation.loop import run
from samdrift.rights.fields import StatementError, Subject
from samdrift.rights.folding import Holding
from samdrift.rights.record import Record
from samdrift.rights.signing import NAMESPACE
from samdrift.rights.statements import Rights, Statement
from samdrift.rights.unsigned import Unsigned, stated_again
from samdrift.wire.identifiers import ParticipantIdentifier

Folder = Annotated[
    Path, typer.Option("--folder", help="A new folder for the files to be signed, one for each right.")
]


@dataclass(frozen=True, slots=True)
class Found:
    """An organisation's unsigned rights, and its record."""

    record: Record
    unsigned: Unsigned


@grants.command()
def unsigned(
    organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False
) -> int:
    """Show every unsigned right in the message client. Exit status 1 if there is one."""
    with reported_as_usage_errors():
        found = run(_unsigned(config, organisation, "grant unsigned", asked(by, reason)))
    rows, settled = _rows(found, found.unsigned.holdings), found.unsigned.copy.settled
    if as_json:
        print_json({"settled": settled.since.isoformat() if settled else "", "rights": rows})
    else:
        if settled is not None:
            print_line(f"settled {settled.since.isoformat()}: signed decisions alone count")
        for row in rows:
            signed = "signed over" if row["signed"] else "unsigned"
            print_line(f"{row['decision']}  {row['to']}  {row['what']}  {row['scope']}  {signed}")
    return 1 if rows else 0


@grants.command("sign-over")
def sign_over(
    organisation: Organisation,
    by: By,
    config: ConfigFile,
    folder: Folder,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Write a statement for every unsigned right, each to be read and signed by an officer.

    An officer restates the rights of others: the officer's own rights, and roles, are given by another
    officer.
    """
    with reported_as_usage_errors():
        require_new(folder)
        who, preparer = subject("--by", by), preparing(prepared_by, why)
        found, statements, refused = run(_stated_again(config, organisation, who, preparer))
    folder.mkdir()
    files = []
    for number, statement in enumerate(statements, 1):
        files.append(folder / f"{number:04}-{statement.kind}.json")
        files[-1].write_bytes(statement.content)
        show(statement, found.record, files[-1])
        print_line()
    for row, (_, why_not) in zip(_rows(found, [each for each, _ in refused]), refused, strict=True):
        print_line(f"not written: {row['to']}  {row['what']}  {row['scope']}: {why_not}")
    for kind in sorted({statement.kind for statement in statements}):
        names = " ".join(shlex.quote(str(each)) for each in files if each.stem.endswith(f"-{kind}"))
        print_line(f"  ssh-keygen -Y sign -f KEY -n {NAMESPACE}{kind} {names}")
    print_line(f"  samdrift gov statement append-all {organisation} {shlex.quote(str(folder))} --config FILE")


@grants.command()
def settle(
    organisation: Organisation,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    ending: Annotated[
        bool, typer.Option("--ending", help="Also end rights that nobody has signed over.")
    ] = False,
    prepared_by: PreparedBy = None,
) -> None:
    """Ask for all unsigned rights to end, and to be ignored from then on; another officer approves."""
    with reported_as_usage_errors():
        require_new(out)
        who, preparer = subject("--by", by), preparing(prepared_by, why)
        found, statement = run(_settling(config, organisation, who, preparer, ending=ending))
    out.write_bytes(statement.content)
    for row in _rows(found, found.unsigned.left):
        print_line(f"ends: {row['to']}  {row['what']}  {row['scope']}")
    show(statement, found.record, out)


async def _unsigned(config: Path, organisation: ParticipantIdentifier, command: str, who: Asked) -> Found:
    async with administering(load(config), changes=False) as installation:
        roles = (Role.GOVERNANCE, Role.MESSAGE_CLIENT)
        await record_command(installation, f"gov {command}", who, organisation, roles)
        record = await Governance(installation, organisation).read()
        assigned = await MessageClients(installation, organisation).assigned()
        return Found(record, Unsigned.of(assigned.copy, assigned.moment))


async def _stated_again(
    config: Path, organisation: ParticipantIdentifier, who: Subject, preparer: Asked
) -> tuple[Found, list[Statement], list[tuple[Holding, str]]]:
    found = await _unsigned(config, organisation, "grant sign-over", preparer)
    statements, refused = list[Statement](), list[tuple[Holding, str]]()
    async with administering(load(config), changes=False) as installation:
        governance = Governance(installation, organisation)
        record, now = await governance.read_now()
        for holding in found.unsigned.left:
            again = partial(stated_again, holding.given)
            try:
                statements.append(governance.stated(record, now, who, preparer.reason, again))
            except (StatementRefused, StatementError) as error:
                refused.append((holding, str(error)))
    return found, statements, refused


async def _settling(
    config: Path, organisation: ParticipantIdentifier, who: Subject, preparer: Asked, *, ending: bool
) -> tuple[Found, Statement]:
    found = await _unsigned(config, organisation, "grant settle", preparer)
    left, act = found.unsigned.left, found.unsigned.settlement
    if left and not ending:
        raise Unusable(
            f"{len(left)} rights would end: samdrift gov grant unsigned shows them, gov grant sign-over"
            " has them signed; --ending lets them end"
        )
    async with administering(load(config), changes=False) as installation:
        governance = Governance(installation, organisation)
        record, now = await governance.read_now()
        return found, governance.stated(record, now, who, preparer.reason, lambda at: act)


def _rows(found: Found, holdings: Sequence[Holding]) -> list[dict[str, Any]]:
    left = found.unsigned.left
    return [_row(each, found, signed=each not in left) for each in holdings]


def _row(holding: Holding, found: Found, *, signed: bool) -> dict[str, Any]:
    what = holding.given.what
    gets = (
        ", ".join(sorted(what.rights))
        if isinstance(what, Rights)
        else f"for {named(what.absent, found.record)}"
    )
    return {
        "decision": found.unsigned.copy.number_of(holding.statements[0]),
        "to": named(what.subject, found.record),
        "what": gets,
        "scope": str(what.scope),
        "until": holding.given.end.isoformat(),
        "signed": signed,
    }


def signed_files(folder: Path) -> Iterator[Path]:
    """Yield the statements in a folder, in order; :class:`Unusable` if there are none."""
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        raise Unusable(f"{shown(folder)}: has no statements")
    yield from files
