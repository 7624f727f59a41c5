"""Sources of revocation that certificates name, and the answers from them."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.trust.keys import certificates
from samdrift.trust.published import distribution_points, read_answer, read_list, responders
from tests import pki
from tests.official import DIGG, requires_digg

ROOT = pki.root("Rot", 1, crl_url="http://ca.example/rot.crl", ocsp_url="http://ca.example/ocsp")
OTHER = pki.root("Rot", 2)
AP = ROOT.issue("AP").certificate
UNTOLD = OTHER.issue("AP").certificate


def test_addresses_are_those_in_the_certificate() -> None:
    assert responders(AP) == ("http://ca.example/ocsp",)
    assert distribution_points(AP) == ("http://ca.example/rot.crl",)
    assert responders(UNTOLD) == ()
    assert distribution_points(UNTOLD) == ()


@requires_digg
def test_addresses_in_official_certificates() -> None:
    folder = DIGG / "certificates/production"
    (issuer,) = certificates((folder / "accesspoint/Accesspunkt CA-SDK-PROD.cer").read_bytes())
    assert distribution_points(issuer) == ("https://ca.edelivery.digg.se/crl/aprot.crl",)
    assert responders(issuer) == ()
    (siths,) = certificates((folder / "o2o/sithseidfunctioncav1.cer").read_bytes())
    assert responders(siths) == ("http://ocsp1.siths.se",)


def test_a_list_is_one_that_the_issuer_signed() -> None:
    data = ROOT.crl(at=pki.NOW, lasts=pki.DAY)
    found = read_list(data, ROOT.certificate)
    assert found is not None
    assert (found.data, found.until) == (data, pki.NOW + pki.DAY)
    assert read_list(OTHER.crl(), ROOT.certificate) is None


def test_an_answer_is_one_about_the_certificate() -> None:
    data = ROOT.ocsp(AP, at=pki.NOW, lasts=timedelta(hours=1))
    found = read_answer(data, AP, ROOT.certificate)
    assert found is not None
    assert (found.data, found.until) == (data, pki.NOW + timedelta(hours=1))
    assert read_answer(data, ROOT.issue("AP2").certificate, ROOT.certificate) is None


def test_an_answer_that_the_issuer_does_not_vouch_for_is_not_kept() -> None:
    """RFC 6960 4.2.2.2: an attacker on the network could fill the cache with answers."""
    answer = bytearray(ROOT.ocsp(AP))
    signed_by_a_peer = ROOT.ocsp(AP, responder=ROOT.issue("AP2", private_key=pki.key(5)))
    signed_by_another_root = OTHER.ocsp(AP)
    foreign = OTHER.issue("OCSP", private_key=pki.key(5), ocsp_signer=True)
    for data in (signed_by_a_peer, signed_by_another_root, ROOT.ocsp(AP, responder=foreign)):
        assert read_answer(data, AP, ROOT.certificate) is None
    delegate = ROOT.issue("OCSP", private_key=pki.key(5), ocsp_signer=True)
    assert read_answer(ROOT.ocsp(AP, responder=delegate), AP, ROOT.certificate) is not None
    answer[answer.index(ocsp.load_der_ocsp_response(bytes(answer)).signature)] ^= 1
    assert read_answer(bytes(answer), AP, ROOT.certificate) is None


def test_an_issuer_with_another_kind_of_key_answers_through_a_delegate_with_rsa_alone() -> None:
    """Its own signature uses an algorithm that is not listed; its delegate's is accepted."""
    own = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(pki.name("Kurva"))
        .issuer_name(pki.name("Kurva"))
        .public_key(own.public_key())
        .serial_number(1)
        .not_valid_before(pki.NOW - pki.DAY)
        .not_valid_after(pki.NOW + pki.DAY)
        .sign(own, hashes.SHA256())
    )
    issuer = pki.Authority(pki.Certified(certificate, own))
    issued = issuer.issue("AP").certificate
    delegate = issuer.issue("OCSP", private_key=pki.key(5), ocsp_signer=True)
    assert read_answer(issuer.ocsp(issued, responder=delegate), issued, certificate) is not None
    assert read_answer(issuer.ocsp(issued), issued, certificate) is None
    assert read_list(issuer.crl(), certificate) is None


def test_an_answer_without_an_end_holds_for_half_an_hour() -> None:
    found = read_answer(ROOT.ocsp(AP, at=pki.NOW, lasts=None), AP, ROOT.certificate)
    assert found is not None
    assert found.until == pki.NOW + timedelta(minutes=30)


def test_a_responder_that_refuses_gives_no_answer() -> None:
    try_later = bytes.fromhex("30030a0103")
    assert read_answer(try_later, AP, ROOT.certificate) is None


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\x30\x80"])
def test_rubbish_is_nothing(data: bytes) -> None:
    assert read_list(data, ROOT.certificate) is None
    assert read_answer(data, AP, ROOT.certificate) is None


@given(st.integers(0, 2000), st.integers(1, 255))
@settings(max_examples=100)
def test_a_changed_list_is_nothing(position: int, difference: int) -> None:
    data = bytearray(ROOT.crl())
    data[position % len(data)] ^= difference
    assert read_list(bytes(data), ROOT.certificate) is None
