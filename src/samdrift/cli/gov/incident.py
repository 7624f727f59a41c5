"""`samdrift gov incident`: incidents with their notification clocks, the access during them, and drafts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration import incidents as administration
from samdrift.administration.administration import administering, record_command
from samdrift.administration.incidents import Reported
from samdrift.administration.inventory import basis_of
from samdrift.cli.consenting import consented
from samdrift.cli.gov.signing import By, Out, Why, numbered, propose
from samdrift.cli.inputs import digest_of_input
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line, require_new
from samdrift.cli.persons import Actor, ConsentOption, PreparedBy, Reason, asked
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_participant
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.governance.consent import Caller, Wanted
from samdrift.governance.incidentdraft import draft as drafted
from samdrift.governance.incidents import CLOCKS, Known, document, spoken
from samdrift.governance.whouses import deeds_document
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.rights.consents import Extent, Level
from samdrift.rights.incidents import (
    Clock,
    IncidentAct,
    IncidentClosed,
    IncidentNoted,
    IncidentOpened,
    IncidentTold,
)
from samdrift.rights.record import Record
from samdrift.rights.statements import Act
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False, no_args_is_help=True)
shared = typer.Typer(add_completion=False, no_args_is_help=True)
app.add_typer(shared, name="shared")

Of = Annotated[str, typer.Argument(metavar="INCIDENT", help="Its number, or digits that its id begins with.")]
Title = Annotated[str, typer.Option("--title", help="A few words on what happened, without any content.")]
Aware = Annotated[
    str,
    typer.Option("--aware", help="When it became known, which starts its clocks; now by default."),
]
Began = Annotated[str, typer.Option("--began", help="When it began; by default when it became known.")]
Clocks = Annotated[
    str,
    typer.Option("--clocks", help=f"Those who must be notified, separated by commas: {', '.join(Clock)}."),
]
Told = Annotated[str, typer.Option("--at", help="When they were notified; now by default.")]
Reference = Annotated[str, typer.Option("--reference", help="Their case number, or how they were notified.")]
WhichClock = Annotated[str, typer.Argument(metavar="CLOCK", help=f"One of {', '.join(Clock)}.")]
Whose = Annotated[
    list[ParticipantIdentifier],
    typer.Option("--organisation", parser=read_participant, help="An organisation concerned; repeatable."),
]


@app.callback()
def incident() -> None:
    """Keep a record of incidents with their clocks, and draft notifications."""


@shared.callback()
def of_operator() -> None:
    """Manage the operator's incidents, each reported separately to every organisation that it concerns."""


@app.command("open")
def open_incident(
    organisation: Organisation,
    title: Title,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    aware: Aware = "",
    began: Began = "",
    clocks: Clocks = "concerned",
    prepared_by: PreparedBy = None,
) -> None:
    """Write a statement that opens an incident, to be signed; its clocks run from when it became known."""
    with reported_as_usage_errors():
        make = _opened(title, aware, began, clocks)
        propose(config, organisation, by, why, lambda record, at: make(at), out, prepared_by)


@app.command()
def note(
    organisation: Organisation,
    of: Of,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    clocks: Clocks = "",
    prepared_by: PreparedBy = None,
) -> None:
    """Write a note with --why as its text, to be signed; --clocks starts further clocks."""
    with reported_as_usage_errors():
        named = _clocks(clocks)
        propose(
            config,
            organisation,
            by,
            why,
            _of(of, lambda digest, at: IncidentNoted(digest, named)),
            out,
            prepared_by,
        )


