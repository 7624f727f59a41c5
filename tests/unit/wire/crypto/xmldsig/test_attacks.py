"""Attacks on XML signatures, each refused with its reason.

Every attack starts from a genuine signature of SENDER, or is made by a signer of arbitrary content with a
key of their own.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from samdrift.wire.crypto.xmldsig import (
    Canonicalization,
    HashSink,
    SignatureReason,
    canonical_document,
    canonical_part,
    ds,
    sign_enveloped,
    verify_enveloped,
)
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import SMALL, Namespace, base64text, parse
from tests import pki
from tests.unit.wire.envelope.samples import SENDER, STRANGER, one

GENUINE_CONTENT = b'<r xmlns="urn:r"><amount>1</amount></r>'
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
XPATH_FILTER = "http://www.w3.org/2002/06/xmldsig-filter2"
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
BASE64 = "http://www.w3.org/2000/09/xmldsig#base64"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
INCLUSIVE = Canonicalization.INCLUSIVE
EXCLUSIVE = Canonicalization.EXCLUSIVE
DEFAULT_LISTED = f'<InclusiveNamespaces xmlns="{Namespace.EXC_C14N}" PrefixList="#default"/>'


def genuine() -> etree._Element:
    root = parse(GENUINE_CONTENT)
    sign_enveloped(root, SENDER.signing_key())
    return root


def signature_of(root: etree._Element) -> etree._Element:
    return one(root, "ds:Signature")


def judge(root: etree._Element) -> SignatureReason:
    """Return the verdict on the document as another party receives it."""
    return verify_enveloped(parse(etree.tostring(root.getroottree()))).reason


@dataclass(frozen=True)
class Recipe:
    """A signature as an attacker would make it: like ours, except for the fields set."""

    uri: str | None = ""
    transforms: tuple[str, ...] = (ENVELOPED,)
    inside_transform: str = ""
    canonicalization: str = INCLUSIVE
    inside_canonicalization: str = ""
    method: str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    inside_method: str = ""
    digest: str = "http://www.w3.org/2001/04/xmlenc#sha256"
    references: int = 1
    certificate: x509.Certificate = field(default_factory=lambda: SENDER.certificate)
    sign: Callable[[bytes], bytes] = field(default_factory=lambda: SENDER.signing_key().sign, repr=False)

    def signed(self, content: bytes = GENUINE_CONTENT) -> etree._Element:
        root = parse(content)
        root.append(etree.fromstring(self._signature(self._digest(root))))
        signed_info = canonical_part(one(root, "ds:Signature/ds:SignedInfo"), INCLUSIVE)
        value = base64text.encode(self.sign(signed_info)).decode()
        one(root, "ds:Signature/ds:SignatureValue").text = value
        return root

    def _digest(self, root: etree._Element) -> bytes:
        sink = HashSink()
        canonical_document(root, INCLUSIVE, (), sink)
        return sink.digest()

    def _signature(self, digest: bytes) -> str:
        uri = "" if self.uri is None else f' URI="{self.uri}"'
        transforms = "".join(
            f'<Transform Algorithm="{algorithm}">{self.inside_transform}</Transform>'
            for algorithm in self.transforms
        )
        reference = (
            f"<Reference{uri}><Transforms>{transforms}</Transforms>"
            f'<DigestMethod Algorithm="{self.digest}"/>'
            f"<DigestValue>{base64text.encode(digest).decode()}</DigestValue></Reference>"
        )
        certificate = base64text.encode(self.certificate.public_bytes(Encoding.DER)).decode()
        return (
            f'<Signature xmlns="{Namespace.DSIG}"><SignedInfo>'
            f'<CanonicalizationMethod Algorithm="{self.canonicalization}">'
            f"{self.inside_canonicalization}</CanonicalizationMethod>"
            f'<SignatureMethod Algorithm="{self.method}">{self.inside_method}</SignatureMethod>'
            f"{reference * self.references}</SignedInfo><SignatureValue/>"
            f"<KeyInfo><X509Data><X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo>"
            "</Signature>"
        )


def test_the_recipe_makes_good_signatures_when_nothing_is_set() -> None:
    """Otherwise the refusals below would prove nothing."""
    assert judge(Recipe().signed()) is SignatureReason.VALID


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(transforms=(ENVELOPED, XPATH), inside_transform="<XPath>true()</XPath>"),
        Recipe(transforms=(XPATH,), inside_transform="<XPath>self::amount</XPath>"),
        Recipe(transforms=(ENVELOPED, XPATH_FILTER)),
        Recipe(transforms=(ENVELOPED, XSLT)),
        Recipe(transforms=(ENVELOPED, BASE64)),
        Recipe(transforms=(ENVELOPED, f"{INCLUSIVE}#WithComments")),
        Recipe(transforms=("",)),
        Recipe(inside_transform="<XPath>true()</XPath>"),
        Recipe(canonicalization=f"{INCLUSIVE}#WithComments"),
        Recipe(canonicalization="http://www.w3.org/2010/xml-c14n2"),
        Recipe(canonicalization="urn:unknown"),
        Recipe(inside_canonicalization="<x/>"),
        Recipe(canonicalization=EXCLUSIVE, inside_canonicalization=DEFAULT_LISTED),
        Recipe(inside_canonicalization=DEFAULT_LISTED),
        Recipe(method="http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        Recipe(method="http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"),
        Recipe(method="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
        Recipe(method="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        Recipe(inside_method="<HMACOutputLength>8</HMACOutputLength>"),
        Recipe(digest="http://www.w3.org/2000/09/xmldsig#sha1"),
        Recipe(digest="http://www.w3.org/2001/04/xmlenc#sha512"),
    ],
    ids=repr,
)
def test_algorithms_and_transforms_outside_the_allow_list_are_refused(recipe: Recipe) -> None:
    """Clauses: envelope-profile-xhe 3.5.2.1 a, 3.5.2.2 a, 3.5.2.4 a."""
    assert judge(recipe.signed()) is SignatureReason.ALGORITHM


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(uri="#amount"),
        Recipe(uri="#xpointer(/)"),
        Recipe(uri="http://example.org/other.xml"),
        Recipe(uri=" "),
        Recipe(transforms=(INCLUSIVE,)),
        Recipe(transforms=(INCLUSIVE, ENVELOPED)),
        Recipe(transforms=(ENVELOPED, ENVELOPED)),
        Recipe(transforms=(ENVELOPED, INCLUSIVE, INCLUSIVE)),
    ],
    ids=repr,
)
def test_a_reference_to_anything_but_the_whole_document_is_refused(recipe: Recipe) -> None:
    """Clauses: envelope-profile-xhe 3.5 sentence 2."""
    assert judge(recipe.signed()) is SignatureReason.REFERENCE


@pytest.mark.parametrize("recipe", [Recipe(references=0), Recipe(references=2), Recipe(uri=None)], ids=repr)
def test_there_is_exactly_one_reference(recipe: Recipe) -> None:
    assert judge(recipe.signed()) is SignatureReason.MALFORMED


def test_a_public_key_is_no_hmac_secret() -> None:
    """The signature value is a MAC with the public key, which everyone has."""
    public_key = SENDER.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    recipe = Recipe(sign=lambda data: hmac.digest(public_key, data, "sha256"))
    assert judge(recipe.signed()) is SignatureReason.VALUE


def test_a_certificate_whose_key_is_not_rsa_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = pki.name("habo.se")
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, pki.NOW, pki.NOW + pki.DAY)
    certificate = builder.sign(key, hashes.SHA256())
    recipe = Recipe(certificate=certificate, sign=lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))
    assert judge(recipe.signed()) is SignatureReason.VALUE


def test_a_signature_with_another_hash_under_the_name_of_sha256_is_refused() -> None:
    recipe = Recipe(sign=lambda data: SENDER.private_key.sign(data, PKCS1v15(), hashes.SHA512()))
    assert judge(recipe.signed()) is SignatureReason.VALUE


def test_a_changed_content_is_found() -> None:
    root = genuine()
    root[0].text = "1000"
    assert judge(root) is SignatureReason.DIGEST


def test_swapped_key_info_shows_the_certificate_that_it_is_checked_with() -> None:
    """The signature by one key with the certificate of another is valid for neither."""
    root, other = genuine(), parse(GENUINE_CONTENT)
    sign_enveloped(other, STRANGER.signing_key())
    ours, theirs = signature_of(root)[2], signature_of(other)[2]
    signature_of(root).replace(ours, theirs)
    verdict = verify_enveloped(parse(etree.tostring(root)))
    assert (verdict.reason, verdict.certificate) == (SignatureReason.VALUE, STRANGER.certificate)


def test_another_certificate_for_the_same_key_is_the_one_reported() -> None:
    """The certificate is not covered by the signature, so the caller compares it with the published one."""
    root = genuine()
    other = pki.root("Another issuer", 4).issue("habo.se", private_key=SENDER.private_key).certificate
    der = base64text.encode(other.public_bytes(Encoding.DER)).decode()
    one(root, "//ds:X509Certificate").text = der
    verdict = verify_enveloped(parse(etree.tostring(root)))
    assert (verdict.valid, verdict.certificate) == (True, other)


Change = Callable[[etree._Element], object]


def with_text(*place: int, to: str | None) -> Change:
    """Return a change that sets the text of the element at these positions below the signature."""

    def change(signature: etree._Element) -> None:
        element = signature
        for position in place:
            element = element[position]
        element.text = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda signature: signature.remove(signature[2]),
        lambda signature: signature[2].remove(signature[2][0]),
        with_text(2, 0, 0, to="QUJD"),
        with_text(2, 0, 0, to="?"),
        with_text(2, 0, 0, to="QUJD" * 10_000),
        with_text(1, to=None),
        with_text(1, to="åäö"),
        lambda signature: signature.remove(signature[0]),
        lambda signature: signature.insert(0, deepcopy(signature[0])),
        lambda signature: signature.insert(0, signature[1]),
        lambda signature: etree.SubElement(signature, ds("Object")),
        lambda signature: etree.SubElement(signature[0][2][0], ds("Transform"), Algorithm=INCLUSIVE),
        with_text(0, 2, 2, to="QUJD"),
        lambda signature: [signature.remove(part) for part in list(signature)],
    ],
)
def test_a_malformed_signature_never_holds(change: Change) -> None:
    root = genuine()
    change(signature_of(root))
    assert judge(root) in (SignatureReason.MALFORMED, SignatureReason.VALUE, SignatureReason.DIGEST)


def test_an_empty_signature_value_does_not_hold() -> None:
    root = genuine()
    signature_of(root)[1].text = ""
    assert judge(root) is SignatureReason.VALUE


def test_two_signatures_are_refused_also_when_both_were_good() -> None:
    root = genuine()
    root.append(deepcopy(signature_of(root)))
    assert judge(root) is SignatureReason.SEVERAL


def test_an_older_signature_before_a_forged_one_does_not_help() -> None:
    root = genuine()
    forged = Recipe(certificate=STRANGER.certificate, sign=STRANGER.signing_key().sign)
    root.insert(0, signature_of(forged.signed()))
    assert judge(root) is SignatureReason.SEVERAL


@pytest.mark.parametrize("place", ["in-content", "in-wrapper", "in-object", "beside-root"])
def test_wrapping_the_genuine_document_never_gives_a_valid_verdict(place: str) -> None:
    """The forged document contains everything that was signed, including the signature."""
    root, original = parse(b'<r xmlns="urn:r"><amount>1000</amount></r>'), genuine()
    signature = signature_of(original)
    if place == "in-content":
        root[0].append(original)
    elif place == "in-wrapper":
        etree.SubElement(root, "wrapper").append(original)
    elif place == "in-object":
        root.append(deepcopy(signature))
        etree.SubElement(signature_of(root), ds("Object")).append(original)
    else:
        original.remove(signature)
        root.append(signature)
        root.append(original)
    expected = {
        "in-object": SignatureReason.MALFORMED,
        "beside-root": SignatureReason.DIGEST,
    }
    assert judge(root) is expected.get(place, SignatureReason.MISSING)


@pytest.mark.parametrize(
    "change",
    [
        lambda signature: signature[2].append(deepcopy(signature[2][0])),
        lambda signature: signature[2][0].append(deepcopy(signature[2][0][0])),
    ],
    ids=["two X509Data", "a chain in one"],
)
def test_3_5_2_5_a_chain_of_certificates_is_refused_and_called_that(change: Change) -> None:
    """The profile allows exactly one; a peer whose software sends a chain must learn what is wrong."""
    root = genuine()
    change(signature_of(root))
    verdict = verify_enveloped(root)
    assert (verdict.reason.value, verdict.certificate) == ("more-than-one-certificate", None)


@pytest.mark.parametrize("method", list(Canonicalization))
def test_a_document_that_has_no_canonical_form_is_refused(method: Canonicalization) -> None:
    """Its namespace is a relative address; anyone could sign that such a document has a certain digest."""
    transforms = (ENVELOPED,) if method is INCLUSIVE else (ENVELOPED, method)
    root = Recipe(transforms=transforms).signed()
    etree.SubElement(root, "{relative}amount")
    assert judge(root) is SignatureReason.MALFORMED


def test_only_the_root_of_a_document_can_be_judged() -> None:
    """A genuine document inside another says nothing about the other."""
    outer = parse(b"<outer/>")
    inner = genuine()
    outer.append(inner)
    assert verify_enveloped(inner).reason is SignatureReason.MISSING


def test_a_comment_in_a_signed_text_changes_neither_signature_nor_reading() -> None:
    """``<amount>1<!-- -->0</amount>`` is signed as 10; a reader of the first piece would see 1."""
    root = parse(b'<r xmlns="urn:r"><amount>10</amount></r>')
    sign_enveloped(root, SENDER.signing_key())
    data = etree.tostring(root).replace(b">10<", b">1<!-- -->0<")
    root = parse(data)
    assert verify_enveloped(root).valid
    assert root[0].xpath("string()") == "10"


@pytest.mark.parametrize(
    "prolog",
    [
        b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE r SYSTEM "http://example.org/r.dtd">',
        b'<!DOCTYPE r [<!ATTLIST r amount CDATA "1000">]>',
        b'<?xml version="1.0"?><!-- c --><!DOCTYPE r [<!ENTITY % p "">%p;]>',
    ],
)
def test_document_type_declarations_never_reach_the_verifier(prolog: bytes) -> None:
    with pytest.raises(WireError) as refused:
        parse(prolog + etree.tostring(genuine()), SMALL)
    assert refused.value.fault is WireFault.FORBIDDEN_XML
