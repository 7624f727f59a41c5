"""`samdrift gov grant`: rights of people, systems and groups."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from samdrift.cli.gov.basis import record_of
from samdrift.cli.gov.signing import By, Out, Why, moment, numbered, propose, subject
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import Actor, PreparedBy, Reason, asked
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.governance.words import named
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.rights.fields import LONGEST, Scope
from samdrift.rights.folding import Holding
from samdrift.rights.record import Record
from samdrift.rights.statements import (
    OF_ORGANISATION,
    Act,
    Approved,
    Ended,
    Given,
    Objected,
    Right,
    Rights,
    Substitution,
)

app = typer.Typer(add_completion=False, no_args_is_help=True)

To = Annotated[
    str,
    typer.Option("--to", help="Recipient: person:ID, system:ID, claim:... or group:DIRECTORY#NAME."),
]
Names = Annotated[
    str,
    typer.Option("--rights", help="read, write, approve, manage, joined by commas; or one role."),
]
Mailbox = Annotated[
    str, typer.Option("--mailbox", help="The mailbox's id; without it the organisation, for a role.")
]
Until = Annotated[str, typer.Option("--until", help="The last day, or a time with its zone; at most a year.")]
From = Annotated[str, typer.Option("--from", help="The first moment; now by default.")]
For = Annotated[str, typer.Option("--for", help="The absent person whose rights a substitute gets.")]
Of = Annotated[str, typer.Argument(metavar="STATEMENT", help="The number of a statement, or its digest.")]
Asked = Annotated[
    bool,
    typer.Option("--ask", help="Only request it, for another officer to approve; roles always need that."),
]


@app.callback()
def grant() -> None:
    """Give, approve and end rights; each decision is signed by the person who makes it."""


@app.command()
def give(
    organisation: Organisation,
    to: To,
    by: By,
    until: Until,
    config: ConfigFile,
    out: Out,
    why: Why,
    rights: Names = "",
    mailbox: Mailbox = "",
    start: From = "",
    absent: For = "",
    asked: Asked = False,
    prepared_by: PreparedBy = None,
) -> None:
    """Give rights to a mailbox, appoint a substitute, or ask for a role in the organisation."""
    with reported_as_usage_errors():
        whose, end = subject("--to", to), moment("--until", until)
        begins = moment("--from", start) if start else None
        scope = Scope(mailbox or None)
        if bool(absent) == bool(rights):
            raise Unusable("name either --rights or, for a substitute, --for")
        what = Substitution(whose, scope, subject("--for", absent)) if absent else None
        named_rights = _rights(rights) if rights else frozenset[Right]()
        is_role = bool(named_rights & OF_ORGANISATION)

        def act(record: Record, at: datetime) -> Act:
            first = max(at, begins or at)
            last = min(end, first + LONGEST)
            return Given(what or Rights(whose, scope, named_rights), first, last, asked or is_role)

        propose(config, organisation, by, why, act, out, prepared_by)


@app.command()
def approve(
    organisation: Organisation,
    of: Of,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Approve another person's request: a right, a role, a key."""
    _about(organisation, of, by, config, out, why, Approved, prepared_by)


@app.command("object")
def object_to(
    organisation: Organisation,
    of: Of,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Object to a right, which is suspended until the objection ends."""
    _about(organisation, of, by, config, out, why, Objected, prepared_by)


@app.command()
def end(
    organisation: Organisation,
    of: Of,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """End a right given by a statement, or an objection."""
    _about(organisation, of, by, config, out, why, lambda digest: Ended(of=digest), prepared_by)


@app.command("end-all")
def end_all(
    organisation: Organisation,
    to: To,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """End every grant to a person, a system or a group."""
    with reported_as_usage_errors():
        whose = subject("--to", to)
        propose(config, organisation, by, why, lambda record, at: Ended(subject=whose), out, prepared_by)


@app.command("list")
def list_grants(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    on: Annotated[str, typer.Option("--on", help="The state at the end of this day; now by default.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show who has which rights by signed statements, now or on a day."""
    with reported_as_usage_errors():
        when = moment("--on", on) if on else system_clock()
        record = run(record_of(config, organisation, "grant list", asked(by, reason)))
    rows = [_row(each, record) for each in record.state.holdings(when)]
    if as_json:
        print_json({"grants": rows})
        return
    for row in rows:
        given = f"{row['to']}  {row['rights']}  {row['scope']}"
        print_line(f"{row['statements'][0]}  {given}  until {row['until']}")


def _about(
    organisation: Any, of: str, by: str, config: Any, out: Any, why: str, kind: Any, prepared_by: str | None
) -> None:
    with reported_as_usage_errors():
        propose(
            config, organisation, by, why, lambda record, at: kind(numbered(record, of)), out, prepared_by
        )


def _rights(text: str) -> frozenset[Right]:
    try:
        return frozenset(Right(each.strip()) for each in text.split(","))
    except ValueError:
        raise Unusable(f"--rights are {', '.join(Right)}, joined by commas") from None


def _row(holding: Holding, record: Record) -> dict[str, Any]:
    what = holding.given.what
    numbers = {each.statement.digest: each.number for each in record.entries}
    gets = ", ".join(sorted(what.rights)) if isinstance(what, Rights) else f"for {named(what.absent, record)}"
    return {
        "to": named(what.subject, record),
        "rights": gets,
        "scope": str(what.scope),
        "from": max(holding.given.start, holding.begins[0]).isoformat(),
        "until": holding.given.end.isoformat(),
        "statements": [numbers[each] for each in holding.statements],
    }
