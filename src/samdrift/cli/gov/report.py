"""`samdrift gov report`: compliance of an organisation and its suppliers with their duties, with evidence."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from samdrift import __version__
from samdrift.administration.administration import Administration, administering, operator_key, record_command
from samdrift.administration.appointing import MessageClients
from samdrift.attestation.pdfsigning import signed_pdf
from samdrift.cli.gov.basis import Operator, from_vault, moment_of, performers_of, roles_here
from samdrift.cli.gov.duties import CatalogueFile, read
from samdrift.cli.inputs import read_input
from samdrift.cli.org.options import AsJson, ConfigFile, Offline, Organisation
from samdrift.cli.output import print_json, print_line, require_new
from samdrift.cli.persons import Actor, Reason, asked
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Asked
from samdrift.governance.duties.catalogue import Catalogue, in_force
from samdrift.governance.report import Report, Status, document, of_catalogue, of_rights, report
from samdrift.governance.reportdeclaration import Attestation, NotAnAttestation, attestations, declaration
from samdrift.governance.reportkeeping import keep
from samdrift.governance.reportoscal import assessment_results, catalog, component_definition
from samdrift.governance.reportpage import page
from samdrift.governance.reportpdf import TEMPLATE, pdf_document
from samdrift.installation.loop import run
from samdrift.messageclient.handover.pdf import Typesetter
from samdrift.operations.compliance import Survey, collect, surveying
from samdrift.operations.doctor import Scope
from samdrift.rights.unsigned import Unsigned
from samdrift.vault.errors import VaultError
from samdrift.wire.identifiers import ParticipantIdentifier


def make_report(
    organisation: Organisation,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    operator: Operator = "",
    catalogue: CatalogueFile = None,
    html: Annotated[Path | None, typer.Option("--html", help="A new file for the report as a page.")] = None,
    oscal: Annotated[
        Path | None,
        typer.Option(
            "--oscal",
            help="A new file for the results in OSCAL; catalogue and component are written next to it.",
        ),
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option("--pdf", help="A new file for the report as PDF/A, signed with the operator's key."),
    ] = None,
    language: Annotated[str, typer.Option("--language", help="Language of the page: sv or en.")] = "sv",
    offline: Offline = False,
    as_json: AsJson = False,
) -> int:
    """Report for each duty whether it is fulfilled, by which evidence, and how old that is.

    No duty counts as fulfilled without evidence. The organisation's pages show the newest report. Exit status
    1 if something is a gap or rests on evidence that is too old.
    """
    if language not in ("sv", "en"):
        raise Unusable("--language must be sv or en")
    with reported_as_usage_errors():
        used = read(catalogue)
        files = [] if oscal is None else [oscal, _beside(oscal, "catalog"), _beside(oscal, "component")]
        for file in (*files, *(each for each in (html, pdf) if each is not None)):
            require_new(file)
        who = asked(by, reason)
        made, signed = run(
            _reported(
                load(config), organisation, used, operator, who, offline=offline, pdf=language if pdf else ""
            )
        )
        if pdf is not None:
            pdf.write_bytes(signed)
        if html is not None:
            html.write_text(page(made, language), encoding="utf-8")
        documents = (assessment_results(used, made), catalog(used), component_definition(used, made))
        for file, content in zip(files, documents, strict=False):
            file.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    if as_json:
        print_json(document(made))
    else:
        _print(made)
    return int(bool(made.count(Status.GAP) or made.count(Status.STALE)))


def declare(
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    operator: Operator = "",
    attested: Annotated[
        Path | None,
        typer.Option(
            "--attested",
            help="Answers attested by a person: TOML, a table per question with by, role, date, evidence.",
        ),
    ] = None,
    offline: Offline = False,
    as_json: AsJson = False,
) -> int:
    """Answer DIGG's declaration of conformity for access point operators.

    The answer is yes only if a named person attests it, or each rule of the text is tested and all reports
    show its duties as held; what it rests on is listed. Others are left blank, with what is lacking. Exit
    status 1 if an answer is blank.
    """
    with reported_as_usage_errors():
        named = {} if attested is None else _attested(attested)
        parties = set(performers_of("ap", operator).values()) - {None}
        number = "".join(each.number for each in parties if each is not None)
        reports = run(_all(load(config), operator, asked(by, reason), offline=offline))
    answers = declaration(reports, number, __version__, named)
    if as_json:
        print_json({"answers": [each.document() for each in answers]})
    else:
        for each in answers:
            lacking = f" (lacking: {', '.join(each.lacking)})" if each.lacking else ""
            rests = f" (rests on: {'; '.join(each.rests)})" if each.rests else ""
            print_line(f"{each.asks}: {each.answer or '____'}{lacking}{rests}")
    return int(not all(each.answer for each in answers))


def _attested(file: Path) -> dict[str, Attestation]:
    try:
        return attestations(read_input(file).decode(), moment_of("").date())
    except (NotAnAttestation, UnicodeDecodeError) as error:
        raise Unusable(f"{shown(file)}: {error}") from None


async def _all(config: Config, operator: str, who: Asked, *, offline: bool) -> list[Report]:
    async with administering(config, changes=False) as installation:
        served = {
            one.organisation for one in installation.gate.registry.all() if one.role is Role.ACCESS_POINT
        }
        used = read(None)
        for each in served:
            await record_command(installation, "gov declaration", who, each)
        async with surveying(installation, Scope(offline=offline)) as seen:
            return [
                await _report(installation, each, used, operator, seen, offline=offline)
                for each in sorted(served, key=str)
            ]


async def report_of(
    config: Config,
    organisation: ParticipantIdentifier,
    used: Catalogue,
    operator: str,
    who: Asked,
    *,
    offline: bool,
) -> Report:
    """Return an organisation's report, and record in its log who made it and why."""
    made, _ = await _reported(config, organisation, used, operator, who, offline=offline, pdf="")
    return made


