"""`samdrift gov statement`: signed statements, to be appended, shown and listed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration.administration import administering, record_command
from samdrift.administration.governing import Governance
from samdrift.cli.gov.basis import governed, record_of
from samdrift.cli.gov.ceremony import signed_files
from samdrift.cli.gov.signing import By, Out, Why, read_file, read_statement, show, subject
from samdrift.cli.gov.signing import propose as write_proposal
from samdrift.cli.inputs import note_folder
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import Actor, PreparedBy, Reason, asked, bringing, passphrase
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.governance.papercode import sign_by
from samdrift.governance.words import in_words, table
from samdrift.installation.loop import run
from samdrift.rights.canonical import CanonicalError, encode
from samdrift.rights.fields import StatementError, moment_text
from samdrift.rights.record import Entry, Record
from samdrift.rights.signing import Signed
from samdrift.rights.statements import VERSION, Act, Statement
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False, no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The statement, as it was written to be signed.")]


@app.callback()
def statement() -> None:
    """Append signed statements, and read the record."""


@app.command()
def propose(
    organisation: Organisation,
    act: Annotated[
        Path,
        typer.Argument(metavar="ACT", help="A file of JSON: kind and members of an act."),
    ],
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """Write a statement of any kind to be signed; its author, time and reason are added to the file."""
    with reported_as_usage_errors():
        members = _members(act)

        def stated(record: Record, at: datetime) -> Act:
            who, text = subject("--by", by), one_line("--why", why)
            head = {"version": VERSION, "organisation": organisation.value, "by": str(who)}
            fields = {**members, **head, "at": moment_text(at), "why": text}
            try:
                return Statement.parse(encode(fields)).act
            except (CanonicalError, StatementError) as error:
                raise Unusable(f"{shown(act)}: {error}") from None

        write_proposal(config, organisation, by, why, stated, out, prepared_by)


@app.command("show")
def show_statement(
    organisation: Organisation, file: File, config: ConfigFile, reason: Reason, by: Actor = None
) -> None:
    """Show a statement in words, with the command that signs it."""
    with reported_as_usage_errors():
        wanted = read_statement(file)
        record = run(record_of(config, organisation, "statement show", asked(by, reason)))
    show(wanted, record, file)


@app.command()
def append(
    organisation: Organisation,
    file: File,
    config: ConfigFile,
    signature: Annotated[
        Path | None, typer.Option("--signature", help="The signature; by default FILE.sig, next to it.")
    ] = None,
    code: Annotated[
        bool, typer.Option("--code", help="Sign with a code on paper, which is asked for.")
    ] = False,
    code_file: Annotated[
        Path | None, typer.Option("--code-file", help="A file with the code, for scripts.")
    ] = None,
    by: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Append a signed statement to the organisation's record; all roles have it when this returns.

    A statement that is invalid, late or without effect is refused, with an entry in the log. The log also
    names who ran this command, because the signature shows only the statement's author.
    """
    with reported_as_usage_errors():
        stated = read_statement(file)
        if code or code_file is not None:
            signed = sign_by(passphrase("Code on paper", code_file).decode(), stated)
        else:
            signed = _signed(stated, signature or file.with_name(f"{file.name}.sig"))

        (entry,), behind = run(_appended(config, organisation, bringing(by), "statement append", [signed]))
    if as_json:
        found = {"statement": entry.number, "digest": stated.digest, "effect": entry.effect.value}
        print_json(found | {"behind": behind})
        return
    print_line(f"statement {entry.number}: {entry.effect.value}  {stated.digest}")
    if behind:
        print_line(f"not in the vaults of {', '.join(behind)} yet: unlock or repair them, and run")
        print_line(f"  samdrift gov statement copy {organisation} --reason WHY --config FILE")


@app.command("append-all")
def append_all(
    organisation: Organisation,
    statements: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Statements, and a signature of each.")
    ],
    config: ConfigFile,
    by: Actor = None,
) -> None:
    """Append all statements in a folder that one person has signed, in order: all of them or none."""
    with reported_as_usage_errors():
        files = list(signed_files(statements))
        signed = [_signed(read_statement(each), Path(f"{each}.sig")) for each in files]
        note_folder(statements, files)

        entries, behind = run(_appended(config, organisation, bringing(by), "statement append-all", signed))
    for entry in entries:
        print_line(f"statement {entry.number}: {entry.effect.value}  {entry.statement.digest}")
    if behind:
        print_line(f"not in the vaults of {', '.join(behind)} yet: samdrift gov statement copy")


@app.command()
def copy(organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None) -> int:
    """Update the copies of the record in the other roles. Exit status 1 if one remains out of date."""
    with reported_as_usage_errors():
        who = asked(by, reason)

        async def copied() -> list[str]:
            async with governed(config, organisation, "statement copy", who, changes=True) as governance:
                return await governance.behind()

        behind = run(copied())
    for role in behind:
        print_line(f"{role}: is out of date; its vault is locked or unavailable, or differs")
    return 1 if behind else 0


@app.command("list")
def list_statements(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    number: Annotated[int, typer.Option("--number", min=0, help="Show this one alone, in words.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show the statements of the record, in order."""
    with reported_as_usage_errors():
        record = run(record_of(config, organisation, "statement list", asked(by, reason)))
        if number > record.number:
            raise Unusable(f"the record has {record.number} statements")
    chosen = record.entries[number - 1 : number] if number else record.entries
    if as_json:
        print_json({"statements": [_row(each, record) for each in chosen]})
    elif number:
        for line in table(in_words(chosen[0].statement, record)):
            print_line(line)
    else:
        for row in (_row(each, record) for each in chosen):
            print_line(f"{row['number']}  {row['at']}  {row['kind']}  {row['by']}  {row['why']}")


async def _appended(
    config: Path, organisation: ParticipantIdentifier, who: Asked, command: str, signed: Sequence[Signed]
) -> tuple[tuple[Entry, ...], list[str]]:
    """Append statements, all or none; return them with the roles whose copies are out of date.

    The organisation's log names who submits each statement, by digest, even if it is then refused.
    """
    # ``changes=False``: ending a consent must not wait for the command that it stops.
    async with administering(load(config), changes=False) as installation:
        for each in signed:
            about, roles = {"digest": each.statement.digest}, (Role.GOVERNANCE,)
            await record_command(installation, f"gov {command}", who, organisation, roles, **about)
        governance = Governance(installation, organisation)
        return await governance.append(*signed), await governance.behind()


def _members(file: Path) -> dict[str, Any]:
    try:
        members = json.loads(read_file(file))
    except (ValueError, RecursionError):
        raise Unusable(f"{shown(file)}: is not JSON") from None
    if not isinstance(members, dict) or {"by", "at", "why", "organisation", "version"} & set(members):
        raise Unusable(f"{shown(file)}: has kind and members of an act, and nothing else")
    return members


def _signed(stated: Statement, file: Path) -> Signed:
    try:
        return Signed.by_ssh(stated, read_file(file).decode("ascii", "replace"))
    except StatementError as error:
        raise Unusable(f"{shown(file)}: {error}") from None


def _row(entry: Entry, record: Record) -> dict[str, Any]:
    words = dict(in_words(entry.statement, record))
    return {
        "number": entry.number,
        "at": words["at"],
        "kind": entry.statement.kind,
        "by": words["by"],
        "why": entry.statement.why,
        "effect": entry.effect.value,
        "digest": entry.statement.digest,
        "key": entry.signed.key,
    }
