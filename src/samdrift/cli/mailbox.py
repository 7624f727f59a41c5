"""`samdrift mailbox`: mailboxes of message clients, rights to them, and people's first roles."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer

from samdrift.administration.administration import administering, record_command
from samdrift.administration.appointing import MessageClients
from samdrift.administration.dualcontrol import Persons
from samdrift.cli.mailboxsettings import add_commands
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line, print_table
from samdrift.cli.persons import Actor, By, ByFile, Reason, With, WithFile, agreeing, asked, present
from samdrift.config.errors import Unusable, printable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config, OrganisationConfig
from samdrift.config.organisations import sign_in_issuer
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.installation.loop import run
from samdrift.messageclient.permissions import Assigned
from samdrift.messageclient.servicecheck import Tried
from samdrift.rights import Right, Rights, Substitution
from samdrift.vault.maildisposal import DisposalRecord
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False, no_args_is_help=True)
add_commands(app)

T = TypeVar("T")
_SWEDEN = ZoneInfo("Europe/Stockholm")
_ROLES = {
    Right.ADMINISTRATOR.value: Right.ADMINISTRATOR,
    Right.SECURITY_OFFICER.value: Right.SECURITY_OFFICER,
}

Subject = Annotated[
    str, typer.Option("--subject", help="The person's `sub` at the organisation's sign-in service.")
]
Name = Annotated[str, typer.Option("--name", help="The person's name, until the first sign-in gives it.")]


@app.callback()
def mailbox() -> None:
    """Manage mailboxes of message clients, rights to them, and people's first roles."""


@app.command("add")
def add(
    organisation: Organisation,
    address: Annotated[str, typer.Argument(help="A functional address of the organisation.")],
    name: Annotated[str, typer.Argument(help="The name that persons see.")],
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
) -> None:
    """Make a mailbox for a functional address, or rename an existing one. Gives no rights to it."""
    with reported_as_usage_errors():
        loaded = load(config)
        name = one_line("NAME", name)
        own = _own(loaded, organisation)
        if address not in own.functional_addresses:
            raise Unusable(f"{printable(address)} is not a functional address of {organisation}")
        run(_add(loaded, organisation, asked(by, reason), address, name))
    print_line(f"{address}  {name}")


@app.command("change")
def change(
    organisation: Organisation,
    address: Annotated[str, typer.Argument(help="The functional address of the mailbox.")],
    config: ConfigFile,
    reason: Reason,
    name: Annotated[str | None, typer.Option("--name", help="The name that persons see.")] = None,
    second_person: Annotated[
        bool | None,
        typer.Option("--second-person/--one-person", help="A second person approves before sending."),
    ] = None,
    undo_seconds: Annotated[
        int | None,
        typer.Option("--undo-seconds", min=0, max=60, help="Time in which sending can be undone."),
    ] = None,
    ask_why: Annotated[
        bool | None,
        typer.Option(
            "--ask-why/--ask-nothing",
            help="Ask persons who may read it but not write in it why they open what is confidential.",
        ),
    ] = None,
    ended: Annotated[
        bool | None,
        typer.Option("--end/--use-again", help="Close it for new messages; incoming ones are still stored."),
    ] = None,
    by: Actor = None,
) -> None:
    """Change the settings of a mailbox; settings that are not given stay unchanged."""
    chosen = {
        "name": name and one_line("--name", name),
        "needs_approval": second_person,
        "undo_seconds": undo_seconds,
        "asks_why": ask_why,
        "retired": ended,
    }
    settings = {key: value for key, value in chosen.items() if value is not None}
    with reported_as_usage_errors():
        if not settings:
            raise Unusable("no change is given: --help lists the settings")
        changed = run(_change(load(config), organisation, asked(by, reason), address, settings))
    print_line(f"{address}  {printable(changed.name)}  {_settings(changed)}")


