"""Client certificates of people: refusals although TLS accepted one, and invalid revocation lists."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.web.signin.certificate import CertificateSettings, ClientCertificates
from samdrift.web.signin.faults import Fault, SignInFailed
from tests import pki

ISSUER = pki.root("Driftens utfärdare", 21)
OTHER = pki.root("En annan utfärdare", 22)
ANNA = ISSUER.issue(pki.name("Anna"), private_key=pki.key(23))


def judged(
    folder: Path, *, issuers: tuple[pki.Authority, ...] = (ISSUER,), lists: bytes = b""
) -> ClientCertificates:
    pem = b"".join(each.certificate.public_bytes(Encoding.PEM) for each in issuers)
    (folder / "issuers.pem").write_bytes(pem)
    (folder / "lists").write_bytes(lists)
    settings = CertificateSettings(folder / "issuers.pem", folder / "lists" if lists else None)
    return ClientCertificates(settings, lambda: pki.NOW)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def pem(revocations: bytes) -> bytes:
    return x509.load_der_x509_crl(revocations).public_bytes(Encoding.PEM)


def fault(certificates: ClientCertificates, shown: bytes | None) -> Fault:
    """Return the reason that a certificate is refused; the person reads what to do about it."""
    with pytest.raises(SignInFailed) as failed:
        certificates.person(shown)
    assert failed.value.advice is not None
    return failed.value.fault


def test_what_an_issuer_below_has_issued_is_not_accepted(tmp_path: Path) -> None:
    """TLS accepts a path over any subordinate issuer, whose revocations would not be known here."""
    below = ISSUER.subordinate("Under", 24)
    issued = below.issue(pki.name("Anna"), private_key=pki.key(25))
    assert fault(judged(tmp_path), der(issued.certificate)) is Fault.CERTIFICATE_ISSUER
    assert judged(tmp_path, issuers=(ISSUER, below)).person(der(issued.certificate)).name == "Anna"


def test_a_certificate_is_of_its_issuer_by_its_signature_and_not_by_a_name(tmp_path: Path) -> None:
    namesake = pki.root("Driftens utfärdare", 26)
    forged = namesake.issue(pki.name("Anna"), private_key=pki.key(27))
    assert fault(judged(tmp_path), der(forged.certificate)) is Fault.CERTIFICATE_ISSUER


@pytest.mark.parametrize(
    "change", [{"not_after": pki.NOW - timedelta(1)}, {"not_before": pki.NOW + timedelta(1)}]
)
def test_a_certificate_that_is_not_valid_now(tmp_path: Path, change: dict[str, object]) -> None:
    """A connection made while it was valid goes on."""
    times = {"not_before": pki.NOW - timedelta(3), "not_after": pki.NOW + timedelta(3), **change}
    ended = ISSUER.issue(pki.name("Anna"), private_key=pki.key(23), **times)
    assert fault(judged(tmp_path), der(ended.certificate)) is Fault.CERTIFICATE_PERIOD


@pytest.mark.parametrize("shown", [None, b"", b"junk"])
def test_no_certificate(tmp_path: Path, shown: bytes | None) -> None:
    assert fault(judged(tmp_path), shown) is Fault.NO_CERTIFICATE


def test_lists_of_several_issuers_in_one_file_each_count_for_their_own(tmp_path: Path) -> None:
    theirs = OTHER.issue(pki.name("Anna"), private_key=pki.key(28))
    only_ours = judged(tmp_path, issuers=(ISSUER, OTHER), lists=pem(ISSUER.crl()))
    assert only_ours.person(der(ANNA.certificate)).name == "Anna"
    assert fault(only_ours, der(theirs.certificate)) is Fault.REVOCATION_UNKNOWN
    both = judged(tmp_path, issuers=(ISSUER, OTHER), lists=pem(ISSUER.crl()) + pem(OTHER.crl()))
    assert both.person(der(theirs.certificate)).name == "Anna"


def test_a_list_that_is_not_in_force_yet_does_not_count(tmp_path: Path) -> None:
    tomorrow = ISSUER.crl(at=pki.NOW + pki.DAY)
    assert fault(judged(tmp_path, lists=tomorrow), der(ANNA.certificate)) is Fault.REVOCATION_UNKNOWN


@pytest.mark.parametrize("kind", ["delta", "partial", "stranger's", "junk"])
def test_a_list_that_does_not_have_all_that_the_issuer_has_revoked_is_none(tmp_path: Path, kind: str) -> None:
    lists = {
        "delta": critical(x509.DeltaCRLIndicator(7)),
        "partial": critical(
            x509.IssuingDistributionPoint(
                None, None, False, False, frozenset({x509.ReasonFlags.superseded}), False, False
            )
        ),
        "stranger's": OTHER.crl(),
        "junk": b"junk",
    }
    with pytest.raises(ValueError, match="list"):
        judged(tmp_path, lists=lists[kind])


def critical(extension: x509.ExtensionType) -> bytes:
    """Return a list of the issuer with a critical extension."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ISSUER.certificate.subject)
        .last_update(pki.NOW - pki.DAY)
        .next_update(pki.NOW + pki.DAY)
        .add_extension(extension, critical=True)
    )
    return builder.sign(ISSUER.own.private_key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_the_end_of_the_list_that_ends_first_is_known(tmp_path: Path) -> None:
    at = pki.NOW - timedelta(hours=1)
    lists = pem(ISSUER.crl(at=at, lasts=3 * pki.DAY)) + pem(ISSUER.crl(at=at, lasts=2 * pki.DAY))
    assert judged(tmp_path, lists=lists).lists_end() == at + 2 * pki.DAY
    assert judged(tmp_path).lists_end() is None
