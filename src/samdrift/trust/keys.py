"""Keys and certificates out of PEM, into the forms that the rest works with.

Files are read elsewhere. What a file holds is checked here, so that a wrong
one is noticed at start and not with the first message.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey


class KeyMaterialError(ValueError):
    """Key or certificate that cannot be used; the text never holds any of it."""


def signing_key(
    key_pem: bytes, certificate: x509.Certificate, passphrase: bytes | None = None
) -> SoftwareSigningKey:
    """A key that signs, from PKCS#8; :class:`KeyMaterialError` unless it belongs to ``certificate``."""
    return SoftwareSigningKey(_private_key(key_pem, certificate, passphrase), certificate)


def decryption_key(
    key_pem: bytes, certificate: x509.Certificate, passphrase: bytes | None = None
) -> SoftwareDecryptionKey:
    """A key that unwraps session keys, from PKCS#8; as :func:`signing_key`."""
    return SoftwareDecryptionKey(_private_key(key_pem, certificate, passphrase), certificate)


def certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """Every certificate in ``data``, PEM or a single one in DER, in order; at least one."""
    try:
        if b"-----BEGIN CERTIFICATE-----" in data:
            return tuple(x509.load_pem_x509_certificates(data))
        return (x509.load_der_x509_certificate(data),)
    except (ValueError, x509.InvalidVersion):
        raise KeyMaterialError("no certificate can be read") from None


def private_key(key_pem: bytes, passphrase: bytes | None = None) -> rsa.RSAPrivateKey:
    """Return an RSA key from PKCS#8; :class:`KeyMaterialError` when there is none."""
    try:
        key = load_pem_private_key(key_pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyMaterialError("the private key cannot be read with this passphrase") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyMaterialError("the private key is not an RSA key")
    return key


def _private_key(
    key_pem: bytes, certificate: x509.Certificate, passphrase: bytes | None
) -> rsa.RSAPrivateKey:
    key = private_key(key_pem, passphrase)
    if key.public_key() != certificate.public_key():
        raise KeyMaterialError("the private key does not belong to the certificate")
    return key
