"""`samdrift gov party` and `agreement`: statements about parties and their agreements."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.cli.gov.basis import On, from_vault, governed, moment_of
from samdrift.cli.gov.duties import CatalogueFile, read
from samdrift.cli.gov.grants import Of, approve, end, object_to
from samdrift.cli.gov.signing import By, Out, Why, moment, numbered, propose, read_file
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import Actor, PreparedBy, Reason, asked
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.evidence.trace import Asked
from samdrift.installation.loop import run
from samdrift.rights.agreementfold import Register
from samdrift.rights.agreements import (
    Agreed,
    AtEnd,
    Chosen,
    Extended,
    Function,
    NoticeGiven,
    Party,
    PartyKind,
    PartyNamed,
    Released,
    as_written,
)
from samdrift.rights.fields import StatementError
from samdrift.rights.statements import Act

parties = typer.Typer(add_completion=False, no_args_is_help=True)
agreements = typer.Typer(add_completion=False, no_args_is_help=True)

PartyName = Annotated[str, typer.Argument(metavar="PARTY", help="Country and number, like SE:212000-0142.")]


@parties.callback()
def party() -> None:
    """State the parties of agreements: the organisation itself, its suppliers and theirs."""


@agreements.callback()
def agreement() -> None:
    """Manage agreements, each entered by one person and countersigned by an officer of the organisation."""


@parties.command("state")
def state_party(
    organisation: Organisation,
    named: PartyName,
    name: Annotated[str, typer.Option("--name", help="The party's name.")],
    form: Annotated[str, typer.Option("--form", help=f"One of {', '.join(PartyKind)}.")],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    participant: Annotated[
        str, typer.Option("--participant", help="The participant that it is, like 0203:habo.se.")
    ] = "",
    prepared_by: PreparedBy = None,
) -> None:
    """State a party's name and kind, and the participant that it is, if any."""
    with reported_as_usage_errors():
        stated = PartyNamed(_party("PARTY", named), name, _one_of("--form", form, PartyKind), participant)
        propose(config, organisation, by, why, lambda record, at: stated, out, prepared_by)


@parties.command("list")
def list_parties(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    on: On = "",
    as_json: AsJson = False,
) -> None:
    """Show the known parties, now or at the end of a day."""
    with reported_as_usage_errors():
        register = _register(organisation, config, "party list", asked(by, reason), on)
    rows = [
        {
            "party": str(each.party),
            "name": each.name,
            "form": each.form.value,
            "own": each.party == register.own,
        }
        for each in register.parties.values()
    ]
    if as_json:
        print_json({"parties": rows})
        return
    for row in rows:
        print_line(f"{row['party']}  {row['name']}  {row['form']}{'  (own)' if row['own'] else ''}")


@agreements.command("enter")
def enter(
    organisation: Organisation,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The agreement as JSON: docs/agreements.md has its fields."),
    ],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Enter an agreement; it counts once an officer who did not enter it has countersigned it.

    The same file is entered for each organisation that it is for, and has the same digest in each.
    """
    with reported_as_usage_errors():
        content = read_file(file)

        def act(record: Any, at: datetime) -> Act:
            return _agreed(file, content, at)

        propose(config, organisation, by, why, act, out, prepared_by)


agreements.command("countersign")(approve)
agreements.command("object")(object_to)
agreements.command("end")(end)


@agreements.command("notice")
def notice(
    organisation: Organisation,
    of: Of,
    performer: Annotated[str, typer.Option("--performer", help="The sub-supplier, a party.")],
    functions: Annotated[
        str, typer.Option("--functions", help="Functions that it performs, joined by commas.")
    ],
    countries: Annotated[
        str, typer.Option("--countries", help="Countries in which data is processed, like FI,SE.")
    ],
    window: Annotated[str, typer.Option("--window", help="The last day for an objection, or a time.")],
    start: Annotated[str, typer.Option("--from", help="The day after which it is engaged, or a time.")],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Give notice of a sub-supplier; the organisation can object until the window closes."""
    with reported_as_usage_errors():
        who = _party("--performer", performer)
        what = frozenset(_one_of("--functions", each, Function) for each in functions.split(","))
        where = tuple(sorted(set(countries.split(","))))
        closes, begins = moment("--window", window), moment("--from", start)

        def act(record: Any, at: datetime) -> Act:
            return NoticeGiven(numbered(record, of), who, what, where, closes, begins)

        propose(config, organisation, by, why, act, out, prepared_by)


