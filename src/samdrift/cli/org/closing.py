"""`samdrift org close` and `verify-closing`: destruction of all of an organisation's data, with proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from samdrift.administration import closing
from samdrift.administration.administration import administering
from samdrift.administration.closing import Order, close
from samdrift.administration.dualcontrol import Persons
from samdrift.attestation.trustfolder import read_trust
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line, print_text, require_new
from samdrift.cli.persons import ByFile, With, WithFile, present
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_document, reason
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.keystore.durablefiles import write_new
from samdrift.net.clock import system_clock
from samdrift.processes.survivors import end_left_behind

OptionalBy = Annotated[
    str | None, typer.Option("--by", help="The custodian who asks. Not needed to continue.")
]
AFTERWARDS = """What is left to do:
  remove what is registered in SMP and CertPub, and have DIGG remove it from the address book
  have its certificates revoked
  destroy wrapped backups of its keys: those who hold them
  remove its entry from the configuration, and restart serve: it has let go of the keys, but not of its
    connection to the access point, and memory that has become free is not overwritten"""


def close_organisation(
    organisation: Organisation,
    config: ConfigFile,
    decision: Annotated[str, typer.Option("--decision", help="The decision, by its number: 'dnr 2026/123'.")],
    by: OptionalBy = None,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    also_unfinished: Annotated[
        bool, typer.Option("--also-unfinished", help="End all messages under way, with status and reason.")
    ] = False,
    without_export: Annotated[
        bool, typer.Option("--without-export", help="Destroy the log without having exported it.")
    ] = False,
    also_not_handed_over: Annotated[
        bool,
        typer.Option(
            "--also-not-handed-over",
            help="Destroy public records that were not handed over; the decision must say so.",
        ),
    ] = False,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Also write the certificate to this new file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Destroy all data of a suspended organisation: keys, messages, log. Irreversible; needs two custodians.

    Prints the certificate of destruction. If interrupted, run it again to continue.
    """
    with reported_as_usage_errors():
        decided = one_line("--decision", decision)
        order = Order(organisation, decided, also_unfinished, without_export, also_not_handed_over)
        loaded = load(config)
        if certificate is not None:
            require_new(certificate)
        persons = present(by, other, by_file, other_file) if by is not None else None
        signed = run(_close(loaded, order, persons))
    if certificate is not None:
        _keep(certificate, signed)
    document = json.loads(signed)
    if as_json:
        print_json(document)
    else:
        print_text(document["text"])
        print_text(AFTERWARDS)


def _keep(file: Path, certificate: bytes) -> None:
    try:
        why = "" if write_new(file, certificate) else "already exists"
    except OSError as error:
        why = reason(error)
    if why:
        raise Unusable(
            f"{shown(file)}: {why}; the organisation is closed anyway, and the command can be repeated"
        )


async def _close(config: Config, order: Order, persons: Persons | None) -> bytes:
    async with administering(config) as installation:
        await end_left_behind(config, installation.gate.registry, order.organisation)
        return await close(installation, order, persons, system_clock)


def verify_closing(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A certificate of destruction (JSON).")],
    trust: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of certificates to trust: anchors and issuers, PEM or DER."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Verify a certificate of destruction: its signature and, with --trust, its signer.

    Exit status 0 when it is valid, 1 when it is not or the signer is not trusted, 2 when it cannot be read.
    """
    verdict = closing.verify(read_document(file))
    trusted = _trusted(verdict, trust)
    holds = verdict.valid and trusted is not False
    if as_json:
        print_json(_document(verdict, trusted))
    elif verdict.valid and verdict.signer is not None:
        print_text(verdict.text)
        print_line(f"{verdict.reason}; signed by {_named(verdict.signer)}: {_TRUST[trusted]}")
    else:
        print_line(f"{shown(file)}: {verdict.reason}")
    return 0 if holds else 1


_TRUST = {
    None: "whether to trust that certificate was not checked (--trust)",
    True: "trusted when it signed",
    False: "NOT TRUSTED",
}


def _trusted(verdict: closing.DestructionVerdict, trust: Path | None) -> bool | None:
    if trust is None or verdict.signer is None or verdict.ended_at is None:
        return None
    return read_trust(trust).judge(verdict.signer, verdict.ended_at).trusted


def _document(verdict: closing.DestructionVerdict, trusted: bool | None) -> dict[str, Any]:
    signer = verdict.signer
    return {
        "valid": verdict.valid,
        "reason": verdict.reason,
        "signer": _named(signer) if signer else None,
        "chain": {None: "not-checked", True: "trusted", False: "untrusted"}[trusted],
        "certificate": verdict.facts,
    }


def _named(certificate: x509.Certificate) -> str:
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    return f"{certificate.subject.rfc4514_string()} (SHA-256 {fingerprint})"
