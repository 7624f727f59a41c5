"""Published revocation information: its addresses, and the time until it expires (component-pki 2.8, 2.9).

The checks here only keep unusable data from replacing good data in a cache; the value as evidence is decided
in :mod:`samdrift.trust.decide`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

_WITHOUT_NEXT_UPDATE = timedelta(minutes=30)
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Published:
    """A revocation list or an OCSP response in DER, and the end of the validity declared by its issuer."""

    data: bytes
    until: datetime


def responders(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the addresses of the OCSP responders that the issuer names in ``certificate``."""
    access = _extension(certificate, x509.AuthorityInformationAccess)
    return tuple(
        description.access_location.value
        for description in access or ()
        if description.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    )


def distribution_points(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the addresses at which the issuer publishes its revocation list."""
    points = _extension(certificate, x509.CRLDistributionPoints)
    return tuple(
        name.value
        for point in points or ()
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )


def read_answer(data: bytes, certificate: x509.Certificate, issuer: x509.Certificate) -> Published | None:
    """Return an OCSP response if it is about ``certificate`` and ``issuer`` vouches for it."""
    try:
        answer = ocsp.load_der_ocsp_response(data)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        if answer.serial_number != certificate.serial_number or not _vouched(answer, issuer):
            return None
        until = answer.next_update_utc or answer.this_update_utc + _WITHOUT_NEXT_UPDATE
    except (ValueError, OverflowError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    return Published(data, until)


def _vouched(answer: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Return whether the issuer, or a responder that it has certified, signed (RFC 6960 4.2.2.2)."""
    delegates = [each for each in answer.certificates if _may_answer(each, issuer)]
    return any(_signed(answer, signer) for signer in (issuer, *delegates))


def _may_answer(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    uses = _extension(certificate, x509.ExtendedKeyUsage)
    if uses is None or ExtendedKeyUsageOID.OCSP_SIGNING not in uses:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _signed(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, digest = signer.public_key(), answer.signature_hash_algorithm
    if not isinstance(key, rsa.RSAPublicKey) or digest is None:
        return False
    try:
        key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def read_list(data: bytes, issuer: x509.Certificate) -> Published | None:
    """Return a revocation list if ``issuer`` has signed it."""
    key = issuer.public_key()
    try:
        found = x509.load_der_x509_crl(data)
        signed = isinstance(key, rsa.RSAPublicKey) and found.is_signature_valid(key)
        until = found.next_update_utc
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm):
        return None
    return Published(data, until) if signed and until is not None and found.issuer == issuer.subject else None


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None
