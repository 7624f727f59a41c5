"""Certificates in the form used in metadata, and their names."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.crypto.certificates import (
    common_name,
    fingerprint,
    from_base64,
    issuer,
    subject,
    to_base64,
)
from samdrift.wire.errors import WireError
from tests import pki
from tests.official import DIGG, requires_digg

ROOT = pki.root("Rot", 1)
CERTIFICATE = ROOT.certificate
PEM = CERTIFICATE.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    "spelling",
    [
        to_base64(CERTIFICATE),
        PEM,
        f"\n  {PEM}\n",
        "".join(line for line in PEM.splitlines(keepends=True) if "-----" not in line),
        base64.b64encode(PEM.encode()).decode(),
    ],
    ids=["der", "pem", "indented", "without armour", "pem in base64"],
)
def test_every_spelling_in_use_gives_the_same_certificate(spelling: str) -> None:
    assert from_base64(spelling) == CERTIFICATE


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", PEM + PEM, "å", "QUJD" * 20_000])
def test_anything_else_is_a_typed_error(text: str) -> None:
    with pytest.raises(WireError):
        from_base64(text)


@given(st.integers(0, 800), st.integers(0, 255))
@settings(max_examples=100)
def test_a_changed_byte_gives_a_certificate_or_a_typed_error(position: int, value: int) -> None:
    der = bytearray(CERTIFICATE.public_bytes(Encoding.DER))
    der[position % len(der)] = value
    try:
        changed = from_base64(base64.b64encode(der).decode())
        assert common_name(changed) is None or isinstance(common_name(changed), str)
    except WireError:
        pass


@requires_digg
def test_names_of_the_official_certificates() -> None:
    pem = (DIGG / "certificates/production/accesspoint/Accesspunkt CA-SDK-PROD.cer").read_text()
    certificate = from_base64(pem)
    assert common_name(certificate) == "Accesspunkt CA-SDK-PROD"
    assert len(fingerprint(certificate)) == 64


@pytest.mark.parametrize(("names", "expected"), [((), None), (("A",), "A"), (("A", "B"), None)])
def test_common_name_is_none_unless_there_is_exactly_one(
    names: tuple[str, ...], expected: str | None
) -> None:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "O")
    issued = ROOT.issue(x509.Name([organisation, *attributes]))
    assert common_name(issued.certificate) == expected


def with_an_odd_name() -> x509.Certificate:
    """Return a certificate whose names have bits instead of text; its signature is therefore invalid."""
    der = pki.root("Odd name", 1).certificate.public_bytes(Encoding.DER)
    return x509.load_der_x509_certificate(der.replace(b"\x0c\x08Odd name", b"\x03\x08\x00dd name"))


def test_a_name_that_cannot_be_read_is_none() -> None:
    """Such a name comes with a stranger's first message, before anything is known about the sender."""
    odd = with_an_odd_name()
    assert common_name(odd) is None
    assert (subject(odd), issuer(odd)) == ("", "")


def test_names_are_written_as_in_rfc_4514() -> None:
    own = pki.root("Rot", 1)
    assert (subject(own.issue("AP").certificate), issuer(own.issue("AP").certificate)) == ("CN=AP", "CN=Rot")
