"""`samdrift org export` and `import`: moving an organisation to another supplier, or from one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import administering, hosted
from samdrift.administration.dualcontrol import Matter, Persons, two_persons
from samdrift.attestation import agefile
from samdrift.cli.consenting import consented, until_now
from samdrift.cli.inputs import known_digest
from samdrift.cli.org import exports
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, fingerprint
from samdrift.cli.output import print_json, print_line, require_new
from samdrift.cli.persons import Actor, By, ByFile, ConsentOption, With, WithFile, acting, present
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import BY_PASSPHRASE
from samdrift.governance.consent import Caller, Wanted
from samdrift.installation.loop import run
from samdrift.portability.exporting import Exported, export
from samdrift.portability.importing import Imported, Order, take_in
from samdrift.rights.consents import Level
from samdrift.wire.identifiers import ParticipantIdentifier

To = Annotated[
    list[str],
    typer.Option("--to", help="An age recipient (age1...) of the export; may be repeated."),
]
ToFile = Annotated[
    Path | None,
    typer.Option("--to-file", help="A file of such recipients, one per line, as age -R reads it."),
]


def export_organisation(
    organisation: Organisation,
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.")],
    config: ConfigFile,
    by: By,
    to: To = [],  # noqa: B006
    to_file: ToFile = None,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    consent: ConsentOption = "",
    as_json: AsJson = False,
) -> None:
    """Write all data of an organisation into one file, encrypted for its recipient. Needs two custodians.

    Requires the organisation's consent to content of all time, given by two of its officers. The file
    contains messages, receipts, evidence and logs, in open formats, but no private keys. It is opened with
    age, tar and openssl: see docs/moving.md.
    """
    with reported_as_usage_errors():
        require_new(out)
        named = agefile.recipients([*to, *(agefile.lines(to_file) if to_file else [])])
        persons = present(by, other, by_file, other_file)
        exported = run(_export(load(config), organisation, persons, named, out, consent))
    if as_json:
        print_json(_exported(exported))
    else:
        records = sum(exported.manifest.records.values())
        print_line(f"{records} records in {exported.manifest.files.count} files, and the logs of all roles")
        if not exported.manifest.suspended:
            print_line("the organisation was not suspended: what is under way cannot be taken over with this")
        print_line(f"manifest   {exported.manifest_sha256}")
        print_line(f"signed by  {exported.signer}")
        print_line("give both to the person who imports, separately from the file")


async def _export(
    config: Config,
    organisation: ParticipantIdentifier,
    persons: Persons,
    recipients: tuple[str, ...],
    out: Path,
    consent: str,
) -> Exported:
    async with administering(config) as installation:
        hosted(installation.gate, organisation)
        matter = Matter(
            "org export",
            organisation.value,
            f"export everything of {organisation.value}, encrypted for {', '.join(recipients)}",
        )
        agreed = await two_persons(installation, matter, persons)
        wanted = Wanted("org export", Level.CONTENT, until_now())
        caller = Caller(agreed.first, "org export", consent, proof=BY_PASSPHRASE)
        async with consented(config, installation.gate, organisation, wanted, caller) as running:
            return await export(installation, organisation, agreed, recipients, out, running.check)


def _exported(exported: Exported) -> dict[str, object]:
    manifest = exported.manifest
    return {
        "organisation": manifest.organisation,
        "manifest_sha256": exported.manifest_sha256,
        "signer_sha256": exported.signer,
        "suspended": manifest.suspended,
        "files": manifest.files.count,
        "bytes": manifest.files.bytes,
        "records": dict(manifest.records),
    }


def import_organisation(
    organisation: Organisation,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that samdrift org export wrote.")],
    identity: Annotated[Path, typer.Option("--identity", help="The age key that it is encrypted for.")],
    signer: Annotated[
        str,
        typer.Option("--signer", help="SHA-256 of the certificate that must have signed."),
    ],
    config: ConfigFile,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Continue here with the messages under way; by default they end."),
    ] = False,
    manifest: exports.Digest = None,
    by: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Import an organisation's data from its former supplier; if interrupted, run it again.

    Everything is checked before anything is stored. The organisation is suspended here until it is resumed.
    --take-over needs --manifest.
    """
    signer = fingerprint("--signer", signer)
    digest = None if manifest is None else fingerprint("--manifest", manifest)
    with reported_as_usage_errors():
        keys = agefile.identities(identity)
        loaded, who = load(config), acting(by)
        order = Order(
            organisation, file, keys, signer, who.name, take_over, digest, who.proof, known_digest(file)
        )
        imported = run(_import(loaded, order))
        vouched = exports.vouched_for(loaded, imported.certificate, imported.manifest.made_at)
    said = imported.manifest, imported.manifest_sha256, imported.certificate
    if as_json:
        already = {"already": imported.already, "records": dict(imported.manifest.records)}
        print_json(exports.document(*said, vouched=vouched) | already)
        return
    for line in exports.lines(*said, vouched=vouched, named=True):
        print_line(line)
    if imported.already:
        print_line(f"all of {organisation} is here already; nothing was done")
        return
    print_line(f"{sum(imported.manifest.records.values())} records of {organisation} are here")
    print_line("it is suspended here: make its keys, complete its configuration, and resume it")


async def _import(config: Config, order: Order) -> Imported:
    async with administering(config, begin=True) as installation:
        return await take_in(installation, order)
