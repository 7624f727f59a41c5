"""Output of `samdrift org import` and `unpack` about an export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer
from cryptography import x509

from samdrift.config.errors import printable
from samdrift.config.model import Config
from samdrift.contracts.discovery import CertificatePurpose
from samdrift.net.trustfolder import TrustFolderError, read_policies
from samdrift.portability.manifest import Manifest
from samdrift.trust.decide import Evidence, decide
from samdrift.trust.policy import RevocationMode
from samdrift.wire.crypto.certificates import fingerprint, subject

Digest = Annotated[
    str | None,
    typer.Option(
        "--manifest",
        help="SHA-256 of the manifest, as the former supplier reported it, separately from the file.",
    ),
]
NOT_VOUCHED_FOR = "no trusted issuer vouches for this certificate"


def vouched_for(config: Config, certificate: x509.Certificate, at: datetime) -> bool:
    """Return whether an issuer that the federation trusts has issued a certificate that was valid then.

    The certificate is an organisation's, or that of the access point that signs if an organisation has its
    keys elsewhere.
    """
    try:
        policies = read_policies(config.federation.trust)
    except TrustFolderError:
        return False
    return any(
        decide(
            certificate, replace(policies[purpose], revocation=RevocationMode.NONE), Evidence(), at
        ).trusted
        for purpose in (CertificatePurpose.ORGANISATION, CertificatePurpose.ACCESS_POINT)
    )


def lines(
    manifest: Manifest, digest: str, certificate: x509.Certificate, *, vouched: bool, named: bool
) -> Iterator[str]:
    """Yield lines with date, end of the logs, digest and signer, by which exports can be told apart."""
    state = "suspended" if manifest.suspended else "running"
    yield f"made       {manifest.made_at.isoformat(timespec='seconds')}, the organisation {state}"
    for role, log in sorted(manifest.logs.items()):
        yield f"log {role:<6} {log.entries} entries, the last one {log.head}"
    yield f"manifest   {digest}"
    told = "" if named else "  (compare it with what the former supplier reported)"
    yield f"signed by  {fingerprint(certificate)}{told}"
    yield printable(f"           {subject(certificate)}{'' if vouched else ': ' + NOT_VOUCHED_FOR}")


def document(
    manifest: Manifest, digest: str, certificate: x509.Certificate, *, vouched: bool
) -> dict[str, object]:
    """Return the same facts as JSON."""
    return {
        "organisation": manifest.organisation,
        "made_at": manifest.made_at.isoformat(),
        "suspended": manifest.suspended,
        "logs": {role: {"entries": log.entries, "head": log.head} for role, log in manifest.logs.items()},
        "manifest_sha256": digest,
        "signer": subject(certificate),
        "signer_sha256": fingerprint(certificate),
        "signer_trusted": vouched,
    }
