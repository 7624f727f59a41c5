"""`samdrift gov who-can`, `who-could` and `who-did`: every path to an organisation's data, and its use."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from samdrift.administration.administration import (
    Administration,
    administering,
    hosted,
    record_command,
    signing_key,
)
from samdrift.administration.governing import Governance
from samdrift.administration.inventory import basis_of, count_doors, shown_names
from samdrift.attestation.signatures import signed, signed_bytes
from samdrift.cli.consenting import consented, shows_use
from samdrift.cli.org.options import (
    AsJson,
    ConfigFile,
    FormerOrganisation,
    OnlyOrganisation,
    Organisation,
    named,
)
from samdrift.cli.output import print_json, print_line, require_new
from samdrift.cli.persons import Actor, ConsentOption, Reason, asked
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import RightsBehind
from samdrift.evidence.trace import Asked
from samdrift.governance import who
from samdrift.governance.consent import Caller, Wanted
from samdrift.governance.records import RecordBroken
from samdrift.governance.who import Basis
from samdrift.governance.whopage import page
from samdrift.governance.whouses import deeds_document, deeds_rows
from samdrift.installation.loop import run
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.net.clock import system_clock
from samdrift.rights.consents import Extent, Level
from samdrift.rights.fields import end_of, moment_text
from samdrift.vault.errors import VaultError
from samdrift.vault.registry import RegistrationState
from samdrift.web.tables import BEGINNING, csv_lines
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

On = Annotated[str, typer.Option("--on", help="A day, like 2026-03-03, at its end; now by default.")]
From = Annotated[str, typer.Option("--from", help="The first day.")]
To = Annotated[str, typer.Option("--to", help="The last day; today by default.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="New file to write the answer to, as a table.")]
Html = Annotated[Path | None, typer.Option("--html", help="New file to write the answer to, as a page.")]
Language = Annotated[str, typer.Option("--language", help="Language of the page: sv or en.")]

_SWEDEN = ZoneInfo("Europe/Stockholm")
_MAX_PRINTED = 2000


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question about one moment, or about the time between two."""

    organisation: ParticipantIdentifier
    question: str
    first: date | None
    last: date | None
    by: Asked
    consent: str = ""


@dataclass(frozen=True, slots=True)
class _Answered:
    document: dict[str, Any]
    key: SigningKey | None
    known: Mapping[str, str]
    """Names that are part of the signed answer."""
    shown: Mapping[str, str]
    """Current names, for display."""


def who_can(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    on: On = "",
    first: From = "",
    last: To = "",
    csv: Csv = None,
    html: Html = None,
    language: Language = "sv",
    consent: ConsentOption = "",
    as_json: AsJson = False,
) -> None:
    """Show who can reach the organisation's data: the path, since when, given by whom, and the last use.

    Times of last use require the organisation's consent to metadata of the 90 days before. The answer is for
    the current time, or the end of a day; with --from and --to, it shows changes between the ends of two
    days.
    """
    with reported_as_usage_errors():
        if on and (first or last):
            raise Unusable("--on names a day, --from and --to name two: use one of them")
        if last and not first:
            raise Unusable("--to without --from: name the day to compare with, or use --on")
        days = (_day("--from", first), _day("--to", last)) if first else (None, _day("--on", on))
        question = _Asked(organisation, "who-can", *days, asked(by, reason), consent)
        _answer(config, question, csv, html, language, as_json=as_json)


def who_could(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    on: On = "",
    first: From = "",
    last: To = "",
    csv: Csv = None,
    html: Html = None,
    language: Language = "sv",
    consent: ConsentOption = "",
    as_json: AsJson = False,
) -> None:
    """Show who could reach the organisation's data at any moment of a day, or of a range of days.

    Times of last use require the organisation's consent to metadata, as for who-can.
    """
    with reported_as_usage_errors():
        days = _span(on, first, last)
        question = _Asked(organisation, "who-could", *days, asked(by, reason), consent)
        _answer(config, question, csv, html, language, as_json=as_json)


def who_did(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    on: On = "",
    first: From = "",
    last: To = "",
    csv: Csv = None,
    html: Html = None,
    language: Language = "sv",
    consent: ConsentOption = "",
    as_json: AsJson = False,
) -> None:
    """Show who did what on a day or in a range of days: how often, and when first and last.

    Requires the organisation's consent to metadata of that time.
    """
    with reported_as_usage_errors():
        days = _span(on, first, last)
        question = _Asked(organisation, "who-did", *days, asked(by, reason), consent)
        _answer(config, question, csv, html, language, as_json=as_json)


def count(
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    organisation: OnlyOrganisation = None,
    former: FormerOrganisation = None,
) -> int:
    """Count the ways into the data of each organisation with governance, as who-can does on request.

    For a daily timer, so that answers about a day include ways that came and went between two requests. Exit
    status 1 if an organisation could not be counted, because its vaults are locked.
    """
    only = named(organisation, former)
    with reported_as_usage_errors():
        failed = run(_counted(config, only, asked(by, reason)))
    for line in failed:
        print_line(line)
    return int(bool(failed))


async def _counted(config: Path, organisation: ParticipantIdentifier | None, who_asks: Asked) -> list[str]:
    async with administering(load(config), changes=False) as installation:
        governed = {
            one.organisation
            for one in installation.gate.registry.all()
            if one.role is Role.GOVERNANCE and one.state is not RegistrationState.CLOSING
        }
        if organisation is not None and organisation not in governed:
            raise Unusable(f"{organisation} has no governance here: samdrift org list shows which do")
        failed = []
        for each in sorted(governed if organisation is None else {organisation}, key=str):
            try:
                await record_command(installation, "gov count-doors", who_asks, each, (Role.GOVERNANCE,))
                await count_doors(installation, each)
            except (VaultError, RightsBehind, RecordBroken) as error:  # The others are still counted.
                failed.append(f"{each}: {error}")
        return failed


