"""Conversion of keys and certificates in PEM and PKCS#12 into the forms that other code works with.

Files are read elsewhere. Their content is checked here, so that a wrong file is noticed at start and not with
the first message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey

_SEQUENCE = b"\x30"
"""The first byte of every PKCS#12 file: a sequence of ASN.1."""


class KeyMaterialError(ValueError):
    """A key or certificate that cannot be used; the error's text never contains any of it."""


def signing_key(
    key_pem: bytes, certificate: x509.Certificate, passphrase: bytes | None = None
) -> SoftwareSigningKey:
    """Return a signing key from PKCS#8; :class:`KeyMaterialError` unless it belongs to ``certificate``."""
    return SoftwareSigningKey(_private_key(key_pem, certificate, passphrase), certificate)


def decryption_key(
    key_pem: bytes, certificate: x509.Certificate, passphrase: bytes | None = None
) -> SoftwareDecryptionKey:
    """Return a key that unwraps session keys, from PKCS#8; otherwise like :func:`signing_key`."""
    return SoftwareDecryptionKey(_private_key(key_pem, certificate, passphrase), certificate)


def certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """Return all certificates in ``data``, PEM or a single one in DER, in order; at least one."""
    try:
        if b"-----BEGIN CERTIFICATE-----" in data:
            return tuple(x509.load_pem_x509_certificates(data))
        return (x509.load_der_x509_certificate(data),)
    except (ValueError, x509.InvalidVersion):
        raise KeyMaterialError("no certificate can be read") from None


class PassphraseNeeded(KeyMaterialError):
    """Encrypted key material for which no passphrase was given."""


@dataclass(frozen=True, slots=True)
class KeyBundle:
    """A key with its certificate, in a file from another program."""

    key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate
    issuers: tuple[x509.Certificate, ...]
    """Issuers, each followed by its own issuer, without the root, as a TLS server sends them."""


def key_bundle(data: bytes, passphrase: bytes | None = None) -> KeyBundle:
    """Read key and certificates from PEM, in any order, or from PKCS#12.

    :class:`PassphraseNeeded` if a passphrase is required, :class:`KeyMaterialError` for any other fault.
    """
    key, found = (_from_pem if b"-----BEGIN " in data else _from_pkcs12)(data, passphrase)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyMaterialError("the private key is not an RSA key (certbot makes one with --key-type rsa)")
    own = next((one for one in found if one.public_key() == key.public_key()), None)
    if own is None:
        raise KeyMaterialError("no certificate belongs to the private key")
    return KeyBundle(key, own, tuple(_issuers(own, found)))


def _from_pem(data: bytes, passphrase: bytes | None) -> tuple[object, Sequence[x509.Certificate]]:
    begin = data.find(b"PRIVATE KEY-----")
    if begin < 0:
        raise KeyMaterialError("there is no private key")
    key = data[data.rindex(b"-----BEGIN ", 0, begin) :]
    if passphrase is None and b"ENCRYPTED" in key:
        raise PassphraseNeeded("the private key is encrypted")
    found = certificates(data)
    try:
        return load_pem_private_key(key, passphrase), found
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyMaterialError("the private key cannot be read with this passphrase") from None


def _from_pkcs12(data: bytes, passphrase: bytes | None) -> tuple[object, Sequence[x509.Certificate]]:
    if not data.startswith(_SEQUENCE):
        raise KeyMaterialError("it is neither PEM nor PKCS#12")
    try:
        key, own, others = load_key_and_certificates(data, passphrase)
    except (ValueError, UnsupportedAlgorithm):
        if passphrase is None:
            raise PassphraseNeeded("it is not a PKCS#12 file without a passphrase") from None
        raise KeyMaterialError("it is not a PKCS#12 file with this passphrase") from None
    return key, [*([own] if own else []), *others]


def _issuers(own: x509.Certificate, found: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    """Yield the issuers that are present, in order, except for a root, which clients already have."""
    seen = {own}
    while True:
        above = (one for one in found if one.subject == own.issuer and one not in seen)
        issuer = next(above, None)
        if issuer is None or issuer.subject == issuer.issuer:
            return
        seen.add(issuer)
        yield issuer
        own = issuer


def private_key(key_pem: bytes, passphrase: bytes | None = None) -> rsa.RSAPrivateKey:
    """Return an RSA key from PKCS#8; :class:`KeyMaterialError` if there is none."""
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
