"""The federation's authorities as files, in the form that :mod:`samdrift.net.trustfolder` reads.

Of access points and organisations only certificates of a certain issuer below
the root count (transport-profile-as4 2.10 a, c).
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.federation.authority import Authority
from samdrift.federation.shapes import Ca

_FILES: tuple[tuple[str, Ca], ...] = (
    (f"{CertificatePurpose.ACCESS_POINT}/anchors", Ca.ACCESS_POINT_ROOT),
    (f"{CertificatePurpose.ACCESS_POINT}/issuers", Ca.ACCESS_POINT),
    (f"{CertificatePurpose.SMP}/anchors", Ca.SMP),
    (f"{CertificatePurpose.ORGANISATION}/anchors", Ca.ORGANISATION_ROOT),
    (f"{CertificatePurpose.ORGANISATION}/issuers", Ca.ORGANISATION),
    ("tls", Ca.TLS),
)


def write_trust(authority: Authority, folder: Path) -> None:
    """Write ``{purpose}/anchors``, ``{purpose}/issuers`` and ``tls`` below ``folder``, PEM."""
    for place, ca in _FILES:
        path = folder / place / f"{ca}.pem"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(authority.certificate(ca).public_bytes(serialization.Encoding.PEM))
