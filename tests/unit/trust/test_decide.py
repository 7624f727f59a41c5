"""Certificates under a chain policy (transport-profile-as4 2.10, component-pki 2.7.3)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.trust.chain import find_chain, issued, sorted_out
from samdrift.trust.decide import Evidence, decide
from samdrift.trust.policy import SIGNS, SIGNS_AND_DECRYPTS, ChainPolicy, RevocationMode
from samdrift.wire.verdicts import TrustReason
from tests import pki
from tests.pki import DAY, NOW

ROOT = pki.root("Rot CA Accesspunkt", 1)
ISSUER = ROOT.subordinate("Accesspunkt CA-SDK", 2, ocsp_url="http://responder.example/ocsp")
OTHER_ENVIRONMENT = ROOT.subordinate("Accesspunkt CA-QA", 3)
AP = ISSUER.issue("AP0001-SDK").certificate
REVOKED = ISSUER.issue("AP0003-SDK").certificate
ISSUER.revoke(REVOKED)

POLICY = ChainPolicy((ROOT.certificate,), (ISSUER.certificate,), key_uses=SIGNS_AND_DECRYPTS)
EVIDENCE = Evidence(crls=(ROOT.crl(), ISSUER.crl()))


def reason(
    certificate: x509.Certificate,
    policy: ChainPolicy = POLICY,
    evidence: Evidence = EVIDENCE,
    at: datetime = NOW,
) -> TrustReason:
    return decide(certificate, policy, evidence, at).reason


def test_2_10_a_a_certificate_of_the_federations_issuer_is_trusted() -> None:
    """Clauses: transport-profile-as4 2.10 sentence 2."""
    verdict = decide(AP, POLICY, EVIDENCE, NOW)
    assert verdict.trusted
    assert not verdict.temporary


def test_2_10_a_another_environment_under_the_same_root_is_not() -> None:
    """Clauses: envelope-profile-xhe 3.3 A2; transport-profile-as4 2.10 a."""
    stranger = OTHER_ENVIRONMENT.issue("AP0001-QA").certificate
    evidence = replace(EVIDENCE, intermediates=(OTHER_ENVIRONMENT.certificate,))
    assert reason(stranger, evidence=evidence) is TrustReason.UNKNOWN_ISSUER


def test_an_issuer_of_the_same_name_is_not_the_same_issuer() -> None:
    impostor = pki.root("Rot CA Accesspunkt", 4).subordinate("Accesspunkt CA-SDK", 5)
    shown = impostor.issue("AP0001-SDK").certificate
    assert reason(shown) is TrustReason.UNKNOWN_ISSUER
    helped = replace(EVIDENCE, intermediates=(impostor.certificate,))
    assert reason(shown, evidence=helped) is TrustReason.UNKNOWN_ISSUER


def test_without_named_issuers_any_path_to_the_anchor_will_do() -> None:
    policy = replace(POLICY, issuers=())
    stranger = OTHER_ENVIRONMENT.issue("AP0001-QA").certificate
    evidence = Evidence((ROOT.crl(), OTHER_ENVIRONMENT.crl()), (), (OTHER_ENVIRONMENT.certificate,))
    assert reason(stranger, policy, evidence) is TrustReason.TRUSTED
    named = replace(policy, intermediates=(OTHER_ENVIRONMENT.certificate,))
    assert reason(stranger, named, replace(evidence, intermediates=())) is TrustReason.TRUSTED
    assert reason(stranger, policy, replace(evidence, intermediates=())) is TrustReason.UNKNOWN_ISSUER


@pytest.mark.parametrize("below", [False, True], ids=["issuer", "issuer of issuers"])
@pytest.mark.parametrize("evidence", ["list", "answer", "delegated answer"])
def test_2_10_b_an_issuer_without_its_root_says_itself_which_certificates_are_revoked(
    below: bool, evidence: str
) -> None:
    """DIGG publishes the issuer of the Swedish Social Insurance Agency without its root."""
    where = "http://responder.example/ocsp"
    anchor = ROOT.subordinate("Function CA", 4, ocsp_url=where)
    issuer = anchor.subordinate("Issuer", 5, ocsp_url=where) if below else anchor
    good, revoked = (issuer.issue(name).certificate for name in ("good", "revoked"))
    issuer.revoke(revoked)
    responder = anchor.issue("Responder", private_key=pki.key(6), ocsp_signer=True)

    def about(certificate: x509.Certificate, by: pki.Authority) -> Evidence:
        if evidence == "list":
            return Evidence(crls=(by.crl(),))
        delegated = responder if evidence == "delegated answer" and by is anchor else None
        return Evidence(ocsps=(by.ocsp(certificate, responder=delegated),))

    policy = ChainPolicy((anchor.certificate,), (issuer.certificate,) if below else ())
    above = about(issuer.certificate, anchor) if below else Evidence()
    for certificate, expected in ((good, TrustReason.TRUSTED), (revoked, TrustReason.REVOKED)):
        own = about(certificate, issuer)
        both = Evidence((*own.crls, *above.crls), (*own.ocsps, *above.ocsps))
        assert reason(certificate, policy, both) is expected
    assert reason(good, policy, above) is TrustReason.REVOCATION_UNKNOWN
    if below:
        assert reason(good, policy, own) is TrustReason.REVOCATION_UNKNOWN


def renewed(subject: str, not_before: datetime, not_after: datetime) -> pki.Authority:
    """Return the certificate of an issuer with the key of :data:`ISSUER`, valid for that time."""
    usage = ("key_cert_sign", "crl_sign")
    times = {"not_before": not_before, "not_after": not_after}
    return pki.Authority(ROOT.issue(subject, private_key=pki.key(2), usage=usage, ca=True, **times))


@pytest.mark.parametrize("named", [True, False], ids=["issuers", "intermediates"])
@pytest.mark.parametrize("turned", [False, True])
def test_an_issuer_that_was_renewed_with_its_key_is_trusted_before_and_after(
    named: bool, turned: bool
) -> None:
    """The operator adds the new certificate in advance, and removes the old one some time later."""
    ended = NOW + DAY
    both = (
        renewed("Accesspunkt CA-SDK", NOW - 900 * DAY, ended).certificate,
        renewed("Accesspunkt CA-SDK", ended - timedelta(hours=1), NOW + 900 * DAY).certificate,
    )
    both = both[::-1] if turned else both
    policy = replace(POLICY, issuers=both if named else (), intermediates=() if named else both)
    policy = replace(policy, revocation=RevocationMode.NONE)
    for at in (NOW, ended, ended + DAY):
        assert reason(AP, policy, at=at) is TrustReason.TRUSTED
    assert reason(AP, policy, at=NOW - 1000 * DAY) is TrustReason.NOT_YET_VALID


def test_2_10_b_a_revoked_certificate_is_refused_by_list_and_by_responder() -> None:
    """Clauses: transport-profile-as4 2.10 b."""
    assert reason(REVOKED) is TrustReason.REVOKED
    by_responder = Evidence((ROOT.crl(),), (ISSUER.ocsp(REVOKED),))
    assert reason(REVOKED, evidence=by_responder) is TrustReason.REVOKED


def test_2_10_b_a_certificate_under_a_revoked_issuer_is_refused() -> None:
    root = pki.root("Rot", 4)
    issuer = root.subordinate("CA", 5)
    root.revoke(issuer.certificate)
    certificate = issuer.issue("AP").certificate
    policy = replace(POLICY, anchors=(root.certificate,), issuers=(issuer.certificate,))
    evidence = Evidence((root.crl(), issuer.crl()))
    assert reason(certificate, policy, evidence) is TrustReason.REVOKED
    leaf_only = replace(policy, revocation=RevocationMode.LEAF)
    assert reason(certificate, leaf_only, evidence) is TrustReason.TRUSTED


def test_answer_of_the_responder_alone_is_enough_for_the_certificate_it_is_about() -> None:
    evidence = Evidence((ROOT.crl(),), (ISSUER.ocsp(AP),))
    assert reason(AP, evidence=evidence) is TrustReason.TRUSTED
    assert reason(REVOKED, evidence=evidence) is TrustReason.REVOCATION_UNKNOWN


def test_a_good_answer_never_wins_over_a_list_that_revokes() -> None:
    """An attacker replays an old answer from before the revocation."""
    issuer = ROOT.subordinate("Accesspunkt CA-SDK", 2, ocsp_url="http://responder.example/ocsp")
    certificate = issuer.issue("AP0009-SDK").certificate
    policy = replace(POLICY, issuers=(issuer.certificate,))
    good = issuer.ocsp(certificate)
    assert reason(certificate, policy, Evidence((ROOT.crl(), issuer.crl()), (good,))) is TrustReason.TRUSTED
    issuer.revoke(certificate)
    revoking = Evidence((ROOT.crl(), issuer.crl()), (good,))
    assert reason(certificate, policy, revoking) is TrustReason.REVOKED
    leaf_only = replace(policy, revocation=RevocationMode.LEAF)
    assert reason(certificate, leaf_only, revoking) is TrustReason.REVOKED
    forged = pki.root("Rot", 6).subordinate("Accesspunkt CA-SDK", 7)
    forged.revoke(certificate)
    assert (
        reason(certificate, policy, Evidence((ROOT.crl(), forged.crl()), (good,))) is not TrustReason.REVOKED
    )


def test_a_certificate_that_signs_revocation_answers_is_not_a_peers() -> None:
    """RFC 5280 4.2.1.12: the same issuer certifies its responder."""
    responder = ISSUER.issue("OCSP", private_key=pki.key(5), ocsp_signer=True).certificate
    assert reason(responder) is TrustReason.WRONG_PURPOSE


def test_a_responder_speaks_for_its_issuer_only_when_certified_for_that() -> None:
    certified = ISSUER.issue("OCSP", private_key=pki.key(5), ocsp_signer=True)
    evidence = Evidence((ROOT.crl(),), (ISSUER.ocsp(AP, responder=certified),))
    assert reason(AP, evidence=evidence) is TrustReason.TRUSTED
    uncertified = ISSUER.issue("AP0002-SDK", private_key=pki.key(5))
    evidence = Evidence((ROOT.crl(),), (ISSUER.ocsp(AP, responder=uncertified),))
    assert reason(AP, evidence=evidence) is TrustReason.REVOCATION_UNKNOWN


def test_2_10_f_an_smp_stands_directly_under_its_root() -> None:
    smp = ROOT.issue("SMP0001").certificate
    policy = ChainPolicy((ROOT.certificate,), key_uses=SIGNS)
    assert reason(smp, policy, Evidence((ROOT.crl(),))) is TrustReason.TRUSTED
    ROOT.revoke(smp)
    assert reason(smp, policy, Evidence((ROOT.crl(),))) is TrustReason.REVOKED


def test_missing_revocation_information_is_a_temporary_verdict() -> None:
    for evidence in (Evidence(), Evidence((ROOT.crl(),)), Evidence((ISSUER.crl(),))):
        verdict = decide(AP, POLICY, evidence, NOW)
        assert verdict.reason is TrustReason.REVOCATION_UNKNOWN
        assert verdict.temporary
    leaf_only = replace(POLICY, revocation=RevocationMode.LEAF)
    assert reason(AP, leaf_only, Evidence((ISSUER.crl(),))) is TrustReason.TRUSTED
    assert reason(AP, replace(POLICY, revocation=RevocationMode.NONE), Evidence()) is TrustReason.TRUSTED


@pytest.mark.parametrize("published", [NOW - 8 * DAY, NOW + timedelta(hours=1)], ids=["stale", "future"])
def test_a_list_outside_its_time_proves_nothing(published: datetime) -> None:
    evidence = Evidence((ROOT.crl(), ISSUER.crl(at=published)))
    assert reason(AP, evidence=evidence) is TrustReason.REVOCATION_UNKNOWN


def test_a_responder_whose_clock_is_half_a_minute_ahead_is_believed() -> None:
    evidence = Evidence((ROOT.crl(),), (ISSUER.ocsp(AP, at=NOW + timedelta(seconds=30)),))
    assert reason(AP, evidence=evidence) is TrustReason.TRUSTED


def test_a_list_of_another_issuer_with_the_same_key_revokes_nothing_of_this_one() -> None:
    """Serial numbers belong to an issuer, and the same number is another certificate there."""
    namesake = ROOT.subordinate("Accesspunkt CA-SDK 2", 2)
    namesake.revoke(AP)
    assert reason(AP, evidence=Evidence((*EVIDENCE.crls, namesake.crl()))) is TrustReason.TRUSTED


def test_a_list_that_somebody_else_signed_proves_nothing() -> None:
    impostor = pki.root("Rot", 6).subordinate("Accesspunkt CA-SDK", 7)
    assert reason(AP, evidence=Evidence((ROOT.crl(), impostor.crl()))) is TrustReason.REVOCATION_UNKNOWN


def test_evidence_that_cannot_be_read_does_not_spoil_the_rest() -> None:
    other_version = ISSUER.crl().replace(b"\x02\x01\x01", b"\x02\x01\x00", 1)
    rubbish = (b"", b"rubbish", b"\x30\x80", other_version)
    evidence = Evidence((*rubbish, *EVIDENCE.crls), rubbish)
    assert reason(AP, evidence=evidence) is TrustReason.TRUSTED
    assert reason(AP, evidence=Evidence(rubbish, rubbish)) is TrustReason.REVOCATION_UNKNOWN


def test_validity_is_judged_at_the_given_time() -> None:
    assert reason(AP, at=NOW - 2 * DAY) is TrustReason.NOT_YET_VALID
    assert reason(AP, at=NOW + 366 * DAY) is TrustReason.EXPIRED
    assert reason(AP, at=NOW + 3 * DAY) is TrustReason.TRUSTED
    assert reason(AP, at=NOW + 20 * DAY) is TrustReason.REVOCATION_UNKNOWN


def test_weak_and_other_keys_are_refused() -> None:
    weak = ISSUER.issue("AP", private_key=pki.key(10, 1024)).certificate
    assert reason(weak) is TrustReason.WEAK_KEY
    assert reason(AP, replace(POLICY, min_rsa_bits=3072)) is TrustReason.WEAK_KEY
    assert reason(_with_elliptic_key()) is TrustReason.WEAK_KEY
    assert reason(_with_dsa_key()) is TrustReason.WEAK_KEY


def test_a_certificate_signed_over_sha1_is_refused() -> None:
    assert reason(_signed_over_sha1()) is TrustReason.UNKNOWN_ISSUER


@pytest.mark.parametrize("usage", [("digital_signature",), ("key_encipherment",), ("key_agreement",)])
def test_a_key_for_another_use_is_refused(usage: tuple[str, ...]) -> None:
    certificate = ISSUER.issue("AP", usage=usage).certificate
    assert reason(certificate) is TrustReason.WRONG_PURPOSE
    signs = replace(POLICY, key_uses=SIGNS)
    expected = TrustReason.TRUSTED if usage == ("digital_signature",) else TrustReason.WRONG_PURPOSE
    assert reason(certificate, signs) is expected


def test_a_key_without_stated_use_may_be_used() -> None:
    assert reason(ISSUER.issue("AP", usage=()).certificate) is TrustReason.TRUSTED


def test_an_issuer_or_an_anchor_is_no_access_point() -> None:
    below = ISSUER.subordinate("CA under CA", 8).certificate
    assert reason(below) is TrustReason.WRONG_PURPOSE
    assert reason(ROOT.certificate) is TrustReason.UNKNOWN_ISSUER
    assert reason(ISSUER.certificate) is TrustReason.UNKNOWN_ISSUER


def test_an_access_point_cannot_issue() -> None:
    issuer = pki.Authority(pki.Certified(AP, pki.key(9)))
    forged = issuer.issue("AP0002-SDK").certificate
    assert issued(forged, AP)
    policy = replace(POLICY, issuers=(), intermediates=(ISSUER.certificate,), revocation=RevocationMode.NONE)
    assert reason(forged, policy, replace(EVIDENCE, intermediates=(AP,))) is TrustReason.BROKEN


def test_issuers_that_certify_each_other_end_somewhere() -> None:
    first, second = pki.root("A", 4), pki.root("B", 5)
    crossed = (
        pki.Authority(pki.Certified(second.certificate, second.own.private_key)).subordinate("A", 4),
        pki.Authority(pki.Certified(first.certificate, first.own.private_key)).subordinate("B", 5),
    )
    certificate = first.issue("AP").certificate
    policy = replace(POLICY, issuers=())
    assert find_chain(certificate, policy, tuple(a.certificate for a in crossed)) is None


@given(st.integers(0, 900), st.integers(1, 255))
@settings(max_examples=100)
def test_no_changed_byte_is_trusted(position: int, difference: int) -> None:
    der = bytearray(AP.public_bytes(Encoding.DER))
    der[position % len(der)] ^= difference
    try:
        changed = x509.load_der_x509_certificate(bytes(der))
    except (ValueError, x509.InvalidVersion):
        return
    assert not decide(changed, POLICY, EVIDENCE, NOW).trusted


def test_the_signatures_encoding_is_not_changed_either() -> None:
    """Unused bits may be zero, and half of all signatures end with such a bit."""
    certificate = next(one for one in _certificates() if one.signature[-1] & 1 == 0)
    der = bytearray(certificate.public_bytes(Encoding.DER))
    der[-len(certificate.signature) - 1] = 1
    changed = x509.load_der_x509_certificate(bytes(der))
    assert changed.signature == certificate.signature
    assert find_chain(certificate, POLICY, ()) is not None
    assert find_chain(changed, POLICY, ()) is None


def _certificates() -> Iterator[x509.Certificate]:
    while True:
        yield ISSUER.issue("AP").certificate


def _builder() -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(pki.name("AP"))
        .issuer_name(ISSUER.certificate.subject)
        .serial_number(1000)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
    )


def _with_dsa_key() -> x509.Certificate:
    """Return a certificate with a DSA key as large as RSA keys must be; the federation does not use DSA."""
    public: Any = dsa.generate_private_key(2048).public_key()
    return ISSUER.certify("AP0001-SDK", public)


def _with_elliptic_key() -> x509.Certificate:
    elliptic = ec.generate_private_key(ec.SECP256R1())
    return _builder().public_key(elliptic.public_key()).sign(ISSUER.own.private_key, hashes.SHA256())


def _signed_over_sha1() -> x509.Certificate:
    """Return a certificate made by hand, since the library no longer signs this way."""
    certificate = asn1.Certificate.load(AP.public_bytes(Encoding.DER))
    for algorithm in (certificate["tbs_certificate"]["signature"], certificate["signature_algorithm"]):
        algorithm["algorithm"] = "sha1_rsa"
    signed = certificate["tbs_certificate"].dump(force=True)
    certificate["signature_value"] = ISSUER.own.private_key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    return x509.load_der_x509_certificate(certificate.dump(force=True))


@pytest.mark.parametrize(
    ("revoked_at", "expected"),
    [
        (NOW - timedelta(seconds=1), TrustReason.REVOKED),
        (NOW, TrustReason.REVOKED),
        (NOW + timedelta(seconds=1), TrustReason.TRUSTED),
    ],
)
def test_a_certificate_is_good_until_the_moment_from_which_it_is_revoked(
    revoked_at: datetime, expected: TrustReason
) -> None:
    """A list may announce it; earlier signatures are judged at their own time."""
    evidence = Evidence((ROOT.crl(), ISSUER.crl(revoked_at=revoked_at)))
    assert reason(REVOKED, evidence=evidence) is expected


def test_an_anchor_that_is_there_twice_stays_one() -> None:
    again = x509.load_der_x509_certificate(ROOT.certificate.public_bytes(Encoding.DER))
    assert sorted_out((ROOT.certificate, again, ISSUER.certificate)) == (
        (ROOT.certificate, again),
        (ISSUER.certificate,),
    )


def test_a_root_that_was_renewed_with_its_key_stays_an_anchor() -> None:
    renewed = pki.root("Rot CA Accesspunkt", 1).certificate
    assert renewed != ROOT.certificate
    assert issued(renewed, ROOT.certificate)
    for both in ((ROOT.certificate, renewed), (renewed, ROOT.certificate)):
        assert sorted_out((*both, ISSUER.certificate)) == (both, (ISSUER.certificate,))


def test_a_path_has_at_most_six_issuers_below_its_anchor() -> None:
    policy = ChainPolicy((ROOT.certificate,))
    issuers = [ROOT]
    for number in range(7):
        issuers.append(issuers[-1].subordinate(f"Issuer {number}", 10 + number))
    between = tuple(each.certificate for each in issuers[1:])
    found = find_chain(issuers[6].issue("AP").certificate, policy, between)
    assert found is not None
    assert found[1:] == tuple(each.certificate for each in reversed(issuers[:7]))
    assert find_chain(issuers[7].issue("AP").certificate, policy, between) is None
