"""Documents that carry their own signature (envelope-profile-xhe 3.5)."""

from __future__ import annotations

import pytest
from lxml import etree

from samdrift.wire.crypto.xmldsig import (
    ENVELOPED_SIGNATURE,
    Canonicalization,
    SignatureReason,
    ds,
    sign_enveloped,
    verify_enveloped,
)
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import parse
from tests.unit.wire.envelope.samples import SENDER

DOCUMENT = b"""<?xml version="1.0"?>
<?before x?><!-- left out -->
<r xmlns="urn:r" xmlns:p="urn:p" xml:lang="sv"> <p:a z="1" b='2'>t&#13;x&lt;</p:a>
  <b xmlns="urn:other"><c xmlns=""/></b> tail </r>
<?after?>"""


def signed(data: bytes = DOCUMENT, method: Canonicalization = Canonicalization.INCLUSIVE) -> bytes:
    root = parse(data)
    sign_enveloped(root, SENDER.signing_key(), method=method)
    return etree.tostring(root.getroottree())


@pytest.mark.parametrize("method", Canonicalization)
def test_what_is_signed_verifies(method: Canonicalization) -> None:
    verdict = verify_enveloped(parse(signed(method=method)))
    assert verdict.valid
    assert verdict.reason is SignatureReason.VALID
    assert verdict.certificate == SENDER.certificate


def test_the_signature_has_the_form_of_the_profile() -> None:
    """envelope-profile-xhe 3.5.1, 3.5.2.

    Clauses: envelope-profile-xhe 3.5.2 sentence 1, 3.5.2.1 a, 3.5.2.2 a, 3.5.2.3 a, 3.5.2.4 a, 3.5.2.5 a.
    """
    signature = parse(signed())[-1]
    names = [etree.QName(element).localname for element in signature.iter("*")]
    assert names == [
        "Signature", "SignedInfo", "CanonicalizationMethod", "SignatureMethod", "Reference", "Transforms",
        "Transform", "DigestMethod", "DigestValue", "SignatureValue", "KeyInfo", "X509Data",
        "X509Certificate",
    ]  # fmt: skip
    algorithms = [
        element.get("Algorithm") for element in signature.iter("*") if "Algorithm" in element.attrib
    ]
    assert algorithms == [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        ENVELOPED_SIGNATURE,
        "http://www.w3.org/2001/04/xmlenc#sha256",
    ]
    (reference,) = signature.iter(ds("Reference"))
    assert dict(reference.attrib) == {"URI": ""}


@pytest.mark.parametrize("before", ["", "text", "\n", "<x/>", "<x/>text", "<!-- c -->t", "t<x/>"])
@pytest.mark.parametrize("after", ["", "text", "<y/>", "text<y/>", "<?pi?>t"])
def test_what_is_left_in_the_tree_is_what_was_signed(before: str, after: str) -> None:
    """The text around the signature stays, wherever it is among its siblings."""
    signature = etree.tostring(
        parse(signed(f"<r>{before}{after}</r>".encode()))[-1], with_tail=False
    ).decode()
    root = parse(f"<r>{before}{signature}{after}</r>".encode())
    assert verify_enveloped(root).valid
    assert etree.tostring(root).decode() == f"<r>{before}{after}</r>".replace("<r></r>", "<r/>")


def test_a_document_is_signed_once() -> None:
    root = parse(signed())
    with pytest.raises(WireError) as refused:
        sign_enveloped(root, SENDER.signing_key())
    assert refused.value.fault is WireFault.SIGNATURE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<?before x?>", b"<?before y?>"),
        (b"<?after?>", b""),
        (b"t&#13;x", b"t\nx"),
        (b' z="1"', b' z="2"'),
        (b' xml:lang="sv"', b""),
        (b' xmlns:p="urn:p"', b' xmlns:p="urn:q"'),
        (b" tail ", b"tail"),
        (b"<r ", b'<r xmlns:unused="urn:u" '),
    ],
)
def test_a_change_is_found(old: bytes, new: bytes) -> None:
    data = signed()
    assert old in data
    assert not verify_enveloped(parse(data.replace(old, new))).valid


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<!-- left out -->", b"<!-- anything -->"),
        (b' z="1" b="2"', b" b = '2'  z='1'"),
        (b"t&#13;x", b"t&#xD;<!-- -->x"),
        (b'<c xmlns=""/>', b'<c xmlns=""></c>'),
    ],
)
def test_what_means_the_same_may_change(old: bytes, new: bytes) -> None:
    data = signed()
    assert old in data
    assert verify_enveloped(parse(data.replace(old, new))).valid


def test_a_document_without_signature_is_not_signed() -> None:
    assert verify_enveloped(parse(DOCUMENT)).reason is SignatureReason.MISSING
