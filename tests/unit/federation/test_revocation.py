"""Revocation lists and OCSP answers (component-pki 2.7.2, 2.7.3; RFC 5280 5, RFC 6960)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.federation.authority import Authority
from samdrift.federation.shapes import Ca
from samdrift.federation.store import FederationError
from tests.unit.federation.conftest import URL

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = NOW.replace(microsecond=0)


@pytest.fixture
def authority(environment_keys: Path) -> Authority:
    return Authority(environment_keys, URL, clock=lambda: NOW, evidence_lifetime=timedelta(hours=6))


@pytest.fixture
def certificate(authority: Authority, key: rsa.RSAPrivateKey) -> x509.Certificate:
    return authority.issue_access_point("AP0001-SDK-DEMO", key.public_key())


def request_for(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    algorithm: hashes.HashAlgorithm | None = None,
    nonce: bytes | None = None,
) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm or hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def answer_to(authority: Authority, request: bytes) -> ocsp.OCSPResponse:
    return ocsp.load_der_ocsp_response(authority.ocsp(request))


def asked(authority: Authority, certificate: x509.Certificate, **more: object) -> ocsp.OCSPResponse:
    issuer = authority.certificate(Ca.ACCESS_POINT)
    return answer_to(authority, request_for(certificate, issuer, **more))  # type: ignore[arg-type]


def test_list_names_what_is_revoked_and_how_long_it_holds(
    authority: Authority, certificate: x509.Certificate
) -> None:
    authority.revoke(certificate, x509.ReasonFlags.cessation_of_operation)
    revoked = x509.load_der_x509_crl(authority.crl(Ca.ACCESS_POINT))
    issuer = authority.certificate(Ca.ACCESS_POINT)
    public = issuer.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert revoked.is_signature_valid(public)
    assert revoked.issuer == issuer.subject
    assert (revoked.last_update_utc, revoked.next_update_utc) == (SECOND, SECOND + timedelta(hours=6))
    entry = revoked.get_revoked_certificate_by_serial_number(certificate.serial_number)
    assert entry is not None
    assert entry.revocation_date_utc == SECOND
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.cessation_of_operation
    assert len(list(x509.load_der_x509_crl(authority.crl(Ca.SMP)))) == 0


def test_only_what_was_issued_here_is_revoked(
    authority: Authority, authority_folder: Path, key: rsa.RSAPrivateKey
) -> None:
    other = Authority(authority_folder, URL).issue_access_point("AP0009-SDK-DEMO", key.public_key())
    with pytest.raises(FederationError):
        authority.revoke(other)


def test_ocsp_good_revoked_and_unknown(
    authority: Authority, certificate: x509.Certificate, authority_folder: Path, key: rsa.RSAPrivateKey
) -> None:
    assert asked(authority, certificate).certificate_status is ocsp.OCSPCertStatus.GOOD
    authority.revoke(certificate)
    answer = asked(authority, certificate)
    assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert answer.revocation_time_utc == SECOND
    assert answer.revocation_reason is x509.ReasonFlags.key_compromise
    other = Authority(authority_folder, URL).issue_access_point("AP0009-SDK-DEMO", key.public_key())
    assert asked(authority, other).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()])
def test_ocsp_answer_is_signed_by_a_delegated_responder(
    authority: Authority, certificate: x509.Certificate, algorithm: hashes.HashAlgorithm
) -> None:
    answer = asked(authority, certificate, algorithm=algorithm)
    assert answer.serial_number == certificate.serial_number
    assert answer.hash_algorithm.name == algorithm.name
    assert (answer.this_update_utc, answer.next_update_utc) == (SECOND, SECOND + timedelta(hours=6))
    (responder,) = answer.certificates
    responder.verify_directly_issued_by(authority.certificate(Ca.ACCESS_POINT))
    extended = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING]
    public = responder.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("nonce", [None, b"n", b"n" * 32, b"n" * 128])
def test_ocsp_nonce_is_given_back_and_none_is_invented(
    authority: Authority, certificate: x509.Certificate, nonce: bytes | None
) -> None:
    answer = asked(authority, certificate, nonce=nonce)
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    nonces = [one.value for one in answer.extensions if isinstance(one.value, x509.OCSPNonce)]
    assert nonces == ([] if nonce is None else [x509.OCSPNonce(nonce)])


def test_ocsp_nonce_of_unlikely_size_is_refused(authority: Authority, certificate: x509.Certificate) -> None:
    for nonce in (b"", b"n" * 129):
        answer = asked(authority, certificate, nonce=nonce)
        assert answer.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_ocsp_does_not_speak_for_authorities_that_it_does_not_know(
    authority: Authority, certificate: x509.Certificate, tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    name = x509.Name([])
    stranger = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW).sign(key, hashes.SHA256())
    answer = answer_to(authority, request_for(certificate, stranger))
    assert answer.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


@pytest.fixture(scope="module")
def any_authority(authority_folder: Path) -> Authority:
    return Authority(authority_folder, URL)


@given(data=st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_ocsp_answers_any_bytes_with_malformed_request(any_authority: Authority, data: bytes) -> None:
    answer = answer_to(any_authority, data)
    assert answer.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@given(position=st.integers(0, 200), value=st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_ocsp_answers_damaged_requests(
    any_authority: Authority, key: rsa.RSAPrivateKey, position: int, value: int
) -> None:
    issuer = any_authority.certificate(Ca.ACCESS_POINT)
    request = bytearray(request_for(issuer, issuer, nonce=b"n" * 16))
    request[position % len(request)] = value
    answer = answer_to(any_authority, bytes(request))
    assert answer.response_status in (
        ocsp.OCSPResponseStatus.SUCCESSFUL,
        ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
        ocsp.OCSPResponseStatus.UNAUTHORIZED,
    )