@app.command()
def attach(
    organisation: Organisation,
    of: Of,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A file to attach, such as one that samdrift log export wrote."),
    ],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Write a note with the SHA-256 of a file, to be signed, such as a log section with its proofs."""
    with reported_as_usage_errors():
        digest = digest_of_input(file)
        about = _of(of, lambda one, at: IncidentNoted(one, frozenset(), digest))
        propose(config, organisation, by, why, about, out, prepared_by)


@app.command()
def tell(
    organisation: Organisation,
    of: Of,
    clock: WhichClock,
    reference: Reference,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    told: Told = "",
    prepared_by: PreparedBy = None,
) -> None:
    """Write a statement, to be signed, that the recipients of a clock were notified, which stops it."""
    with reported_as_usage_errors():
        named, moment = _clock(clock), _moment("--at", told)
        text = one_line("--reference", reference)
        about = _of(of, lambda digest, at: IncidentTold(digest, named, moment or at, text))
        propose(config, organisation, by, why, about, out, prepared_by)


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
    """Write a statement that closes an incident, to be signed by an officer; running clocks continue."""
    with reported_as_usage_errors():
        propose(
            config,
            organisation,
            by,
            why,
            _of(of, lambda digest, at: IncidentClosed(digest)),
            out,
            prepared_by,
        )


@app.command("list")
def list_incidents(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    as_json: AsJson = False,
) -> int:
    """Show the incidents with their running clocks. Exit status 1 if a clock has run out.

    They include those that the operator has reported to the organisation.
    """
    with reported_as_usage_errors():
        known = run(_read(config, organisation, "incident list", asked(by, reason)))
    now = system_clock().astimezone(UTC)
    documents = [document(each, now) for each in known]
    if as_json:
        print_json({"incidents": documents})
    else:
        for number, each in enumerate(known, 1):
            _print(str(number), each, now)
    return int(any(clock["late"] and not clock["told"] for one in documents for clock in one["clocks"]))


@app.command()
def draft(
    organisation: Organisation,
    of: Of,
    clock: WhichClock,
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.")],
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
) -> None:
    """Draft the notification that a clock demands; facts unknown to the platform are left blank."""
    with reported_as_usage_errors():
        require_new(out)
        named = _clock(clock)
        text = run(_drafted(config, organisation, of, named, asked(by, reason)))
    out.write_text(text, encoding="utf-8")
    print_line(f"{shown(out)}: fill in what is left blank, and send it")


@app.command()
def reached(
    organisation: Organisation,
    of: Of,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    consent: ConsentOption = "",
    as_json: AsJson = False,
) -> None:
    """Show who did what and where between the beginning of an incident and its end, or until now.

    Requires the organisation's consent to metadata of that time.
    """
    with reported_as_usage_errors():
        who = asked(by, reason)
        caller = Caller(who.by, who.reason, consent, who.account, who.proof)
        deeds = run(_reached(config, organisation, of, caller))
    if as_json:
        print_json({"deeds": deeds})
        return
    for each in deeds:
        where = f"  {each['where']}" if each["where"] else ""
        print_line(f"{each['who']}  {each['did']}{where}  {each['times']}  {each['first']}  {each['last']}")


@shared.command("open")
def open_shared(
    title: Title,
    whose: Whose,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    aware: Aware = "",
    began: Began = "",
    clocks: Clocks = "concerned",
    as_json: AsJson = False,
) -> int:
    """Open an incident, recorded in the operator's log and in that of each organisation that it concerns.

    Exit status 1 if an organisation does not have it in its log, because its vaults are locked or cannot be
    reached, or cannot read it, because it is suspended: notify it by other means.
    """
    with reported_as_usage_errors():
        act, who = _opened(title, aware, began, clocks)(_now()), asked(by, reason)

        async def opened() -> tuple[str, dict[str, str]]:
            async with administering(load(config)) as installation:
                return await administration.open_for(installation, act, whose, who)

        identifier, untold = run(opened())
    if as_json:
        print_json({"incident": identifier, "untold": list(untold)})
    else:
        print_line(identifier)
        _print_untold(untold)
    return int(bool(untold))


@shared.command("note")
def note_shared(of: Of, config: ConfigFile, reason: Reason, by: Actor = None, clocks: Clocks = "") -> int:
    """Add a note with --reason as its text; --clocks starts further clocks. Exit status as for open."""
    with reported_as_usage_errors():
        named = _clocks(clocks)
        return _shared(config, of, lambda digest: IncidentNoted(digest, named), by, reason)


@shared.command("tell")
def tell_shared(
    of: Of,
    clock: WhichClock,
    reference: Reference,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    told: Told = "",
) -> int:
    """State that the recipients of a clock were notified, which stops it. Exit status as for open."""
    with reported_as_usage_errors():
        named, moment = _clock(clock), _moment("--at", told) or _now()
        text = one_line("--reference", reference)
        return _shared(config, of, lambda digest: IncidentTold(digest, named, moment, text), by, reason)


@shared.command("close")
def close_shared(of: Of, config: ConfigFile, reason: Reason, by: Actor = None) -> int:
    """Close one of the operator's incidents; its running clocks continue. Exit status as for open."""
    with reported_as_usage_errors():
        return _shared(config, of, IncidentClosed, by, reason)


@shared.command("list")
def list_shared(config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False) -> int:
    """Show the operator's incidents with the organisations that each concerns. Exit status as for list."""
    with reported_as_usage_errors():
        who = asked(by, reason)

        async def listed() -> tuple[list[Known], dict[str, set[str]]]:
            async with administering(load(config), changes=False) as installation:
                await record_command(installation, "gov incident shared list", who, None)
                known, whose = await administration.operators_incidents(installation)
                return [Known(each, from_operator=True) for each in known.values()], whose

        known, whose = run(listed())
    now = system_clock().astimezone(UTC)
    documents = [
        document(each, now) | {"organisations": sorted(whose.get(each.incident.id, ()))} for each in known
    ]
    if as_json:
        print_json({"incidents": documents})
    else:
        for each, one in zip(known, documents, strict=True):
            _print(each.incident.id[:12], each, now)
            print_line(f"    concerns {', '.join(one['organisations'])}")
    return int(any(clock["late"] and not clock["told"] for one in documents for clock in one["clocks"]))


