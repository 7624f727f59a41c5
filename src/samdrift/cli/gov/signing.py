"""Files that people sign: statements are shown in words, written to a file, and read with their signature."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from samdrift.cli.gov.basis import governed
from samdrift.cli.inputs import read_input
from samdrift.cli.output import print_line, require_new
from samdrift.cli.persons import preparing
from samdrift.config.errors import Unusable, shown
from samdrift.governance.words import in_words, table
from samdrift.installation.loop import run
from samdrift.rights.enrolment import Keys
from samdrift.rights.fields import StatementError, Subject, SubjectKind, end_of
from samdrift.rights.record import Record
from samdrift.rights.signing import namespace
from samdrift.rights.statements import Act, Statement
from samdrift.wire.identifiers import ParticipantIdentifier

By = Annotated[
    str, typer.Option("--by", help="The person who signs: an id of samdrift gov officer list, or person:ID.")
]
Why = Annotated[str, typer.Option("--why", help="The reason, in one line, such as the number of a decision.")]
Out = Annotated[Path, typer.Option("--out", help="The file to be signed; it must not exist.")]
MAX_FILE = 64 << 10
_SWEDEN = ZoneInfo("Europe/Stockholm")


def subject(option: str, text: str) -> Subject:
    """Read a subject; an id without a kind is a person's."""
    try:
        return Subject.parse(text if ":" in text else f"{SubjectKind.PERSON}:{text}")
    except ValueError:
        raise Unusable(f"{option}: a person is named by an id, or as person:ID") from None


def moment(option: str, text: str) -> datetime:
    """Read a day, which means its end in Sweden, or an ISO 8601 time with its zone."""
    try:
        if len(text) == len("2026-03-03"):
            return end_of(date.fromisoformat(text), _SWEDEN).astimezone(UTC)
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        pass
    raise Unusable(f"{option}: a day is written as 2026-03-03, a time as 2026-03-03T08:00:00Z") from None


def read_file(file: Path) -> bytes:
    """Return the content of a small file; :class:`Unusable` states the reason for failure."""
    return read_input(file, MAX_FILE)


def read_statement(file: Path) -> Statement:
    """Read a statement, before or after it was signed."""
    try:
        return Statement.parse(read_file(file))
    except StatementError as error:
        raise Unusable(f"{shown(file)}: is not a statement: {error}") from None


def propose(
    config: Path,
    organisation: ParticipantIdentifier,
    by: str,
    why: str,
    act: Callable[[Record, datetime], Act],
    out: Path,
    prepared_by: str | None,
) -> Record:
    """Write a statement for a person to sign, and show it in words with the command that signs it.

    ``act`` returns the act to state, given the record and the moment. The record is returned.
    """
    require_new(out)
    who, preparer = subject("--by", by), preparing(prepared_by, why)

    async def prepared() -> tuple[Statement, Record]:
        async with governed(config, organisation, "statement propose", preparer) as governance:
            record, now = await governance.read_now()
            return governance.stated(record, now, who, preparer.reason, partial(act, record)), record

    try:
        statement, record = run(prepared())
    except StatementError as error:
        raise Unusable(f"that cannot be stated: {error}") from None
    out.write_bytes(statement.content)
    show(statement, record, out)
    return record


def show(statement: Statement, record: Record, file: Path) -> None:
    """Print a statement in words, and the command that signs the file."""
    for line in table(in_words(statement, record)):
        print_line(line)
    print_line()
    print_line("Read it. Then sign the file within a day, with your own key:")
    name = shlex.quote(str(file))
    print_line(f"  ssh-keygen -Y sign -f KEY -n {namespace(statement)} {name}")
    print_line("and have it appended:")
    append = f"  samdrift gov statement append {statement.organisation} {name} --config FILE"
    print_line(append)


def numbered(record: Record, text: str) -> str:
    """Return the digest of a statement, given its number or digest."""
    if text.isascii() and text.isdigit() and 0 < int(text) <= record.number:
        return record.entries[int(text) - 1].statement.digest
    if any(each.statement.digest == text for each in record.entries):
        return text
    raise Unusable("there is no such statement: samdrift gov statement list shows their numbers")


def own_key(keys: Keys, text: str) -> str:
    """Return the enrolment of a key, given its fingerprint or the beginning of it."""
    found = [each.id for each in keys.all() if len(text) >= 8 and each.key.fingerprint.startswith(text)]
    if len(found) != 1:
        raise Unusable("a key is named by at least 8 digits of its fingerprint: samdrift gov officer list")
    return found[0]
