"""A folder of certificates that a verifier trusts, and its verdict on a signer.

It is for checking an envelope by hand and offline, without lookups or revocation. In operation, trust is
decided by the federation's policy and :mod:`samdrift.trust`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from samdrift.config.errors import Unusable, shown
from samdrift.config.inputs import read_certificates, reason
from samdrift.trust.chain import sorted_out
from samdrift.trust.decide import Evidence, decide
from samdrift.trust.policy import ChainPolicy, RevocationMode
from samdrift.wire.verdicts import CertificateVerdict, TrustReason

_SUFFIXES = frozenset({".pem", ".cer", ".crt", ".der"})


@dataclass(frozen=True, slots=True)
class TrustFolder:
    """Trust anchors, and intermediate issuers below them."""

    anchors: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]

    def judge(self, certificate: x509.Certificate, at: datetime) -> CertificateVerdict:
        """Return whether ``certificate`` leads to an anchor, or is one, at the time ``at``."""
        if certificate in self.anchors:
            return _as_anchor(certificate, at)
        policy = ChainPolicy(self.anchors, intermediates=self.intermediates, revocation=RevocationMode.NONE)
        return decide(certificate, policy, Evidence(), at)


def read_trust(folder: Path) -> TrustFolder:
    """Return the certificates in ``folder``; raise :class:`Unusable` if there are none or one is invalid.

    The files may be PEM or DER.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise Unusable(f"{shown(folder)}: {reason(error)}") from None
    found = [certificate for file in files for certificate in read_certificates(file)]
    if not found:
        raise Unusable(f"{shown(folder)}: holds no certificates (.pem, .cer, .crt or .der)")
    return TrustFolder(*sorted_out(found))


def _as_anchor(certificate: x509.Certificate, at: datetime) -> CertificateVerdict:
    if at < certificate.not_valid_before_utc:
        return CertificateVerdict(TrustReason.NOT_YET_VALID)
    if at > certificate.not_valid_after_utc:
        return CertificateVerdict(TrustReason.EXPIRED)
    return CertificateVerdict(TrustReason.TRUSTED, "lies in the folder itself")
