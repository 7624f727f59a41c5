"""References to a certificate in a message: five forms are read (WSS X.509 token profile 1.1).

We send only one of them. A reference only selects a certificate. Whether its key made the signature, and
whether it is trusted, is decided from the certificate itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from samdrift.wire.crypto.xmldsig import ds, load_certificate
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec.names import BASE64_BINARY, SUBJECT_KEY_IDENTIFIER, THUMBPRINT, X509_V3, wsse
from samdrift.wire.xml import Element, base64text, children, text

_MAX_SERIAL_DIGITS = 60


class KeyReference(Protocol):
    """Reference that identifies one certificate."""

    def names(self, certificate: x509.Certificate) -> bool: ...


@dataclass(frozen=True, slots=True)
class EmbeddedCertificate:
    """Reference by the certificate itself, in a security token or a key identifier."""

    certificate: x509.Certificate

    def names(self, certificate: x509.Certificate) -> bool:
        return certificate == self.certificate


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """Reference by the certificate's subject key identifier."""

    identifier: bytes

    def names(self, certificate: x509.Certificate) -> bool:
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
            return False
        return extension.value.digest == self.identifier


@dataclass(frozen=True, slots=True)
class Thumbprint:
    """Reference by the certificate's SHA-1, which only identifies it and protects nothing."""

    digest: bytes

    def names(self, certificate: x509.Certificate) -> bool:
        return certificate.fingerprint(hashes.SHA1()) == self.digest  # noqa: S303


@dataclass(frozen=True, slots=True)
class SerialNumber:
    """Reference by the certificate's serial number.

    The issuer's name next to it is ignored, because its spelling varies: the federation's own issuers
    have an ``organizationIdentifier``, which programs write in three ways.
    """

    number: int

    def names(self, certificate: x509.Certificate) -> bool:
        return certificate.serial_number == self.number


def read_key_reference(key_info: Element, tokens: Mapping[str, Element]) -> KeyReference:
    """Read the reference in a ``ds:KeyInfo``; raise :class:`WireError` if its form is not known.

    There must be exactly one child at each level (Basic Security Profile 1.1, R5402 and R5405).
    """
    reference = only_child(only_child(key_info, wsse("SecurityTokenReference")))
    if reference.tag == wsse("Reference"):
        return EmbeddedCertificate(_token(reference, tokens))
    if reference.tag == wsse("KeyIdentifier"):
        return _key_identifier(reference)
    if reference.tag == ds("X509Data"):
        return _serial_number(reference)
    raise _refused("a kind of key reference that is not known")


def only_child(element: Element, tag: str | None = None) -> Element:
    """Return the only child of ``element``; raise :class:`WireError` (``STRUCTURE``) for anything else."""
    parts = children(element)
    if len(parts) != 1 or (tag is not None and parts[0].tag != tag):
        raise WireError(WireFault.STRUCTURE, "exactly one part is required", "KeyInfo")
    return parts[0]


def _token(reference: Element, tokens: Mapping[str, Element]) -> x509.Certificate:
    uri = reference.get("URI", "")
    token = tokens.get(uri[1:]) if uri.startswith("#") else None
    if token is None:
        raise _refused("the token that is referred to is missing")
    if token.get("ValueType") != X509_V3 or token.get("EncodingType", BASE64_BINARY) != BASE64_BINARY:
        raise _refused("a token that is not an X.509v3 certificate in base64")
    return load_certificate(base64text.decode(text(token), "BinarySecurityToken"))


def _key_identifier(element: Element) -> KeyReference:
    if element.get("EncodingType", BASE64_BINARY) != BASE64_BINARY:
        raise _refused("a key identifier that is not in base64")
    value = base64text.decode(text(element), "KeyIdentifier")
    kind = element.get("ValueType")
    if kind == SUBJECT_KEY_IDENTIFIER:
        return SubjectKey(value)
    if kind == X509_V3:
        return EmbeddedCertificate(load_certificate(value))
    if kind == THUMBPRINT:
        return Thumbprint(value)
    raise _refused("a kind of key identifier that is not known")


def _serial_number(data: Element) -> SerialNumber:
    parts = children(only_child(data, ds("X509IssuerSerial")))
    if [part.tag for part in parts] != [ds("X509IssuerName"), ds("X509SerialNumber")]:
        raise _refused("issuer and serial number are malformed")
    digits = text(parts[1]).strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_SERIAL_DIGITS):
        raise _refused("a serial number that is not a number")
    return SerialNumber(int(digits))


def _refused(message: str) -> WireError:
    return WireError(WireFault.SIGNATURE, message, "KeyInfo")