async def _reported(
    config: Config,
    organisation: ParticipantIdentifier,
    used: Catalogue,
    operator: str,
    who: Asked,
    *,
    offline: bool,
    pdf: str,
) -> tuple[Report, bytes]:
    """Return the report and, if ``pdf`` names a language, the report as a signed PDF."""
    async with administering(config, changes=False) as installation:
        await record_command(installation, "gov report", who, organisation)
        async with surveying(installation, Scope(offline=offline)) as seen:
            made = await _report(installation, organisation, used, operator, seen, offline=offline)
        await keep(installation.gate, organisation, made)
        if not pdf:
            return made, b""
        name = next((each.name for each in config.organisations if each.identifier == organisation), "")
        document = pdf_document(made, name or str(organisation), pdf)
        content = await Typesetter(TEMPLATE).pdf(document, organisation.value)
        key = await operator_key(installation)
        return made, await signed_pdf(content, key)


async def _report(
    installation: Administration,
    organisation: ParticipantIdentifier,
    used: Catalogue,
    operator: str,
    seen: Survey,
    *,
    offline: bool,
) -> Report:
    known = await from_vault(installation, organisation)
    collected = await collect(installation, organisation, Scope(offline=offline), seen)
    roles = roles_here(installation, organisation)
    moment = moment_of("")
    basis = known.basis(used, moment.date(), performers_of(roles, operator or installation.config.operator))
    coverage = basis.at(moment)
    collected |= {"catalogue.in-use": of_catalogue(used)}
    unsigned = await _unsigned(installation, organisation, moment)
    if unsigned is not None:  # A locked vault cannot be read; its evidence is missing.
        collected |= of_rights(known.record.state, known.record.statements(), moment, unsigned)
    duties = in_force(basis.catalogues, moment.date(), coverage.register.released)
    return report(coverage, used.label, duties.values(), collected, __version__)


async def _unsigned(
    installation: Administration, organisation: ParticipantIdentifier, moment: datetime
) -> int | None:
    """Return the number of unsigned rights in force; ``None`` if the vault cannot be read now."""
    if installation.gate.registry.find(organisation, Role.MESSAGE_CLIENT) is None:
        return 0
    try:
        assigned = await MessageClients(installation, organisation).assigned()
    except (VaultError, Explained):
        return None
    return len(Unsigned.of(assigned.copy, moment).holdings)


def _beside(file: Path, what: str) -> Path:
    return file.with_name(f"{file.stem}-{what}{file.suffix or '.json'}")


def _print(made: Report) -> None:
    for row in made.rows:
        found = "; ".join(
            f"{each.collector}: {'no evidence' if each.collected is None else each.collected.found.en}"
            for each in row.evidence
        )
        links = f"; missing in {row.gaps} links of agreements" if row.gaps else ""
        print_line(f"{row.status.value:8}  {row.duty.id:16}  {found}{links}")
    counts = ", ".join(f"{made.count(status)} {status.value}" for status in reversed(Status))
    print_line(f"{made.organisation}, {made.catalogue}: {counts}")