@app.command("figures")
def figures(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=520, help="How far back.")] = 8,
    by: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Count the messages of each mailbox by week: received, sent and failed, with median response times."""
    with reported_as_usage_errors():
        found = run(_figures(load(config), organisation, asked(by, reason), weeks))
    if as_json:
        print_json({"figures": found})
        return
    print_table(
        ("week", "address", "in", "sent", "failed", "opened after", "answered after"),
        [
            (
                *(str(one[name]) for name in ("week", "address", "arrived", "sent", "failed")),
                _minutes(one["opened_after_seconds"]),
                _minutes(one["answered_after_seconds"]),
            )
            for one in found
        ],
    )


@app.command("disposals")
def disposals(
    organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False
) -> None:
    """List each mailbox's disposal rules, and its disposals with their counts, without content.

    Mailbox managers decide on them in the message client.
    """
    with reported_as_usage_errors():
        found = run(_disposals(load(config), organisation, asked(by, reason)))
    if as_json:
        print_json({"mailboxes": found})
        return
    rules = {one["address"]: one["rule"] for one in found}
    print_table(
        ("address", "rule"),
        [
            (address, f"{rule['days']} days after {rule['since']}" if rule else "no rule")
            for address, rule in rules.items()
        ],
    )
    print_table(
        ("address", "proposed", "stage", "conversations", "gone", "kept", "disposal"),
        [
            (
                one["address"],
                f"{each['proposed_at']:.10}",
                *(str(each[name]) for name in ("stage", "conversations", "gone", "kept", "id")),
            )
            for one in found
            for each in one["disposals"]
        ],
    )


@app.command("check")
def check(
    organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False
) -> None:
    """Check the message service of an organisation: name, connection, access token, lists, address book.

    It fetches, sends and changes nothing. Exit status 1 if a step fails.
    """
    with reported_as_usage_errors():
        tried = run(_check(load(config), organisation, asked(by, reason)))
    rows = [
        {"step": one.step, "about": one.about, "trouble": one.trouble, "detail": one.detail} for one in tried
    ]
    if as_json:
        print_json({"steps": rows})
    for one in () if as_json else tried:
        said = f"{one.trouble}: {printable(one.detail)}".rstrip(": ") if one.trouble else "works"
        print_line(f"{one.step}  {printable(one.about)}  {said}")
    if any(one.trouble for one in tried):
        raise typer.Exit(1)


@app.command("list")
def list_mailboxes(
    organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False
) -> None:
    """List the mailboxes of an organisation."""
    with reported_as_usage_errors():
        found = run(_mailboxes(load(config), organisation, asked(by, reason)))
    if as_json:
        print_json({"mailboxes": found})
        return
    print_table(
        ("address", "name", "state"),
        [(one["address"], one["name"], "ended" if one["ended"] else "open") for one in found],
    )


@app.command("appoint")
def appoint(
    organisation: Organisation,
    role: Annotated[str, typer.Argument(help="`administrator` or `security-officer`.")],
    subject: Subject,
    name: Name,
    config: ConfigFile,
    reason: Reason,
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """Make a person administrator or security officer of an organisation, for a year. Needs two custodians.

    The administrator gives rights to mailboxes on the pages; neither role includes access to content.
    """
    with reported_as_usage_errors():
        if role not in _ROLES:
            raise Unusable(f"the role must be one of {', '.join(_ROLES)}")
        loaded = load(config)
        identity = _identity(loaded, organisation, subject, one_line("--name", name))
        persons = present(by, other, by_file, other_file)
        run(_appoint(loaded, organisation, agreeing(by, reason), identity, _ROLES[role], persons))
    print_line(f"{organisation}  {role}  {printable(subject)}")


@app.command("dismiss")
def dismiss(
    organisation: Organisation,
    subject: Subject,
    config: ConfigFile,
    reason: Reason,
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """End the roles of a person in an organisation; rights to mailboxes remain. Needs two custodians."""
    with reported_as_usage_errors():
        loaded = load(config)
        identity = _identity(loaded, organisation, subject, "")
        persons = present(by, other, by_file, other_file)
        ended = run(_dismiss(loaded, organisation, agreeing(by, reason), identity, persons))
    print_line(f"{organisation}  {printable(subject)}  {ended} roles ended")


@app.command("rights")
def rights(
    organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False
) -> None:
    """List current rights, their holders, when they end, and the decision behind each; people by id only."""
    with reported_as_usage_errors():
        found = run(_rights(load(config), organisation, asked(by, reason)))
    if as_json:
        print_json({"rights": found})
        return
    names = ("scope", "to", "what", "until", "decision")
    print_table(names, [[str(one[name]) for name in names] for one in found])


@contextlib.asynccontextmanager
async def _opened(
    config: Config, organisation: ParticipantIdentifier, command: str, who: Asked
) -> AsyncIterator[MessageClients]:
    """Open an organisation's message client, and record in its log who opens it and why."""
    async with administering(config) as installation:
        await record_command(installation, f"mailbox {command}", who, organisation, (Role.MESSAGE_CLIENT,))
        yield MessageClients(installation, organisation)


async def _add(
    config: Config, organisation: ParticipantIdentifier, who: Asked, address: str, name: str
) -> None:
    async with _opened(config, organisation, "add", who) as clients:
        await clients.add_mailbox(address, name)


async def _mailboxes(
    config: Config, organisation: ParticipantIdentifier, who: Asked
) -> list[Mapping[str, Any]]:
    async with _opened(config, organisation, "list", who) as clients:
        found = await clients.mailboxes()
    return [
        {
            "id": one.id,
            "address": one.address,
            "name": one.name,
            "second_person": one.needs_approval,
            "undo_seconds": one.undo_seconds,
            "ask_why": one.asks_why,
            "ended": one.retired,
        }
        for one in found
    ]