@agreements.command("extend")
def extend(
    organisation: Organisation,
    of: Of,
    until: Annotated[str, typer.Option("--until", help="The last day, or a time; at most 90 days longer.")],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Ask for an agreement to be extended for a fixed time; another officer approves."""
    with reported_as_usage_errors():
        last = moment("--until", until)
        propose(
            config,
            organisation,
            by,
            why,
            lambda record, at: Extended(numbered(record, of), last),
            out,
            prepared_by,
        )


@agreements.command("at-end")
def at_end(
    organisation: Organisation,
    sending: Annotated[str, typer.Argument(metavar="CHOICE", help="stop or continue.")],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Choose whether sending stops or continues when cover ends; receiving continues either way."""
    with reported_as_usage_errors():
        choice = Chosen(_one_of("CHOICE", sending, AtEnd))
        propose(config, organisation, by, why, lambda record, at: choice, out, prepared_by)


@agreements.command("release")
def release(
    organisation: Organisation,
    duty: Annotated[str, typer.Argument(metavar="DUTY", help="A duty that the catalogue does not have.")],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    catalogue: CatalogueFile = None,
    prepared_by: PreparedBy = None,
) -> None:
    """Ask to release a duty that is not in the newest catalogue; another officer approves."""
    with reported_as_usage_errors():
        used = read(catalogue)
        if duty in used.duties:
            raise Unusable(f"DUTY: {used.label} has it, and it cannot be let go")
        propose(
            config, organisation, by, why, lambda record, at: Released(duty, used.label), out, prepared_by
        )


@agreements.command("list")
def list_agreements(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    on: On = "",
    as_json: AsJson = False,
) -> None:
    """Show agreements, those awaiting a countersignature, and notices; now or at the end of a day."""
    with reported_as_usage_errors():
        register = _register(organisation, config, "agreement list", asked(by, reason), on)
    rows = [
        {
            "statement": each.digest,
            "state": "in force" if each.covers(register.moment) else "not in force",
            "until": each.end.isoformat(),
            **_of(each.agreed),
        }
        for each in register.agreements
    ]
    rows += [
        {"statement": digest, "state": "waits", "until": agreed.end.isoformat(), **_of(agreed)}
        for digest, agreed in register.waiting
    ]
    notices = [
        {
            "statement": each.digest,
            "performer": str(each.given.performer),
            "window": each.given.window.isoformat(),
            "from": each.given.start.isoformat(),
            "objected": each.objected,
        }
        for each in register.notices
    ]
    if as_json:
        print_json({"agreements": rows, "notices": notices})
        return
    for row in rows:
        between = f"{row['principal']} with {row['performer']}"
        print_line(f"{row['statement'][:12]}  {row['state']}  {row['form']}  {between}  until {row['until']}")
    for each in notices:
        objected = "  objected to" if each["objected"] else ""
        print_line(f"notice of {each['performer']}  from {each['from']}{objected}")


def _of(agreed: Agreed) -> dict[str, Any]:
    return {
        "form": agreed.form.value,
        "principal": str(agreed.principal),
        "performer": str(agreed.performer),
        "functions": sorted(agreed.functions),
        "terms": agreed.terms,
    }


def _register(organisation: Any, config: Path, command: str, who: Asked, on: str) -> Register:
    async def known() -> Register:
        async with governed(config, organisation, command, who) as governance:
            return (await from_vault(governance.installation, organisation)).agreements.at(moment_of(on))

    return run(known())


def _agreed(file: Path, content: bytes, at: datetime) -> Agreed:
    try:
        return as_written(content, at)
    except StatementError as error:
        raise Unusable(f"{shown(file)}: {error}") from None


def _party(option: str, text: str) -> Party:
    try:
        return Party.parse(text)
    except ValueError:
        raise Unusable(f"{option}: a party is written like SE:212000-0142, with its check digit") from None


def _one_of(option: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise Unusable(f"{option}: unknown value") from None