def _shared(
    config: Path, of: str, make: Callable[[str], IncidentAct], by: str | None, reason_given: str
) -> int:
    who = asked(by, reason_given)

    async def added() -> Reported:
        async with administering(load(config)) as installation:
            known, _ = await administration.operators_incidents(installation)
            identifier = _named(list(known), of)
            return await administration.add(installation, identifier, make(identifier), who)

    reported = run(added())
    for each in reported.told:
        print_line(f"{each}: in its log")
    _print_untold(reported.untold)
    if not (reported.told or reported.untold):
        print_line("in the operator's log: none of the organisations that it concerns is here any more")
    return int(bool(reported.untold))


def _print_untold(untold: Mapping[str, str]) -> None:
    for organisation, why in untold.items():
        print_line(f"{organisation}: {why}: notify it by other means")


async def _read(
    config: Path, organisation: ParticipantIdentifier, command: str, who: Asked
) -> Sequence[Known]:
    async with administering(load(config), changes=False) as installation:
        await record_command(installation, f"gov {command}", who, organisation)
        return await administration.incidents_of(installation, organisation)


async def _drafted(
    config: Path, organisation: ParticipantIdentifier, of: str, clock: Clock, who: Asked
) -> str:
    async with administering(load(config), changes=False) as installation:
        await record_command(installation, "gov incident draft", who, organisation)
        found = _chosen(await administration.incidents_of(installation, organisation), of)
        now = _now()
        uses = None
        if installation.gate.registry.find(organisation, Role.GOVERNANCE) is not None:
            end = found.incident.closed or now
            uses = (await basis_of(installation, organisation, found.incident.began, end)).uses
        return drafted(organisation.value, found.incident, clock, uses, now)


async def _reached(
    config: Path, organisation: ParticipantIdentifier, of: str, caller: Caller
) -> list[dict[str, Any]]:
    loaded = load(config)
    async with administering(loaded, changes=False) as installation:
        who_asks = Asked(caller.by, caller.reason, caller.account, caller.proof)
        await record_command(installation, "gov incident reached", who_asks, organisation)
        found = _chosen(await administration.incidents_of(installation, organisation), of).incident
        end = found.closed or _now()
        extent = Extent.span(found.began, end + timedelta(seconds=1))
        wanted = Wanted("gov incident reached", Level.METADATA, extent)
        async with consented(loaded, installation.gate, organisation, wanted, caller):
            basis = await basis_of(installation, organisation, found.began, end)
        return deeds_document(basis.uses)


def _print(name: str, known: Known, now: datetime) -> None:
    incident = known.incident
    state = "open" if incident.open_at(now) else "closed"
    whose = "  from the operator" if known.from_operator else ""
    print_line(f"{name}  {state}  {incident.title}  known {incident.aware:%Y-%m-%d %H:%M} UTC{whose}")
    for each in incident.running(now):
        left = each.left(now)
        if each.told is not None:
            text = f"notified {each.told:%Y-%m-%d %H:%M} UTC" + (", too late" if each.late else "")
        else:
            text = "not notified" if left is None else spoken(left)
        print_line(f"    {CLOCKS[each.clock].en}: {text}")


def _opened(title: str, aware: str, began: str, clocks: str) -> Callable[[datetime], IncidentOpened]:
    named, text = _clocks(clocks), one_line("--title", title)
    known, since = _moment("--aware", aware), _moment("--began", began)

    def act(at: datetime) -> IncidentOpened:
        when = known or at
        return IncidentOpened(text, since or when, when, named)

    return act


def _of(of: str, make: Callable[[str, datetime], Act]) -> Callable[[Record, datetime], Act]:
    """Return a function that makes an act about an incident of the record, identified like a statement."""
    return lambda record, at: make(_in_record(record, of), at)


def _in_record(record: Record, of: str) -> str:
    opened = [e.statement.digest for e in record.entries if isinstance(e.statement.act, IncidentOpened)]
    if len(of) >= 8 and sum(each.startswith(of) for each in opened) == 1:
        return next(each for each in opened if each.startswith(of))
    return numbered(record, of)


def _chosen(known: Sequence[Known], of: str) -> Known:
    if of.isascii() and of.isdigit() and len(of) < 8:
        if 0 < int(of) <= len(known):
            return known[int(of) - 1]
        raise Unusable("there is no such incident: samdrift gov incident list shows their numbers")
    identifier = _named([each.incident.id for each in known], of)
    return next(each for each in known if each.incident.id == identifier)


def _named(identifiers: Sequence[str], of: str) -> str:
    found = [each for each in identifiers if len(of) >= 8 and each.startswith(of)]
    if len(found) != 1:
        raise Unusable("an incident is named by at least 8 digits that its id begins with")
    return found[0]


def _clock(text: str) -> Clock:
    try:
        return Clock(text)
    except ValueError:
        raise Unusable(f"a clock must be one of {', '.join(Clock)}") from None


def _clocks(text: str) -> frozenset[Clock]:
    return frozenset(_clock(each.strip()) for each in text.split(",") if each.strip())


def _moment(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        pass
    raise Unusable(f"{option}: a time is written with its zone, as 2026-03-03T08:00:00Z") from None


def _now() -> datetime:
    return system_clock().astimezone(UTC).replace(microsecond=0)
