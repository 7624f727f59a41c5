"""A certificate for an organisation's key: used only if it fits, with every objection reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from samdrift.trust.keycertificate import Expected, Flaw, KeyPurpose, Owner, judge
from samdrift.trust.policy import ChainPolicy
from tests.pki import DAY, NOW, Authority, key, root

KEY = key(30, 3072)
OLD = key(31, 3072)
ROOT = root("Root CA", 1)
ISSUER = ROOT.subordinate("Function CA", 2)
ELSEWHERE = root("Other CA", 3)
HABO = Owner("Håbo kommun", "0203:habo.se", "2120000241")
EXPECTED = Expected(
    HABO,
    KeyPurpose.SIGNATURE,
    (KEY.public_key(),),
    (),
    ChainPolicy((ROOT.certificate,), (ISSUER.certificate,)),
    NOW,
)


def subject(
    organisation: str = "", *, number: str = "", serial: str = "", common_name: str = "habo.se"
) -> x509.Name:
    parts = [
        (NameOID.ORGANIZATION_NAME, organisation),
        (NameOID.ORGANIZATION_IDENTIFIER, number),
        (NameOID.SERIAL_NUMBER, serial),
        (NameOID.COMMON_NAME, common_name),
    ]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])


RIGHT = subject("Håbo kommun", number="2120000241")


def certificate(
    name: x509.Name = RIGHT, *, issuer: Authority = ISSUER, own: rsa.RSAPrivateKey = KEY, **how: Any
) -> x509.Certificate:
    return issuer.certify(name, own.public_key(), **{"usage": ("digital_signature",)} | how)


def flaws(one: x509.Certificate, expected: Expected = EXPECTED) -> tuple[Flaw, ...]:
    return judge(one, (), expected).flaws


def test_a_certificate_for_a_key_of_the_organisation_is_used() -> None:
    verdict = judge(certificate(), (), EXPECTED)
    assert verdict.usable
    assert verdict.flaws == ()
    with pytest.raises(AttributeError):
        setattr(verdict, "flaws", (Flaw.USE,))  # noqa: B010
    assert not judge(certificate(own=OLD), (), EXPECTED).usable


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({"own": OLD}, (Flaw.NO_KEY,)),
        ({"issuer": ELSEWHERE}, (Flaw.ISSUER,)),
        ({"issuer": ROOT}, (Flaw.ISSUER,)),
        ({"usage": ("key_encipherment",)}, (Flaw.USE,)),
        ({"ca": True}, (Flaw.USE,)),
        ({"not_after": NOW - DAY / 2}, (Flaw.EXPIRED,)),
        ({"not_before": NOW + DAY}, (Flaw.EARLY,)),
        ({"not_after": NOW + 3000 * DAY}, (Flaw.LONG,)),
        ({"not_before": NOW - DAY, "not_after": NOW + (5 * 366 - 1) * DAY}, ()),
        ({"not_before": NOW - DAY, "not_after": NOW + 5 * 366 * DAY}, (Flaw.LONG,)),
    ],
)
def test_a_certificate_that_is_wrong_in_one_way_is_refused_for_that(
    how: dict[str, Any], found: tuple[Flaw, ...]
) -> None:
    assert flaws(certificate(**how)) == found


def test_an_issuer_that_has_expired_vouches_for_no_key() -> None:
    issued = ROOT.issue(
        "Old CA", private_key=key(4), ca=True, usage=("key_cert_sign", "crl_sign"), not_after=NOW
    )
    old = Authority(issued)
    expected = replace(EXPECTED, issuers=ChainPolicy((ROOT.certificate,), (old.certificate,)))
    assert flaws(certificate(issuer=old), replace(expected, used_from=NOW - DAY / 2)) == ()
    assert flaws(certificate(issuer=old), replace(expected, used_from=NOW + DAY)) == (Flaw.EXPIRED,)


def test_every_reason_is_told_at_once() -> None:
    wrong = certificate(
        subject("Mullsjö kommun", common_name="mullsjo.se"),
        issuer=ELSEWHERE,
        own=key(32),
        usage=("data_encipherment",),
    )
    assert set(flaws(wrong)) == {Flaw.NO_KEY, Flaw.ANOTHER, Flaw.ISSUER, Flaw.USE, Flaw.SHORT}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (subject("Bålsta AB", number="212000-0241"), ()),
        (subject("Bålsta AB", serial="SE2120000241-1AB"), ()),
        (subject(serial="162120000241", common_name="x"), ()),
        (subject(serial="212000024101", common_name="x"), ()),
        (subject(serial="172120000241", common_name="x"), (Flaw.UNNAMED,)),
        (subject(serial="16212000024100", common_name="x"), (Flaw.UNNAMED,)),
        (subject(serial="212000024102", common_name="x"), (Flaw.UNNAMED,)),
        (subject(serial="21200002410101", common_name="x"), (Flaw.UNNAMED,)),
        (subject("HÅBO KOMMUN", common_name="x"), ()),
        (subject(common_name="Habo.se"), ()),
        (subject("Håbo kommun", number="2120000613"), (Flaw.ANOTHER,)),
        (subject("Mullsjö kommun", common_name="mullsjo.se"), (Flaw.ANOTHER,)),
        (subject(common_name="mt1"), (Flaw.UNNAMED,)),
    ],
)
def test_the_organisation_is_named_by_number_name_or_domain(name: x509.Name, found: tuple[Flaw, ...]) -> None:
    assert flaws(certificate(name)) == found


def test_a_number_that_nobody_knows_here_does_not_stand_against_the_name() -> None:
    unknown = replace(EXPECTED, owner=replace(HABO, number=""))
    assert flaws(certificate(subject("Håbo kommun", number="2120000613")), unknown) == ()


def test_a_certificate_or_key_that_is_used_already_is_refused() -> None:
    one, other = certificate(), certificate()
    for used in (one, other):
        assert flaws(one, replace(EXPECTED, used=(used,))) == (Flaw.IN_USE,)
    assert flaws(one, replace(EXPECTED, used=(certificate(own=OLD),))) == ()


def test_each_purpose_has_its_key_usage() -> None:
    signs, decrypts = certificate(), certificate(usage=("key_encipherment",))
    for purpose, right in (
        (KeyPurpose.SIGNATURE, signs),
        (KeyPurpose.TLS_CLIENT, signs),
        (KeyPurpose.DECRYPTION, decrypts),
    ):
        for one in (signs, decrypts):
            expected = replace(EXPECTED, purpose=purpose)
            assert flaws(one, expected) == (() if one is right else (Flaw.USE,))
    other_end = certificate(ocsp_signer=True)
    assert flaws(other_end, replace(EXPECTED, purpose=KeyPurpose.TLS_CLIENT)) == (Flaw.USE,)


def test_validity_is_asked_for_when_it_is_used_first() -> None:
    later = certificate(not_before=NOW + DAY)
    assert flaws(later, replace(EXPECTED, used_from=NOW + 2 * DAY)) == ()
    assert flaws(certificate(), replace(EXPECTED, used_from=NOW + 366 * DAY)) == (Flaw.EXPIRED,)


def test_validity_is_judged_also_where_nothing_is_known_of_the_issuer() -> None:
    early = certificate(issuer=ELSEWHERE, not_before=NOW + DAY)
    assert flaws(early) == (Flaw.ISSUER, Flaw.EARLY)
    late = certificate(issuer=ELSEWHERE, not_after=NOW - DAY / 2)
    assert flaws(late) == (Flaw.ISSUER, Flaw.EXPIRED)


def test_an_issuer_that_came_with_the_certificate_is_no_anchor_but_may_lead_to_one() -> None:
    any_path = replace(EXPECTED, issuers=ChainPolicy((ROOT.certificate,)))
    assert flaws(certificate(), any_path) == (Flaw.ISSUER,)
    assert judge(certificate(), (ISSUER.certificate,), any_path).usable
    stranger = certificate(issuer=ELSEWHERE)
    assert judge(stranger, (ELSEWHERE.certificate,), any_path).flaws == (Flaw.ISSUER,)


def test_a_certificate_for_a_key_of_an_unknown_kind_is_refused_and_nothing_more() -> None:
    rsa_key, unknown = bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d01017f")
    data = certificate().public_bytes(Encoding.DER).replace(rsa_key, unknown, 1)
    assert flaws(x509.load_der_x509_certificate(data)) == (Flaw.PATH,)


@pytest.mark.parametrize(("one", "name"), [(HABO, "name"), (EXPECTED, "issuers")], ids=["owner", "expected"])
def test_what_a_certificate_is_judged_by_cannot_be_changed(one: object, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(one, name, None)
    assert flaws(certificate()) == ()