def _span(on: str, first: str, last: str) -> tuple[date, date | None]:
    if bool(on) == bool(first) or (last and not first):
        raise Unusable("name a day by --on, or two by --from and --to")
    if on:
        day = _day("--on", on)
        assert day is not None
        return day, day
    begins = _day("--from", first)
    assert begins is not None
    return begins, _day("--to", last)


def _day(option: str, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unusable(f"{option}: a day is written as 2026-03-03") from None


def _answer(
    config: Path, question: _Asked, csv: Path | None, html: Path | None, language: str, *, as_json: bool
) -> None:
    if language not in ("sv", "en"):
        raise Unusable("--language must be sv or en")
    for file in (csv, html):
        if file is not None:
            require_new(file)
            require_new(_beside(file))
    answered = run(_gathered(config, question))
    if csv is not None:
        _write(csv, BEGINNING + csv_lines(_rows(answered)), answered.key)
    if html is not None:
        _write(html, page(answered.document, answered.shown, language).encode(), answered.key)
    if as_json:
        signature = None if answered.key is None else signed(answered.document, answered.key)
        print_json(answered.document | {"signature": signature})
    elif csv is None and html is None:
        for row in _rows(answered)[1 : _MAX_PRINTED + 1]:
            print_line("  ".join(each for each in row if each and each != "False"))


async def _gathered(config: Path, question: _Asked) -> _Answered:
    loaded = load(config)
    async with contextlib.AsyncExitStack() as stack:
        installation = await stack.enter_async_context(administering(loaded, changes=False))
        organisation = question.organisation
        governance = Governance(installation, organisation)
        # Fail before anything is counted if the organisation has no governance here.
        record = await governance.read()
        await record_command(installation, f"gov {question.question}", question.by, organisation)
        now = system_clock().astimezone(UTC)
        end = None if question.last is None else _end(question.last)
        if end is None or end >= now:
            await count_doors(installation, organisation)
            end = system_clock().astimezone(UTC).replace(microsecond=0)
        first = _first(question, end)
        if first > end:
            raise Unusable("the first day is after the last one, or has not begun")
        since = first if question.question == "who-did" else min(first, end - who.UNUSED)
        gate, extent = installation.gate, Extent.span(since, end + timedelta(seconds=1))
        wanted = Wanted(f"gov {question.question}", Level.METADATA, extent)
        caller = Caller(
            question.by.by, question.by.reason, question.consent, question.by.account, question.by.proof
        )
        use = True
        if question.question == "who-did":
            await stack.enter_async_context(consented(loaded, gate, organisation, wanted, caller))
        else:
            use = await shows_use(stack, loaded, gate, organisation, record, wanted, caller)
        basis = await basis_of(installation, organisation, since, end)
        known = who.names(basis.record, end)
        shown = await shown_names(installation, organisation) | known
        key = await _key(installation, organisation)
        return _Answered(_document(question, basis, first, end, use=use), key, known, shown)


def _first(question: _Asked, end: datetime) -> datetime:
    """Return the moment at which the answer to a question begins."""
    if question.first is None:
        return end
    if question.question == "who-can":
        return _end(question.first)
    return _end(question.first - timedelta(days=1)) + timedelta(seconds=1)


def _end(day: date) -> datetime:
    try:
        return end_of(day, _SWEDEN).astimezone(UTC)
    except OverflowError:
        raise Unusable("a day of that year is not in any record") from None


def _document(
    question: _Asked, basis: Basis, first: datetime, last: datetime, *, use: bool
) -> dict[str, Any]:
    def paths(since: datetime, until: datetime) -> list[who.Path]:
        return [each if use else who.without_use(each) for each in who.paths(basis, since, until)]

    counted = basis.doors.last_count(last)
    head: dict[str, Any] = {
        "question": question.question,
        "organisation": question.organisation.value,
        "from": moment_text(first),
        "to": moment_text(last),
        "doors_counted": None if counted is None else moment_text(counted),
        "logs": sorted(basis.uses.roles),
    }
    if question.question == "who-did":
        return head | {"deeds": deeds_document(basis.uses)}
    if question.question == "who-can" and first != last:
        came, went = who.changed(paths(first, first), paths(last, last))
        head |= {"use_shown": use}
        return head | {"came": [*map(who.document, came)], "went": [*map(who.document, went)]}
    return head | {"use_shown": use, "paths": [who.document(each) for each in paths(first, last)]}


def _rows(answered: _Answered) -> list[list[str]]:
    document = answered.document
    if "deeds" in document:
        return deeds_rows(document)
    if "paths" in document:
        return who.rows(document["paths"], answered.known)
    found = [["change", *who.rows([], {})[0]]]
    for change in ("came", "went"):
        found += [[change, *row] for row in who.rows(document[change], answered.known)[1:]]
    return found


async def _key(installation: Administration, organisation: ParticipantIdentifier) -> SigningKey | None:
    """Return the key that signs answers; ``None`` if neither organisation nor operator has one yet."""
    try:
        return await signing_key(installation, organisation, hosted(installation.gate, organisation))
    except KeyStoreError:
        return None


def _write(file: Path, content: bytes, key: SigningKey | None) -> None:
    """Write a file and its signature next to it."""
    file.write_bytes(content)
    if key is not None:
        _beside(file).write_text(signed_bytes(content, key), encoding="utf-8")


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.signature.json")
