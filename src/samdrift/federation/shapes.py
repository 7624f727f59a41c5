"""The form of a federation's certificates: names, key usage, validity.

They resemble those that DIGG publishes for its environments: an access point root with an intermediate for
each federation, a root that issues the SMP's signer directly, and revocation pointers in every certificate
but the roots (component-pki 1, 2.8, 2.9).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

OPERATOR = "Samdrift demonstration"
"""Name of the organisation to which all authorities of a local federation belong."""


class Ca(StrEnum):
    """The authorities; the value is the name of an authority's files on the responder."""

    ACCESS_POINT_ROOT = "aprot"
    ACCESS_POINT = "apca"
    """The only issuer of this federation's access point certificates."""
    OTHER_FEDERATION = "apca-open"
    """Issuer for another federation under the same root, which must not be trusted here."""
    SMP = "smpca"
    ORGANISATION_ROOT = "orgrot"
    ORGANISATION = "orgca"
    """Issuer of organisations' function certificates, like SITHS and other approved issuers."""
    TLS = "tlsca"

    @property
    def issuer(self) -> Ca:
        """Return the parent authority; a root is its own issuer."""
        return _ISSUERS.get(self, self)


_EDELIVERY = frozenset({Ca.ACCESS_POINT_ROOT, Ca.ACCESS_POINT, Ca.OTHER_FEDERATION, Ca.SMP})
_ISSUERS = {
    Ca.ACCESS_POINT: Ca.ACCESS_POINT_ROOT,
    Ca.OTHER_FEDERATION: Ca.ACCESS_POINT_ROOT,
    Ca.ORGANISATION: Ca.ORGANISATION_ROOT,
}


class Use(StrEnum):
    """Use of an end-entity certificate."""

    ACCESS_POINT = "access-point"
    SMP = "smp"
    SIGNING = "signing"
    ENCRYPTION = "encryption"
    TLS_SERVER = "tls-server"
    TLS_CLIENT = "tls-client"
    OCSP = "ocsp"


@dataclass(frozen=True, slots=True)
class Validity:
    """Validity period of a certificate, in UTC; it may lie in the past."""

    start: datetime
    end: datetime

    @classmethod
    def years(cls, start: datetime, years: int) -> Validity:
        return cls(start, start + timedelta(days=365 * years))


def ca_common_name(ca: Ca, environment: str) -> str:
    """Return an authority's name; ``environment`` is federation and environment, such as ``SDK-DEMO``."""
    place = environment.rpartition("-")[2]
    return {
        Ca.ACCESS_POINT_ROOT: f"Rot CA eDelivery Accesspunkt-{place}",
        Ca.ACCESS_POINT: f"Accesspunkt CA-{environment}",
        Ca.OTHER_FEDERATION: f"Accesspunkt CA-OPEN-{place}",
        Ca.SMP: f"Rot CA eDelivery SMP-{place}",
        Ca.ORGANISATION_ROOT: f"{environment} e-id Root CA",
        Ca.ORGANISATION: f"{environment} e-id Function CA",
        Ca.TLS: f"{environment} TLS CA",
    }[ca]


def name(common_name: str, organisation: str = OPERATOR, organisation_number: str = "") -> x509.Name:
    """Return a subject in DIGG's order: country, organisation, its number, common name."""
    attributes = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
    ]
    if organisation_number:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, organisation_number))
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def key_identifier(ca: Ca, key: rsa.RSAPublicKey) -> x509.SubjectKeyIdentifier:
    """Return the key identifier as computed by this kind of authority.

    Those of eDelivery use SHA-256 of the SubjectPublicKeyInfo (RFC 7093 2, method 4), and issuers of function
    certificates SHA-1 of the key (RFC 5280 4.2.1.2).
    """
    if ca in _EDELIVERY:
        encoded = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return x509.SubjectKeyIdentifier(hashlib.sha256(encoded).digest())
    return x509.SubjectKeyIdentifier.from_public_key(key)


def ca_extensions() -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Yield the extensions of an authority's certificate, each with its criticality."""
    yield x509.BasicConstraints(ca=True, path_length=None), True
    yield _usage(key_cert_sign=True, crl_sign=True), True


def use_extensions(use: Use) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Yield the extensions that limit an end entity's certificate to its use, each with its criticality."""
    yield x509.BasicConstraints(ca=False, path_length=None), False
    yield _KEY_USAGE[use], True
    if use in _EXTENDED:
        yield x509.ExtendedKeyUsage(_EXTENDED[use]), False
    if use is Use.OCSP:
        yield x509.OCSPNoCheck(), False


def revocation_pointers(url: str, ca: Ca) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Yield pointers to revocation data for certificates issued by ``ca``: CRL and OCSP below ``url``."""
    crl = x509.UniformResourceIdentifier(f"{url}/crl/{ca}.crl")
    ocsp = x509.UniformResourceIdentifier(f"{url}/ocsp/{ca}")
    yield x509.CRLDistributionPoints([x509.DistributionPoint([crl], None, None, None)]), False
    yield (
        x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, ocsp)]),
        False,
    )


def _usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    data_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=data_encipherment,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


_BOTH = _usage(digital_signature=True, key_encipherment=True)
_KEY_USAGE = {
    Use.ACCESS_POINT: _BOTH,
    Use.SMP: _BOTH,
    Use.SIGNING: _usage(digital_signature=True),
    Use.ENCRYPTION: _usage(key_encipherment=True, data_encipherment=True),
    Use.TLS_SERVER: _BOTH,
    Use.TLS_CLIENT: _usage(digital_signature=True),
    Use.OCSP: _usage(digital_signature=True),
}
_EXTENDED = {
    # Valid in both directions, like SITHS function certificates: an access point uses one for mutual TLS.
    Use.TLS_SERVER: (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    Use.TLS_CLIENT: (ExtendedKeyUsageOID.CLIENT_AUTH,),
    Use.OCSP: (ExtendedKeyUsageOID.OCSP_SIGNING,),
}
