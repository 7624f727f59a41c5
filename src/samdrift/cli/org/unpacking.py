"""`samdrift org unpack`: unpacks an organisation's export, without an installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samdrift.attestation import agefile
from samdrift.attestation.trustfolder import read_trust
from samdrift.cli.org import exports
from samdrift.cli.org.options import AsJson, fingerprint
from samdrift.cli.output import print_json, print_line
from samdrift.config.errors import printable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.installation.loop import run
from samdrift.portability.unpacking import Unpacked, unpack


def unpack_export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that samdrift org export wrote.")],
    identity: Annotated[Path, typer.Option("--identity", help="The age key that it is encrypted for.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to create; it must not exist.")],
    signer: Annotated[
        str | None, typer.Option("--signer", help="SHA-256 of the certificate that must have signed.")
    ] = None,
    manifest: exports.Digest = None,
    trust: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of certificates to trust: anchors and issuers, PEM or DER."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Unpack an export into a folder: messages, attachments, receipts, logs, and a table of all messages.

    Only the file and its key are needed. Everything is checked before the folder gets its name.
    """
    signer = None if signer is None else fingerprint("--signer", signer)
    digest = None if manifest is None else fingerprint("--manifest", manifest)
    with reported_as_usage_errors():
        folder = read_trust(trust) if trust is not None else None
        unpacked = run(unpack(file, agefile.identities(identity), out, signer, digest))
    statement = unpacked.statement
    said = unpacked.manifest, statement.sha256.hex(), statement.certificate
    judged = folder.judge(statement.certificate, unpacked.manifest.made_at) if folder is not None else None
    vouched = judged is not None and judged.trusted
    if as_json:
        print_json(exports.document(*said, vouched=vouched) | _unpacked(unpacked))
        return
    records = unpacked.manifest.records
    print_line(
        f"{records.get('mt/messages', 0)} messages of {printable(unpacked.manifest.organisation)} with"
        f" {unpacked.attachments} attachments, and {records.get('mt/receipts', 0)} receipts in {shown(out)}"
    )
    if unpacked.unreadable:
        print_line(f"{unpacked.unreadable} messages could not be read: of them message.xml is there alone")
    for line in exports.lines(*said, vouched=vouched, named=signer is not None):
        print_line(line)


def _unpacked(unpacked: Unpacked) -> dict[str, object]:
    return {
        "attachments": unpacked.attachments,
        "unreadable": unpacked.unreadable,
        "records": dict(unpacked.manifest.records),
    }