async def _change(
    config: Config, organisation: ParticipantIdentifier, who: Asked, address: str, settings: Mapping[str, Any]
) -> MailboxRecord:
    async with _opened(config, organisation, "change", who) as clients:
        return await clients.change_mailbox(address, who.by, **settings)


async def _figures(
    config: Config, organisation: ParticipantIdentifier, who: Asked, weeks: int
) -> list[Mapping[str, Any]]:
    async with _opened(config, organisation, "figures", who) as clients:
        mailboxes, found = await clients.figures(weeks)
    addresses = {one.id: one.address for one in mailboxes}
    return [
        {
            "week": f"{one.week.astimezone(_SWEDEN):%G-W%V}",
            "address": addresses[one.mailbox],
            "arrived": one.arrived,
            "sent": one.sent,
            "failed": one.failed,
            "opened_after_seconds": one.opened_after,
            "answered_after_seconds": one.answered_after,
        }
        for one in found
    ]


async def _disposals(
    config: Config, organisation: ParticipantIdentifier, who: Asked
) -> list[Mapping[str, Any]]:
    async with _opened(config, organisation, "disposals", who) as clients:
        mailboxes, rules, found = await clients.disposals()
    return [
        {
            "address": box.address,
            "rule": {
                "since": rules[box.id].since,
                "days": rules[box.id].days,
                "decision": rules[box.id].content["decision"],
            }
            if box.id in rules
            else None,
            "disposals": [_disposal(each) for each in found if each.mailbox == box.id],
        }
        for box in mailboxes
    ]


def _disposal(one: DisposalRecord) -> Mapping[str, Any]:
    return {
        "id": one.id,
        "stage": one.stage,
        "decision": one.content["decision"],
        "proposed_at": one.proposed_at.isoformat(),
        "decided_at": one.agreed_at and one.agreed_at.isoformat(),
        "done_at": one.done_at and one.done_at.isoformat(),
        "conversations": one.conversations,
        "gone": one.gone,
        "kept": one.kept,
        "messages": one.messages,
        "files": one.files,
    }


async def _check(config: Config, organisation: ParticipantIdentifier, who: Asked) -> tuple[Tried, ...]:
    async with _opened(config, organisation, "check", who) as clients:
        return await clients.check_service(who.by)


def _settings(mailbox: MailboxRecord) -> str:
    said = [
        "second person" if mailbox.needs_approval else "one person",
        f"undo {mailbox.undo_seconds} s",
        *(["asks why"] if mailbox.asks_why else []),
        *(["ended"] if mailbox.retired else []),
    ]
    return ", ".join(said)


def _minutes(seconds: float | None) -> str:
    return "-" if seconds is None else f"{round(seconds / 60)} min"


async def _appoint(
    config: Config,
    organisation: ParticipantIdentifier,
    who: Asked,
    identity: Identity,
    role: Right,
    persons: Persons,
) -> None:
    async with _opened(config, organisation, "appoint", who) as clients:
        await clients.appoint(identity, role, persons)


async def _dismiss(
    config: Config, organisation: ParticipantIdentifier, who: Asked, identity: Identity, persons: Persons
) -> int:
    async with _opened(config, organisation, "dismiss", who) as clients:
        return await clients.dismiss(identity, persons)


async def _rights(config: Config, organisation: ParticipantIdentifier, who: Asked) -> list[Mapping[str, Any]]:
    async with _opened(config, organisation, "rights", who) as clients:
        names = {f"mailbox:{one.id}": one.address for one in await clients.mailboxes()}
        return list(_lines(await clients.assigned(), names))


def _lines(assigned: Assigned, names: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    for holding in assigned.copy.state.holdings(assigned.moment):
        what = holding.given.what
        scope, number = str(what.scope), assigned.copy.number_of(holding.statements[0])
        yield {
            "scope": names.get(scope, scope),
            "to": str(what.subject),
            "what": ",".join(sorted(what.rights)) if isinstance(what, Rights) else _for(what),
            "until": f"{holding.given.end:%Y-%m-%d}",
            "decision": int(number) if number.isdigit() else number,
        }


def _for(what: Substitution) -> str:
    return f"for {what.absent}"


def _own(config: Config, organisation: ParticipantIdentifier) -> OrganisationConfig:
    for one in config.organisations:
        if one.identifier == organisation:
            return one
    raise Unusable(f"the configuration has no organisation {organisation}")


def _identity(config: Config, organisation: ParticipantIdentifier, subject: str, name: str) -> Identity:
    issuer = sign_in_issuer(_own(config, organisation))
    if issuer is None:
        raise Unusable(f"the configuration has no sign_in or saml of {organisation}")
    return Identity(issuer, one_line("--subject", subject), name)
