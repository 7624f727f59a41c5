"""Certificates as the formats encode them, and the names that they are identified by.

Each part of the federation encodes certificates a little differently: DER in base64, with or without line
breaks, PEM with its armour, and PEM once more in base64 (certpub-rest-binding 2.2 says "PEM format
(BASE64)"). All of these are read here; DER in base64 is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import base64text

_MAX_BASE64 = 32 << 10
_ODD_NAME = (ValueError, TypeError)
"""Exceptions raised when a name that violates RFC 5280 is first read."""
_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"


def from_base64(text: str, where: str = "certificate") -> x509.Certificate:
    """Return the certificate in ``text``; raise :class:`WireError` unless there is exactly one."""
    if len(text) > _MAX_BASE64:
        raise WireError(WireFault.TOO_LARGE, "a certificate of unlikely size", where)
    data = base64text.decode(_without_armour(text), where)
    try:
        if data.startswith(_BEGIN.encode()):
            data = base64text.decode(_without_armour(data.decode("ascii")), where)
        return from_der(data)
    except ValueError:
        raise WireError(WireFault.STRUCTURE, "not a certificate", where) from None


def from_der(data: bytes) -> x509.Certificate:
    """Parse a certificate in DER; raise ``ValueError`` for anything else."""
    try:
        return x509.load_der_x509_certificate(data)
    except x509.InvalidVersion:  # It is not a ValueError, which callers expect.
        raise ValueError("unknown certificate version") from None


def from_pem(data: bytes) -> x509.Certificate:
    """Parse the first certificate in PEM; raise ``ValueError`` for anything else."""
    try:
        return x509.load_pem_x509_certificate(data)
    except x509.InvalidVersion:
        raise ValueError("unknown certificate version") from None


@lru_cache(maxsize=256)
def to_base64(certificate: x509.Certificate) -> str:
    """Return the certificate as DER in base64, on one line."""
    return base64text.encode(certificate.public_bytes(Encoding.DER)).decode("ascii")


def common_name(certificate: x509.Certificate) -> str | None:
    """Return the subject's common name if there is exactly one.

    It identifies an access point: it is the party identifier in AS4 (component-accesspoint 3.1.5 a, b).
    """
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except _ODD_NAME:
        return None
    if len(names) != 1:
        return None
    value = names[0].value
    return value if isinstance(value, str) else None


def names_host(certificate: x509.Certificate, host: str) -> bool:
    """Return whether a server certificate is for ``host``; ``*`` matches one label (RFC 9525 6.3)."""
    found, host = hosts_of(certificate), host.lower()
    return host in found or f"*.{host.partition('.')[2]}" in found


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """Return the host names of a server certificate, in small letters; ``*.`` begins an open one."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    except (x509.ExtensionNotFound, *_ODD_NAME):
        return []


def is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether ``now`` is within a certificate's validity."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def shown_for(certificates: Sequence[x509.Certificate], host: str | None, now: datetime) -> int:
    """Return the place of the certificate that a server shows to a client that asks for ``host``.

    It is the first valid one that names the host, or else the first that does. Where none names it, all
    are considered.
    """
    naming = [n for n, each in enumerate(certificates) if host and names_host(each, host)]
    fitting = naming or range(len(certificates))
    return next((n for n in fitting if is_valid(certificates[n], now)), fitting[0])


def subject(certificate: x509.Certificate) -> str:
    """Return the subject in the form of RFC 4514; empty if it cannot be read."""
    try:
        return certificate.subject.rfc4514_string()
    except _ODD_NAME:
        return ""


def issuer(certificate: x509.Certificate) -> str:
    """Return the issuer in the form of RFC 4514; empty if it cannot be read."""
    try:
        return certificate.issuer.rfc4514_string()
    except _ODD_NAME:
        return ""


@lru_cache(maxsize=256)
def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate in hexadecimal, its identifier in logs and caches."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _without_armour(text: str) -> str:
    return text.strip().removeprefix(_BEGIN).removesuffix(_END)
