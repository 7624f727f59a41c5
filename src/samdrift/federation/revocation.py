"""Revocation lists and OCSP answers (component-pki 2.8, 2.9; RFC 5280 5, RFC 6960).

OCSP answers are signed by a responder that each authority has delegated to
(RFC 6960 4.2.2.2). The nonce of a request is given back; a request without one
gets a signed answer without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp

from samdrift.federation.register import Register
from samdrift.federation.shapes import Ca

MAX_NONCE = 128
"""Bytes of a nonce that are taken at most (RFC 9654 2.1)."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority with its key, and the certificate by which it delegates OCSP."""

    ca: Ca
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    responder: x509.Certificate


def revocation_list(issuer: Issuer, register: Register, at: datetime, lifetime: timedelta) -> bytes:
    """The list of what ``issuer`` has revoked, DER, in force from ``at`` for ``lifetime``."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(at)
        .next_update(at + lifetime)
        .add_extension(_authority_key(issuer.certificate), critical=False)
        .add_extension(x509.CRLNumber(int(at.timestamp())), critical=False)
    )
    for serial, revocation in register.revocations(issuer.ca):
        entry = x509.RevokedCertificateBuilder(serial, revocation.at)
        builder = builder.add_revoked_certificate(
            entry.add_extension(x509.CRLReason(revocation.reason), critical=False).build()
        )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def ocsp_answer(
    request: bytes,
    issuers: Sequence[Issuer],
    responder_key: rsa.RSAPrivateKey,
    register: Register,
    at: datetime,
    lifetime: timedelta,
) -> bytes:
    """The answer, DER, to an OCSP ``request``; an unsigned error status when it cannot be answered."""
    try:
        asked = ocsp.load_der_ocsp_request(request)
        issuer = next((one for one in issuers if _is_issuer(one.certificate, asked)), None)
        nonce = _nonce(asked)
    except (ValueError, NotImplementedError, UnsupportedAlgorithm):
        return _refusal(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    if issuer is None:
        return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    revocation = register.revocation(issuer.ca, asked.serial_number)
    known = register.knows(issuer.ca, asked.serial_number)
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            asked.issuer_name_hash,
            asked.issuer_key_hash,
            asked.serial_number,
            asked.hash_algorithm,
            _status(known, revocation is not None),
            at,
            at + lifetime,
            revocation.at if revocation else None,
            revocation.reason if revocation else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.responder)
        .certificates([issuer.responder])
    )
    if nonce is not None:
        builder = builder.add_extension(nonce, critical=False)
    return builder.sign(responder_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _status(known: bool, revoked: bool) -> ocsp.OCSPCertStatus:
    if revoked:
        return ocsp.OCSPCertStatus.REVOKED
    return ocsp.OCSPCertStatus.GOOD if known else ocsp.OCSPCertStatus.UNKNOWN


def _is_issuer(certificate: x509.Certificate, asked: ocsp.OCSPRequest) -> bool:
    key = certificate.public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    name = certificate.subject.public_bytes()
    return (
        _digest(name, asked.hash_algorithm) == asked.issuer_name_hash
        and _digest(encoded, asked.hash_algorithm) == asked.issuer_key_hash
    )


def _digest(data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()


def _nonce(asked: ocsp.OCSPRequest) -> x509.OCSPNonce | None:
    try:
        nonce = asked.extensions.get_extension_for_class(x509.OCSPNonce).value
    except x509.ExtensionNotFound:
        return None
    if not 0 < len(nonce.nonce) <= MAX_NONCE:
        raise ValueError("a nonce of a length that is not accepted")
    return nonce


def _refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(serialization.Encoding.DER)


def _authority_key(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
