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

_AUTHORITIES: dict[str, tuple[Ca, ...]] = {
    CertificatePurpose.ACCESS_POINT: (Ca.ACCESS_POINT_ROOT, Ca.ACCESS_POINT),
    CertificatePurpose.SMP: (Ca.SMP,),
    CertificatePurpose.ORGANISATION: (Ca.ORGANISATION_ROOT, Ca.ORGANISATION),
    "tls": (Ca.TLS,),
}


def write_trust(authority: Authority, folder: Path) -> None:
    """Write ``{purpose}/{authority}.pem``, and what TLS is trusted by, below ``folder``."""
    for place, authorities in _AUTHORITIES.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        for ca in authorities:
            pem = authority.certificate(ca).public_bytes(serialization.Encoding.PEM)
            (folder / place / f"{ca}.pem").write_bytes(pem)
