"""Signatures of organisations and operators for other parties: the signer, and detection of any change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.attestation.signatures import holds, signed, signer, time_of
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from tests import pki

ROOT = pki.root("AP0001", 0)
KEY = SoftwareSigningKey(pki.key(0), ROOT.certificate)
DOCUMENT = {"said": "att allt är förstört", "number": 1}
RSA, UNKNOWN = bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d01017f")


def test_who_signed_a_document_is_known_until_it_is_changed() -> None:
    signature = signed(DOCUMENT, KEY)
    assert signer(DOCUMENT, signature) == KEY.certificate
    assert signer(dict(reversed(DOCUMENT.items())), signature) == KEY.certificate
    for change in ({"number": 2}, {"more": None}):
        assert signer(DOCUMENT | change, signature) is None


def test_keys_of_other_kinds_have_signed_nothing() -> None:
    signature = KEY.sign(b"data")
    assert holds(b"data", signature, KEY.certificate)
    curve = ROOT.certify("curve", ec.generate_private_key(ec.SECP256R1()).public_key())
    unknown = x509.load_der_x509_certificate(
        KEY.certificate.public_bytes(Encoding.DER).replace(RSA, UNKNOWN, 1)
    )
    for certificate in (curve, unknown, pki.root("AP0002", 1).certificate):
        assert not holds(b"data", signature, certificate)


@pytest.mark.parametrize("value", ["2026-03-02T12:00:00", "2026-03-02", "", None, 7])
def test_a_time_without_a_zone_is_no_moment(value: object) -> None:
    assert time_of("2026-03-02T13:00:00+01:00") == datetime(2026, 3, 2, 12, tzinfo=UTC)
    with pytest.raises((ValueError, TypeError)):
        time_of(value)
