"""The federation's authorities as files, for those who are to trust them.

One folder for each purpose with the root and, below it, the issuer whose
certificates count: access points are those of this federation's intermediate
only (transport-profile-as4 2.10 a, c).
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.federation.authority import Authority
from samdrift.federation.shapes import Ca

TLS = "tls"
"""The folder beside those of the purposes: what connections on interfaces A and C are trusted by."""

_FOLDERS: dict[str, tuple[Ca, ...]] = {
    CertificatePurpose.ACCESS_POINT: (Ca.ACCESS_POINT_ROOT, Ca.ACCESS_POINT),
    CertificatePurpose.SMP: (Ca.SMP,),
    CertificatePurpose.ORGANISATION: (Ca.ORGANISATION_ROOT, Ca.ORGANISATION),
    TLS: (Ca.TLS,),
}


def write_trust(authority: Authority, folder: Path) -> None:
    """Write ``{purpose}/{authority}.pem`` below ``folder``."""
    for purpose, authorities in _FOLDERS.items():
        place = folder / purpose
        place.mkdir(parents=True, exist_ok=True)
        for ca in authorities:
            pem = authority.certificate(ca).public_bytes(serialization.Encoding.PEM)
            (place / f"{ca}.pem").write_bytes(pem)
