"""`samdrift gov review`: reviews of rights, after which unanswered ones are removed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration.administration import Administration, administering, record_command
from samdrift.administration.governing import Governance
from samdrift.administration.inventory import basis_of
from samdrift.cli.consenting import shows_use
from samdrift.cli.gov.signing import By, Out, Why, moment, numbered, propose, subject
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import Actor, ConsentOption, PreparedBy, Reason, asked
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.contracts.principals import Principal, PrincipalKind, Role
from samdrift.governance import who
from samdrift.governance.consent import Caller, Wanted
from samdrift.governance.reviews import (
    SYSTEMS,
    ItemState,
    Review,
    document,
    items_about,
    matching,
    reminders,
    reviews,
)
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.rights.consents import Extent, Level
from samdrift.rights.fields import ORGANISATION, Scope
from samdrift.rights.record import Record
from samdrift.rights.reviews import ReviewClosed, ReviewOpened
from samdrift.rights.statements import Act, Outcome, Reviewed
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False, no_args_is_help=True)

Of = Annotated[str, typer.Argument(metavar="STATEMENT", help="The number of a statement, or its digest.")]
Mailbox = Annotated[str, typer.Option("--mailbox", help="The id of the mailbox whose rights are reviewed.")]
Reviewer = Annotated[str, typer.Option("--reviewer", help="The person who answers.")]
StandIn = Annotated[str, typer.Option("--stand-in", help="The person who answers where the other cannot.")]
Until = Annotated[
    str, typer.Option("--until", help="The last day, after which unanswered rights are removed.")
]


@app.callback()
def review() -> None:
    """Review rights: a no removes a right immediately, and an unanswered right is removed at the end."""


@app.command("open")
def open_review(
    organisation: Organisation,
    reviewer: Reviewer,
    stand_in: StandIn,
    until: Until,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    mailbox: Mailbox = "",
    systems: Annotated[bool, typer.Option("--systems", help="Review the rights of systems.")] = False,
    roles: Annotated[bool, typer.Option("--roles", help="Review the roles in the organisation.")] = False,
    prepared_by: PreparedBy = None,
) -> None:
    """Write a statement that opens a review of a mailbox, of systems or of roles, to be signed.

    It covers all rights in force now, at most 200, except those in another open review.
    """
    with reported_as_usage_errors():
        if sum((bool(mailbox), systems, roles)) != 1:
            raise Unusable("name one of --mailbox, --systems and --roles")
        first, second = subject("--reviewer", reviewer), subject("--stand-in", stand_in)
        due = moment("--until", until)
        about = str(Scope(mailbox)) if mailbox else SYSTEMS if systems else str(ORGANISATION)

        def act(record: Record, at: datetime) -> Act:
            items = items_about(record, about, at)
            if not items:
                raise Unusable("nothing to review: no such right is in force, or all are in a review")
            return ReviewOpened(about, items, first, second, due)

        propose(config, organisation, by, why, act, out, prepared_by)


@app.command()
def answer(
    organisation: Organisation,
    of: Of,
    outcome: Annotated[str, typer.Option("--outcome", help="keep or remove; remove ends it immediately.")],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Write an answer about a right, to be signed: keep it until its end, or remove it immediately."""
    if outcome not in tuple(Outcome):
        raise Unusable("--outcome must be keep or remove")
    with reported_as_usage_errors():
        propose(
            config,
            organisation,
            by,
            why,
            lambda record, at: Reviewed(numbered(record, of), Outcome(outcome)),
            out,
            prepared_by,
        )


