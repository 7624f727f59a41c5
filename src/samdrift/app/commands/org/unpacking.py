"""`samdrift org unpack`: an organisation reads its export, without any installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samdrift.app.commands.org.options import AsJson, fingerprint
from samdrift.app.errors import printable, shown
from samdrift.app.failures import told
from samdrift.app.loop import run
from samdrift.app.moving import agefile
from samdrift.app.moving.unpacking import Unpacked, unpack
from samdrift.app.output import print_json, print_line


def unpack_export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What samdrift org export wrote.")],
    identity: Annotated[Path, typer.Option("--identity", help="The key of age that it is encrypted for.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to make; it must not be there.")],
    signer: Annotated[
        str | None, typer.Option("--signer", help="SHA-256 of the certificate that must have signed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Unpack an export into a folder: messages, attachments, receipts, logs, and a table of all messages.

    Needs the file and its key alone. Everything is checked before the folder has its name.
    """
    signer = None if signer is None else fingerprint("--signer", signer)
    with told():
        unpacked = run(unpack(file, agefile.identities(identity), out, signer))
    if as_json:
        print_json(_unpacked(unpacked))
        return
    records = unpacked.manifest.records
    print_line(
        f"{records.get('mt/messages', 0)} messages of {printable(unpacked.manifest.organisation)} with"
        f" {unpacked.attachments} attachments, and {records.get('mt/receipts', 0)} receipts in {shown(out)}"
    )
    if unpacked.unreadable:
        print_line(f"{unpacked.unreadable} messages could not be read: of them message.xml is there alone")
    compare = "" if signer else "  (to be compared with what the former supplier told)"
    print_line(f"signed by  {unpacked.statement.signer}{compare}")


def _unpacked(unpacked: Unpacked) -> dict[str, object]:
    return {
        "organisation": unpacked.manifest.organisation,
        "manifest_sha256": unpacked.statement.sha256.hex(),
        "signer_sha256": unpacked.statement.signer,
        "attachments": unpacked.attachments,
        "unreadable": unpacked.unreadable,
        "records": dict(unpacked.manifest.records),
    }
