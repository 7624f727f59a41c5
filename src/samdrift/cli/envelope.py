"""``samdrift envelope verify``: verification of an envelope's signature and signer, offline.

These are the checks of transport-model-extended 3.3.1 steps 12 and 17: the signature over the whole envelope,
and the certificate's chain to given anchors. Nothing is decrypted.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from samdrift.attestation.trustfolder import read_trust
from samdrift.cli.output import print_json, print_line, print_verdict
from samdrift.config.errors import Unusable, shown
from samdrift.config.inputs import read_document, read_time
from samdrift.wire.crypto import certificates
from samdrift.wire.envelope import EnvelopeVerdict
from samdrift.wire.envelope import verify as verify_envelope
from samdrift.wire.errors import WireError
from samdrift.wire.inspect import Kind, inspect
from samdrift.wire.verdicts import CertificateVerdict

app = typer.Typer(add_completion=False)


@app.callback()
def envelope() -> None:
    """Examine an envelope between organisations."""


class Chain(StrEnum):
    """Result of checking the signer's certificate chain."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    NOT_CHECKED = "not-checked"


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="An envelope.")],
    trust: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of certificates to trust: anchors and issuers, PEM or DER."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Judge certificates at this time instead of now (ISO 8601)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Verify an envelope's signature and, with --trust, its signer; revocation is not checked.

    Exit status 0 when it is valid and trusted, 1 when it is not, 2 when the file cannot be used.
    """
    if at is not None and trust is None:
        raise Unusable("--at says when to judge certificates and needs --trust")
    moment = read_time(at)
    folder = read_trust(trust) if trust is not None else None
    verdict = _verified(file)
    judged = folder.judge(verdict.signer, moment) if folder and verdict.valid and verdict.signer else None
    chain = _chain(judged)
    if as_json:
        print_json(_document(verdict, judged, chain, moment))
    else:
        _print(file, verdict, judged, chain, moment)
    return 0 if verdict.valid and chain is not Chain.UNTRUSTED else 1


def _verified(file: Path) -> EnvelopeVerdict:
    data = read_document(file)
    try:
        kind = inspect(data).kind
    except WireError as error:
        raise Unusable(f"{shown(file)}: {error}") from None
    if kind is not Kind.ENVELOPE:
        raise Unusable(f"{shown(file)}: is not an envelope but {kind}")
    return verify_envelope(data)


def _chain(judged: CertificateVerdict | None) -> Chain:
    if judged is None:
        return Chain.NOT_CHECKED
    return Chain.TRUSTED if judged.trusted else Chain.UNTRUSTED


def _document(
    verdict: EnvelopeVerdict, judged: CertificateVerdict | None, chain: Chain, at: datetime
) -> dict[str, Any]:
    header = verdict.header
    return {
        "valid": verdict.valid,
        "reason": verdict.reason,
        "signer": certificates.subject(verdict.signer) if verdict.signer else None,
        "certificate": certificate_document(verdict.signer) if verdict.signer else None,
        "chain": chain,
        "chain_reason": judged.reason if judged else None,
        "at": at.isoformat(timespec="seconds"),
        "from": str(header.sender) if header else None,
        "to": str(header.recipient) if header else None,
        "id": header.id if header else None,
    }


def certificate_document(signer: x509.Certificate) -> dict[str, str]:
    """Return the identifying fields of a certificate, for a JSON document."""
    return {
        "issuer": certificates.issuer(signer),
        "serial": f"{signer.serial_number:x}",
        "sha256": signer.fingerprint(SHA256()).hex(),
        "not_before": signer.not_valid_before_utc.isoformat(),
        "not_after": signer.not_valid_after_utc.isoformat(),
    }


def _print(
    file: Path, verdict: EnvelopeVerdict, judged: CertificateVerdict | None, chain: Chain, at: datetime
) -> None:
    good = verdict.valid and chain is not Chain.UNTRUSTED
    print_verdict(f"{shown(file)}: ", "verified" if good else "not verified", good=good)
    if verdict.header:
        print_line(f"  envelope   {verdict.header.id}")
        print_line(f"  from       {verdict.header.sender}")
        print_line(f"  to         {verdict.header.recipient}")
    print_line(f"  signature  {'holds' if verdict.valid else f'does not hold: {verdict.reason}'}")
    if verdict.signer:
        signer = verdict.signer
        print_line(f"  {'signer ' if verdict.valid else 'claimed'}    {certificates.subject(signer)}")
        print_line(f"  issuer     {certificates.issuer(signer)}")
        first, last = signer.not_valid_before_utc, signer.not_valid_after_utc
        print_line(f"  validity   {first:%Y-%m-%d} to {last:%Y-%m-%d}")
    why = f" at {at.isoformat(timespec='seconds')}: {judged.reason}" if judged else ""
    print_line(f"  chain      {chain}{why}")
