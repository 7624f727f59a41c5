"""`samdrift mailbox`: manning, notices, templates, rules, distribution lists, disposal and deletion.

Each command records who runs it and why in the organisation's log before it acts. None shows a message.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from enum import StrEnum
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from samdrift.administration.administration import administering, record_command
from samdrift.administration.appointing import MessageClients
from samdrift.administration.mailboxsettings import Deletions, MailboxSettings
from samdrift.cli.inputs import read_input
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line, print_table
from samdrift.cli.persons import Actor, Reason, asked
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_participant, read_time
from samdrift.config.model import Config
from samdrift.config.organisations import sign_in_issuer
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.installation.loop import run
from samdrift.messageclient.mail import Recipient, RecipientList, TextTemplate
from samdrift.messageclient.notices.manning import Hours, Manning
from samdrift.messageclient.presets import MAX_TEXT
from samdrift.vault.mailpresets import PresetKind
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")
_MOST_DAYS = 36_500
_LONGEST_PERIOD = timedelta(days=400)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(rf"({'|'.join(_DAYS)})(?:-({'|'.join(_DAYS)}))?=(?:(\d\d):(\d\d)-(\d\d):(\d\d)|closed)")

Address = Annotated[str, typer.Argument(help="The functional address of the mailbox.")]
Id = Annotated[str, typer.Argument(help="Its id, as shown in the list.")]
Which = Annotated[str, typer.Option("--id", help="The id of the one to change; by default one is created.")]

texts = typer.Typer(add_completion=False, no_args_is_help=True, help="Text templates of a mailbox.")
rules = typer.Typer(add_completion=False, no_args_is_help=True, help="Rules for who becomes the handler.")
lists = typer.Typer(add_completion=False, no_args_is_help=True, help="Distribution lists of a mailbox.")


class Since(StrEnum):
    """Events from which a disposal rule counts its days."""

    DONE = "done"
    REGISTERED = "registered"


def add_commands(app: typer.Typer) -> None:
    """Add the commands to those of `samdrift mailbox`."""
    for name, command in (
        ("backup-verified", backup_verified),
        ("deletion", deletion),
        ("disposal-rule", disposal_rule),
        ("manning", manning),
        ("notices", notices),
    ):
        app.command(name)(command)
    for name, group in (("text", texts), ("rule", rules), ("recipients", lists)):
        app.add_typer(group, name=name)


# --- deletion and disposal --------------------------------------------------------------------------------


def backup_verified(
    organisation: Organisation,
    taken_at: Annotated[
        str, typer.Option("--taken-at", help="The moment of the state in the backup (ISO 8601).")
    ],
    reason: Reason,
    config: ConfigFile,
    by: Actor = None,
) -> None:
    """Record that a backup of the message client's vault was verified: restored elsewhere, and read.

    It must contain database, object store and keys as of that moment. Messages in it may then be deleted at
    the message service, if the organisation's entry says so (`delete_after_days`).
    """

    async def work(settings: MailboxSettings) -> str:
        return await settings.verified_backup(read_time(taken_at))

    print_line(_worked(config, organisation, "backup-verified", asked(by, reason), work))


def deletion(
    organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False
) -> None:
    """Show what is deleted at the message service, and what prevents it."""
    found = _worked(
        config, organisation, "deletion", asked(by, reason), lambda settings: settings.deletions()
    )
    row = _deletion_row(found)
    if as_json:
        print_json(row)
        return
    days = row["after_days"]
    print_line("nothing is deleted there" if days is None else f"deleted there after {days} days")
    print_line(f"verified backup  {row['backup'] or 'none'}")
    for one in row["addresses"]:
        print_line(f"{one['address']}  {one['state']}")
    print_line(
        f"deleted {row['deleted']}  refused {row['refused']}  under way {row['begun']}"
        f"  disposed of {row['disposed']}"
    )


def disposal_rule(
    organisation: Organisation,
    address: Address,
    since: Annotated[Since, typer.Option("--since", help="The event from which the days count.")],
    days: Annotated[int, typer.Option("--days", min=1, max=_MOST_DAYS, help="Days after that.")],
    decision: Annotated[str, typer.Option("--decision", help="The organisation's decision, by its number.")],
    reason: Reason,
    config: ConfigFile,
    by: Actor = None,
) -> None:
    """Set a mailbox's disposal rule. Its managers propose and approve each disposal on the pages."""
    decided = one_line("--decision", decision)

    async def work(settings: MailboxSettings) -> None:
        await settings.set_disposal_rule(address, since.value, days, decided)

    _worked(config, organisation, "disposal-rule", asked(by, reason), work)
    print_line(f"{address}  {days} days after {since.value}")


