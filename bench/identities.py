"""Keys and certificates for benchmarks: RSA 3072, as the bars demand, generated in each run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey

_BITS = 3072


@dataclass(frozen=True, slots=True)
class Identity:
    """A self-signed certificate and the operations of its key."""

    certificate: x509.Certificate
    signing: SoftwareSigningKey
    decryption: SoftwareDecryptionKey


def new_identity(common_name: str) -> Identity:
    """Generate an identity with that common name."""
    key = rsa.generate_private_key(65537, _BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return Identity(
        certificate, SoftwareSigningKey(key, certificate), SoftwareDecryptionKey(key, certificate)
    )