@app.command()
def close(
    organisation: Organisation,
    of: Of,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Write a statement that closes a review, to be signed: unanswered rights are removed.

    A review can be closed before its last day only if everything is answered, and never while a vault of the
    organisation is locked. An overdue review can also be closed by a custodian or one of the operator's
    staff.
    """
    with reported_as_usage_errors():
        propose(
            config,
            organisation,
            by,
            why,
            lambda record, at: ReviewClosed(numbered(record, of)),
            out,
            prepared_by,
        )


@app.command("list")
def list_reviews(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    text: Annotated[
        str, typer.Option("--find", help="Show those with this text: a person, a mailbox, a reason.")
    ] = "",
    on: Annotated[str, typer.Option("--on", help="The state at the end of this day; now by default.")] = "",
    as_json: AsJson = False,
) -> int:
    """Show reviews, including past ones. Exit status 1 if one is overdue for closing."""
    with reported_as_usage_errors():
        when = moment("--on", on) if on else _now()
        record, found = run(_read(config, organisation, "review list", when, asked(by, reason)))
        wanted = one_line("--find", text) if text else ""
    documents = matching((document(each, record, {}) for each in found), wanted)
    if as_json:
        print_json({"reviews": documents})
    else:
        shown = {each["review"] for each in documents}
        for each in found:
            if each.id in shown:
                _print(each, record, when)
    return int(any(each.overdue(when) for each in found))


@app.command()
def show(
    organisation: Organisation,
    of: Of,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    consent: ConsentOption = "",
    as_json: AsJson = False,
) -> None:
    """Show a review with each right, its use and its answer.

    Times of last use require the organisation's consent to metadata of the last 90 days.
    """
    with reported_as_usage_errors():
        who_asks = asked(by, reason)
        caller = Caller(who_asks.by, who_asks.reason, consent, who_asks.account, who_asks.proof)
        found = run(_shown(config, organisation, of, who_asks, caller))
    if as_json:
        print_json(found)
        return
    print_line(f"{found['number']}  {found['about']}  until {found['due']}  by {found['reviewer']}")
    for each in found["items"]:
        used = each["used"] or ("never" if found["use_shown"] else "not shown: no consent covers that")
        mark = "  UNUSED FOR 90 DAYS" if each["unused"] else ""
        print_line(f"  {each['statement']}  {each['who']}  {', '.join(each['can'])}  {each['where']}")
        print_line(f"      last used {used}{mark}  {each['state']}  {each['by']}  {each['why']}".rstrip())


@app.command()
def remind(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=90, help="Remind of reviews that end within this many days.")
    ] = 7,
) -> int:
    """Record in the organisation's log which reviews wait for an answer. Exit status 1 if one does.

    For a timer. Entries name the people who must answer, or report that the last administrator keeps the role
    without an answer.
    """
    with reported_as_usage_errors():
        found = run(_reminded(config, organisation, timedelta(days=days), asked(by, reason)))
    for line in found:
        print_line(line)
    return int(bool(found))


async def _read(
    config: Path, organisation: ParticipantIdentifier, command: str, when: datetime, who_asks: Any
) -> tuple[Record, Sequence[Review]]:
    async with administering(load(config), changes=False) as installation:
        await record_command(installation, f"gov {command}", who_asks, organisation, (Role.GOVERNANCE,))
        record = await Governance(installation, organisation).read()
        return record, reviews(record.state, when)


async def _shown(
    config: Path, organisation: ParticipantIdentifier, of: str, who_asks: Any, caller: Caller
) -> dict[str, Any]:
    loaded = load(config)
    async with contextlib.AsyncExitStack() as stack:
        installation = await stack.enter_async_context(administering(loaded, changes=False))
        governance = Governance(installation, organisation)
        record = await governance.read()
        await record_command(installation, "gov review show", who_asks, organisation)
        now = _now()
        digest = numbered(record, of)
        found = next((each for each in reviews(record.state, now) if each.id == digest), None)
        if found is None:
            raise Unusable("that statement opens no review: samdrift gov review list shows their numbers")
        extent = Extent.span(now - who.UNUSED, now + timedelta(seconds=1))
        wanted = Wanted("gov review show", Level.METADATA, extent)
        use = await shows_use(stack, loaded, installation.gate, organisation, record, wanted, caller)
        uses = await _uses(installation, organisation, now, use=use)
        return document(found, record, uses) | {"use_shown": use}


async def _uses(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime, *, use: bool
) -> Mapping[str, Mapping[str, Any]]:
    """Return the use of each right in force, by the number of its first statement."""
    basis = await basis_of(installation, organisation, now - who.UNUSED, now)
    found: dict[str, Mapping[str, Any]] = {}
    for path in who.paths(basis, now, now):
        each = path if use else who.without_use(path)
        if each.rests_on and each.kind is not who.PathKind.SIGNING_KEY:
            known = found.get(each.rests_on[0])
            if known is None or (each.used is not None and known["used"] is None):
                found[each.rests_on[0]] = who.document(each)
    return found


async def _reminded(
    config: Path, organisation: ParticipantIdentifier, ahead: timedelta, who_asks: Any
) -> list[str]:
    async with administering(load(config)) as installation:
        await record_command(installation, "gov review remind", who_asks, organisation, (Role.GOVERNANCE,))
        record, now = await Governance(installation, organisation).read(), _now()
        principal = Principal(PrincipalKind.OPERATOR, who_asks.by)
        lines = []
        for each in reviews(record.state, now):
            for event, facts, line in reminders(each, record, now, ahead):
                await installation.gate.record_for_organisation(
                    principal, organisation, event, facts, (Role.GOVERNANCE,)
                )
                lines.append(line)
        return lines


def _print(found: Review, record: Record, now: datetime) -> None:
    number = next(e.number for e in record.entries if e.statement.digest == found.id)
    counts = ", ".join(f"{found.count(state)} {state.value}" for state in ItemState if found.count(state))
    state = "closed" if found.closed is not None else "OVERDUE" if found.overdue(now) else "open"
    print_line(f"{number}  {state}  {found.opened.about}  until {found.opened.due:%Y-%m-%d}  {counts}")


def _now() -> datetime:
    return system_clock().astimezone(UTC).replace(microsecond=0)