def _deletion_row(found: Deletions) -> dict[str, Any]:
    backup, rule = found.backup, found.rule
    return {
        "after_days": rule and rule.after.days,
        "backup": backup and backup.taken_at.isoformat(),
        "addresses": [
            {"address": one.address, "state": rule.state(one, found.confirmed) if rule else "kept"}
            for one in found.mailboxes
        ],
        "deleted": found.counts.deleted,
        "refused": found.counts.refused,
        "begun": found.counts.begun,
        "disposed": found.counts.disposed,
    }


# --- notices ----------------------------------------------------------------------------------------------


def manning(
    organisation: Organisation,
    address: Address,
    reason: Reason,
    config: ConfigFile,
    hours: Annotated[
        list[str] | None,
        typer.Option("--hours", help="`mon-fri=08:00-17:00`, `sat=closed`; may be given again."),
    ] = None,
    closed: Annotated[
        list[str] | None,
        typer.Option(
            "--closed", help="Days on which it is not staffed: `2026-12-23` or `2026-07-06/2026-07-31`."
        ),
    ] = None,
    open_again: Annotated[
        bool, typer.Option("--open-again", help="Remove the days that are closed.")
    ] = False,
    holidays: Annotated[
        bool | None,
        typer.Option("--closed-on-holidays/--open-on-holidays", help="Whether holidays are staffed."),
    ] = None,
    escalate_after: Annotated[
        int | None,
        typer.Option(
            "--escalate-after", min=0, help="Staffed hours until an address is notified; 0 for never."
        ),
    ] = None,
    escalate_to: Annotated[str | None, typer.Option("--escalate-to", help="Mail address to notify.")] = None,
    acknowledge: Annotated[
        str | None, typer.Option("--acknowledge", help="The automatic answer; empty for none.")
    ] = None,
    by: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Show or change when a mailbox is manned, its automatic answer, and notices of unread messages."""
    given = (hours, closed, open_again, holidays, escalate_after, escalate_to, acknowledge)
    changes = any(each not in (None, False) for each in given) or holidays is False
    read, days = [_hours(each) for each in hours or ()], _closed(closed or ())

    def changed(one: Manning) -> Manning:
        return replace(
            one,
            hours=_week(one.hours, read),
            closed=(frozenset() if open_again else one.closed) | days,
            holidays=one.holidays if holidays is None else holidays,
            escalate_after=one.escalate_after if escalate_after is None else escalate_after,
            escalate_to=one.escalate_to if escalate_to is None else escalate_to.strip(),
            acknowledge=one.acknowledge if acknowledge is None else acknowledge.strip(),
        )

    if changes:
        found = _worked(
            config, organisation, "manning", asked(by, reason), lambda one: one.set_manning(address, changed)
        )
    else:
        found = _worked(config, organisation, "manning", asked(by, reason), lambda one: one.manning(address))
    if as_json:
        print_json({"manning": found.content()})
    else:
        _print_manning(found)


def _print_manning(found: Manning) -> None:
    for day, times in zip(_DAYS, found.hours, strict=True):
        print_line(f"{day}  {_times(times)}")
    print_line(f"holidays  {'closed' if found.holidays else 'staffed'}")
    print_line(f"days closed  {len(found.closed)}")
    told = f"after {found.escalate_after} staffed hours" if found.escalate_after else "never"
    print_line(f"escalated  {told}  {'to an address' if found.escalate_to else ''}".rstrip())
    print_line(f"automatic answer  {'yes' if found.acknowledge else 'no'}")


def notices(
    organisation: Organisation,
    reason: Reason,
    config: ConfigFile,
    stop: Annotated[str, typer.Option("--stop", help="Id of a person who is no longer notified.")] = "",
    by: Actor = None,
    as_json: AsJson = False,
) -> None:
    """List by id who is notified of which mailboxes by mail, without addresses; or stop such notices."""
    if stop:
        _worked(
            config, organisation, "notices", asked(by, reason), lambda settings: settings.stop_notices(stop)
        )
    mailboxes, chosen = _worked(
        config, organisation, "notices", asked(by, reason), lambda settings: settings.notices()
    )
    addresses = {one.id: one.address for one in mailboxes}
    rows: list[dict[str, Any]] = [
        {
            "person": person,
            "mailboxes": {addresses.get(box, box): how for box, how in kept["mailboxes"].items()},
        }
        for person, kept in sorted(chosen.items())
        if kept["mailboxes"]
    ]
    if as_json:
        print_json({"notices": rows})
        return
    print_table(
        ("person", "address", "how"),
        [(row["person"], address, how) for row in rows for address, how in row["mailboxes"].items()],
    )


# --- text templates ---------------------------------------------------------------------------------------


@texts.command("list")
def list_texts(
    organisation: Organisation,
    address: Address,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    as_json: AsJson = False,
) -> None:
    """List the text templates of a mailbox."""
    found = _worked(
        config, organisation, "text list", asked(by, reason), lambda settings: settings.texts(address)
    )
    if as_json:
        print_json({"texts": [{"id": one.id, "title": one.title, "text": one.text} for one in found]})
        return
    print_table(
        ("template", "title", "characters"), [(one.id, one.title, str(len(one.text))) for one in found]
    )


@texts.command("keep")
def keep_template(
    organisation: Organisation,
    address: Address,
    title: Annotated[str, typer.Option("--title", help="The title that persons choose it by.")],
    file: Annotated[Path, typer.Option("--file", help="A file with the text (UTF-8).")],
    reason: Reason,
    config: ConfigFile,
    which: Which = "",
    by: Actor = None,
) -> None:
    """Add a text template to a mailbox, or change one."""
    with reported_as_usage_errors():
        template = TextTemplate(which, one_line("--title", title), _text(file))
    print_line(
        _worked(
            config, organisation, "text keep", asked(by, reason), lambda one: one.keep_text(address, template)
        )
    )


@texts.command("remove")
def remove_text(
    organisation: Organisation,
    address: Address,
    text: Id,
    reason: Reason,
    config: ConfigFile,
    by: Actor = None,
) -> None:
    """Remove a text template."""
    _worked(
        config,
        organisation,
        "text remove",
        asked(by, reason),
        lambda one: one.drop(address, PresetKind.TEXT, text),
    )


# --- rules ------------------------------------------------------------------------------------------------


@rules.command("list")
def list_rules(
    organisation: Organisation,
    address: Address,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    as_json: AsJson = False,
) -> None:
    """List the rules of a mailbox in order; handlers only by their ids."""
    found = _worked(
        config, organisation, "rule list", asked(by, reason), lambda settings: settings.rules(address)
    )
    rows = [
        {"id": one.id, "organisation": one.organisation, "subject": one.subject, "handler": one.handler}
        for one in found
    ]
    if as_json:
        print_json({"rules": rows})
        return
    names = ("id", "organisation", "subject", "handler")
    print_table(("rule", *names[1:]), [[str(row[name] or "-") for name in names] for row in rows])


@rules.command("add")
def add(
    organisation: Organisation,
    address: Address,
    handler: Annotated[
        str, typer.Option("--handler", help="The handler's `sub` at the organisation's sign-in service.")
    ],
    reason: Reason,
    config: ConfigFile,
    sender: Annotated[str, typer.Option("--from", help="Words in the sender's name or address.")] = "",
    subject: Annotated[str, typer.Option("--subject-has", help="Words in the subject.")] = "",
    by: Actor = None,
) -> None:
    """Add a rule that assigns a handler to each conversation that begins with a matching message."""

    async def work(settings: MailboxSettings) -> str:
        issuer = _issuer(settings.clients.installation.config, organisation)
        return await settings.add_rule(
            address, sender.strip(), subject.strip(), Identity(issuer, handler, "")
        )

    print_line(_worked(config, organisation, "rule add", asked(by, reason), work))


@rules.command("remove")
def remove_rule(
    organisation: Organisation,
    address: Address,
    rule: Id,
    reason: Reason,
    config: ConfigFile,
    by: Actor = None,
) -> None:
    """Remove a rule."""
    _worked(
        config,
        organisation,
        "rule remove",
        asked(by, reason),
        lambda one: one.drop(address, PresetKind.RULE, rule),
    )


# --- distribution lists -----------------------------------------------------------------------------------


@lists.command("list")
def list_recipients(
    organisation: Organisation,
    address: Address,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    as_json: AsJson = False,
) -> None:
    """List the distribution lists of a mailbox; people's personal lists are not shown."""
    found = _worked(
        config, organisation, "recipients list", asked(by, reason), lambda settings: settings.lists(address)
    )
    rows = [
        {
            "id": one.id,
            "name": one.name,
            "recipients": [
                {"organisation": each.organisation, "address": each.address} for each in one.recipients
            ],
        }
        for one in found
    ]
    if as_json:
        print_json({"lists": rows})
        return
    print_table(
        ("list", "name", "recipients"),
        [(str(row["id"]), str(row["name"]), str(len(row["recipients"]))) for row in rows],
    )


@lists.command("keep")
def keep_recipients(
    organisation: Organisation,
    address: Address,
    name: Annotated[str, typer.Option("--name", help="The name that persons choose it by.")],
    to: Annotated[
        list[str],
        typer.Option("--to", help="A recipient: participant identifier, a space, functional address."),
    ],
    reason: Reason,
    config: ConfigFile,
    which: Which = "",
    by: Actor = None,
) -> None:
    """Add a distribution list to a mailbox, or change one; each recipient gets a separate message."""
    with reported_as_usage_errors():
        kept = RecipientList(which, one_line("--name", name), tuple(map(_recipient, to)), None)
    print_line(
        _worked(
            config,
            organisation,
            "recipients keep",
            asked(by, reason),
            lambda one: one.keep_list(address, kept),
        )
    )


@lists.command("remove")
def remove_list(
    organisation: Organisation,
    address: Address,
    recipients: Id,
    reason: Reason,
    config: ConfigFile,
    by: Actor = None,
) -> None:
    """Remove a distribution list."""
    _worked(
        config,
        organisation,
        "recipients remove",
        asked(by, reason),
        lambda one: one.drop(address, PresetKind.LIST, recipients),
    )


# --- all of them ------------------------------------------------------------------------------------------


def _worked(
    config: Path,
    organisation: ParticipantIdentifier,
    command: str,
    who: Asked,
    work: Callable[[MailboxSettings], Awaitable[T]],
) -> T:
    """Do some work, after recording in the organisation's log who does it and why."""
    with reported_as_usage_errors():
        return run(_done(load(config), organisation, command, who, work))


async def _done(
    config: Config,
    organisation: ParticipantIdentifier,
    command: str,
    who: Asked,
    work: Callable[[MailboxSettings], Awaitable[T]],
) -> T:
    async with administering(config) as installation:
        await record_command(installation, f"mailbox {command}", who, organisation, (Role.MESSAGE_CLIENT,))
        return await work(MailboxSettings(MessageClients(installation, organisation), who.by, who.reason))


def _hours(text: str) -> tuple[range, Hours]:
    """Parse the days of a week, and the hours during which they are manned."""
    found = _HOURS.fullmatch(text.strip().lower())
    if found is None:
        raise Unusable("--hours is written like mon-fri=08:00-17:00 or sat=closed")
    first, last, *times = found.groups()
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    hours: Hours = None
    if times[0] is not None:
        hour, minute, until, minutes = map(int, times)
        hours = hour * 60 + minute, until * 60 + minutes
        if not 0 <= hours[0] < hours[1] <= 24 * 60 or max(minute, minutes) > 59:
            raise Unusable("--hours names times from 00:00 to 24:00, the later one last")
    if end < begin:
        raise Unusable("--hours names the days of a week in their order")
    return range(begin, end + 1), hours


def _week(hours: Sequence[Hours], changes: Sequence[tuple[range, Hours]]) -> tuple[Hours, ...]:
    """Return a week's hours with the changes applied; the last change to a day takes effect."""
    week = list(hours)
    for days, times in changes:
        for day in days:
            week[day] = times
    return tuple(week)


def _closed(texts: Sequence[str]) -> frozenset[date]:
    days = set[date]()
    for text in texts:
        first, _, last = text.partition("/")
        try:
            begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
        except ValueError:
            raise Unusable("--closed is written like 2026-12-23 or 2026-07-06/2026-07-31") from None
        if not timedelta() <= end - begin <= _LONGEST_PERIOD:
            raise Unusable("--closed names a period of at most 400 days, its first day first")
        days |= {begin + timedelta(days=number) for number in range((end - begin).days + 1)}
    return frozenset(days)


def _times(hours: Hours) -> str:
    if hours is None:
        return "closed"
    return "-".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in hours)


def _recipient(text: str) -> Recipient:
    organisation, _, address = text.strip().partition(" ")
    if not address.strip():
        raise Unusable("--to is a participant identifier, a space, and a functional address")
    return Recipient(read_participant(organisation).value, address.strip())


def _text(file: Path) -> str:
    try:
        return TextIOWrapper(BytesIO(read_input(file, 4 * MAX_TEXT)), "utf-8").read()
    except UnicodeError:
        raise Unusable(f"{shown(file)}: is not text") from None


def _issuer(config: Config, organisation: ParticipantIdentifier) -> str:
    for one in config.organisations:
        if one.identifier == organisation and (issuer := sign_in_issuer(one)) is not None:
            return issuer
    raise Unusable(f"the configuration has no sign_in or saml of {organisation}")
