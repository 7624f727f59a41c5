"""`samdrift gov consent`: requests by the operator's staff for access to an organisation's data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from samdrift.cli.gov.basis import record_of
from samdrift.cli.gov.signing import By, Out, Why, numbered, propose, subject
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line, print_verdict
from samdrift.cli.persons import Actor, PreparedBy, Reason, asked
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.governance.words import named
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.rights.consentfold import Consent, Stage, approvers, consents_of, moment_of, officers
from samdrift.rights.consents import (
    LONGEST_CONSENT,
    AccessAsked,
    Extent,
    Ground,
    Level,
)
from samdrift.rights.fields import Subject
from samdrift.rights.record import Record
from samdrift.rights.statements import Act, Approved, Ended

app = typer.Typer(add_completion=False, no_args_is_help=True)

_MOST_MINUTES = LONGEST_CONSENT // timedelta(minutes=1)
ExtentText = Annotated[
    str,
    typer.Option(
        "--extent",
        help="message:UUID, mailbox:ID, span:FROM/UNTIL (times like 2026-03-03T08:00:00Z), or everything.",
    ),
]
GroundOption = Annotated[Ground, typer.Option("--ground", help="The reason, one of a short list.")]
Ticket = Annotated[str, typer.Option("--ticket", help="Number of the ticket.")]
Of = Annotated[str, typer.Argument(metavar="STATEMENT", help="Number of the request, or its digest.")]


@app.callback()
def consent() -> None:
    """Ask for an organisation's consent, approve it, end it: each is signed by the person who decides."""


@app.command()
def request(
    organisation: Organisation,
    extent: ExtentText,
    ground: GroundOption,
    ticket: Ticket,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    level: Annotated[Level, typer.Option("--level", help="How much is seen.")] = Level.METADATA,
    minutes: Annotated[
        int, typer.Option("--minutes", min=1, max=_MOST_MINUTES, help="Minutes from the last approval on.")
    ] = 60,
    to: Annotated[
        str, typer.Option("--to", help="The person who will see it, where an officer asks on their behalf.")
    ] = "",
    prepared_by: PreparedBy = None,
) -> None:
    """Ask to see something. A request waits four days for an officer; content requires two officers."""
    with reported_as_usage_errors():
        who, seen = subject("--to", to) if to else subject("--by", by), read_extent(extent)
        act = AccessAsked(who, ground, one_line("--ticket", ticket), seen, level, minutes)
        record = propose(config, organisation, by, why, lambda record, at: act, out, prepared_by)
    _show_approvers(officers(record, system_clock()), record, who)


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
    """Approve a request exactly as shown."""
    with reported_as_usage_errors():
        propose(
            config,
            organisation,
            by,
            why,
            lambda record, at: Approved(asked_for(record, of).id),
            out,
            prepared_by,
        )


@app.command()
def revoke(
    organisation: Organisation,
    of: Of,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Decline a request, or end a consent or an emergency: reading stops within a second."""
    with reported_as_usage_errors():
        propose(config, organisation, by, why, lambda record, at: _ended(record, of), out, prepared_by)


@app.command("list")
def list_consents(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    as_json: AsJson = False,
) -> int:
    """Show every request ever made, and who can approve the pending ones.

    Exit status 1 when something is red: no officer can consent, or an account of an emergency is overdue.
    """
    with reported_as_usage_errors():
        record = run(record_of(config, organisation, "consent list", asked(by, reason)))
    return show(record, consents_of(record).all(), as_json=as_json)


def show(record: Record, consents: tuple[Consent, ...], *, as_json: bool) -> int:
    """Print consents, and return the exit status."""
    now = moment_of(record, system_clock())
    able = officers(record, now)
    rows = [row(each, record, now) for each in consents]
    red = not able or any(each["unanswered"] for each in rows)
    if as_json:
        names = [named(each, record) for each in able]
        print_json({"can_consent": bool(able), "officers": names, "consents": rows})
        return 1 if red else 0
    if not able:
        print_verdict("", "no officer has a key: no one can consent, and no consent is needed", good=False)
    for each in rows:
        line = f"{each['statement']}  {each['kind']}  {each['stage']}  {each['to']}  {each['level']}"
        print_line(f"{line} of {each['extent']}  {each['ground']} {each['ticket']}{_until(each)}")
        if each["approvers"]:
            print_line(f"  can approve it: {', '.join(each['approvers'])}")
        if each["unanswered"]:
            print_verdict("  ", "no account of it was given within a day", good=False)
    return 1 if red else 0


def row(each: Consent, record: Record, now: datetime) -> dict[str, Any]:
    """Return a consent as a JSON object."""
    numbers = {entry.statement.digest: entry.number for entry in record.entries}
    stage = each.stage(now)
    able = approvers(record, each, now) if stage is Stage.WAITING else ()
    return {
        "statement": numbers[each.id],
        "digest": each.id,
        "kind": each.act.kind,
        "stage": stage.value,
        "to": named(each.act.to, record),
        "by": named(each.statement.by, record),
        "at": each.statement.at.isoformat(),
        "why": each.statement.why,
        "level": each.act.level.value,
        "extent": str(each.act.extent),
        "ground": each.act.ground.value,
        "ticket": each.act.ticket,
        "minutes": each.act.lasts // timedelta(minutes=1),
        "begins": each.begins.isoformat() if each.begins else "",
        "until": each.end.isoformat() if each.end else "",
        "waits_until": each.waits_until.isoformat() if stage is Stage.WAITING else "",
        "ended": each.ended.isoformat() if each.ended else "",
        "ended_by": named(each.ended_by, record) if each.ended_by else "",
        "approved_by": [named(who, record) for who, _, _ in each.approvals],
        "approvers": [named(who, record) for who in able],
        "missing": each.missing if stage is Stage.WAITING else 0,
        "account": numbers[each.account[1]] if each.account else 0,
        "unanswered": each.unanswered(now),
    }


def read_extent(text: str) -> Extent:
    """Read an extent; ``everything`` extends to the latest possible end of a consent requested now."""
    if text == "everything":
        return Extent.everything(system_clock())
    try:
        return Extent.parse(text)
    except ValueError:
        raise Unusable("--extent must be message:UUID, mailbox:ID, span:FROM/UNTIL or everything") from None


def asked_for(record: Record, text: str) -> Consent:
    """Return the request or emergency with a given number or digest."""
    found = consents_of(record).find(numbered(record, text))
    if found is None:
        raise Unusable("that statement asks for no consent: samdrift gov consent list shows their numbers")
    return found


def _ended(record: Record, of: str) -> Act:
    return Ended(of=asked_for(record, of).id)


def _show_approvers(able: tuple[Subject, ...], record: Record, to: Subject) -> None:
    names = [named(each, record) for each in able if each.id != to.id]
    print_line(
        f"can approve it: {', '.join(names)}" if names else "no one can approve it: no officer has a key"
    )


def _until(each: dict[str, Any]) -> str:
    if each["stage"] == Stage.WAITING:
        return f"  waits until {each['waits_until']}"
    return f"  until {each['until']}" if each["until"] else ""
