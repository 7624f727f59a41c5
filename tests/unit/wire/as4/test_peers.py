"""Deviations of other access points that we understand (facts about phase4, Domibus, Holodeck)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from samdrift.wire.as4 import As4Fault, EbmsErrorCode, read_message
from samdrift.wire.crypto.certificates import to_base64
from samdrift.wire.crypto.xmldsig import Canonicalization, Reference, Transform, append_signature, ds
from samdrift.wire.wssec import names
from samdrift.wire.xml import Element, Namespace, canonical, parse
from tests.unit.wire.as4.crafting import Crafted, gzipped
from tests.unit.wire.as4.parties import PAYLOAD, decryption, receiver, sender, stranger
from tests.unit.wire.as4.refusals import accepted, refusal

_REFERENCE = re.compile(r'<wsse:Reference URI="#(?:Signer|Recipient-1)"[^>]*></wsse:Reference>')


def _identifier(kind: str, value: bytes) -> str:
    text = base64.b64encode(value).decode()
    attributes = f'EncodingType="{names.BASE64_BINARY}" ValueType="{kind}"'
    return f"<wsse:KeyIdentifier {attributes}>{text}</wsse:KeyIdentifier>"


def _subject_key(certificate: x509.Certificate) -> str:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return _identifier(names.SUBJECT_KEY_IDENTIFIER, extension.value.digest)


def _thumbprint(certificate: x509.Certificate) -> str:
    return _identifier(names.THUMBPRINT, certificate.fingerprint(hashes.SHA1()))


def _whole_certificate(certificate: x509.Certificate) -> str:
    return _identifier(names.X509_V3, certificate.public_bytes(Encoding.DER))


def _issuer_serial(certificate: x509.Certificate) -> str:
    return (
        "<ds:X509Data><ds:X509IssuerSerial>"
        f"<ds:X509IssuerName>2.5.4.97=#0c0141,{certificate.issuer.rfc4514_string()}</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber>"
        "</ds:X509IssuerSerial></ds:X509Data>"
    )


Spelling = Callable[[x509.Certificate], str]
KINDS = [_subject_key, _thumbprint, _issuer_serial, _whole_certificate]


@pytest.mark.parametrize("spell", KINDS)
def test_every_kind_of_key_reference_is_understood(spell: Spelling) -> None:
    crafted = Crafted(
        signature=lambda markup: _REFERENCE.sub(spell(sender().certificate), markup),
        encryption=lambda markup: _REFERENCE.sub(spell(receiver().certificate), markup),
    )
    received = accepted(crafted)
    assert received.header.certificate == sender().certificate
    assert received.header.recipient.names(receiver().certificate)
    assert not received.header.recipient.names(sender().certificate)


@pytest.mark.parametrize("spell", KINDS[:3])
def test_a_reference_to_a_certificate_that_nobody_has_is_refused(spell: Spelling) -> None:
    crafted = Crafted(signature=lambda markup: _REFERENCE.sub(spell(sender().certificate), markup))
    content_type, body = crafted.build()
    with pytest.raises(As4Fault) as caught:
        read_message(content_type, body, decryption(receiver()), candidates=[stranger().certificate])
    assert caught.value.error is EbmsErrorCode.FAILED_AUTHENTICATION


@pytest.mark.parametrize(
    "reference",
    [
        "<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>x</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{serial}</ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data>"
        for serial in ("", "-1", "1e3", "１", "9" * 5000)
    ]
    + [
        "<ds:X509Data></ds:X509Data>",
        "<ds:KeyName>x</ds:KeyName>",
        "<wsse:Reference URI='#Signer'/><wsse:Reference URI='#Signer'/>",
        "<wsse:Reference URI='http://elsewhere.example/'/>",
        "<wsse:Reference/>",
        f"<wsse:KeyIdentifier ValueType='{names.X509_V3}'>AAAA</wsse:KeyIdentifier>",
        "<wsse:KeyIdentifier ValueType='urn:x'>AAAA</wsse:KeyIdentifier>",
        "<wsse:KeyIdentifier>AAAA</wsse:KeyIdentifier>",
        f"<wsse:KeyIdentifier ValueType='{names.THUMBPRINT}' EncodingType='urn:x'>AAAA</wsse:KeyIdentifier>",
        "",
    ],
)
def test_broken_key_references_are_refused(reference: str) -> None:
    crafted = Crafted(signature=lambda markup: _REFERENCE.sub(reference, markup))
    assert refusal(crafted)[0] in (EbmsErrorCode.FAILED_AUTHENTICATION, EbmsErrorCode.INVALID_HEADER)


@pytest.mark.parametrize("token", ["AAAA", "not base64!", ""])
def test_a_token_that_is_no_certificate_is_refused(token: str) -> None:
    crafted = Crafted(signature=lambda markup: markup.replace(to_base64(sender().certificate), token))
    assert refusal(crafted)[0] in (EbmsErrorCode.FAILED_AUTHENTICATION, EbmsErrorCode.INVALID_HEADER)


def test_a_header_may_be_laid_out_as_one_likes_outside_of_what_is_signed() -> None:
    def spread(soap: str) -> str:
        for tag in ("<S12:Header>", "<wsse:BinarySecurityToken", "<xenc:", "<ds:Signature>", "<ds:KeyInfo>"):
            soap = soap.replace(tag, f"\r\n  {tag}")
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + soap

    assert accepted(Crafted(soap=spread)).payload == PAYLOAD


def _signed_as_a_tree(soap: str, prefixes: tuple[str, ...]) -> str:
    """Sign an unsigned envelope as programs with XML trees do, with InclusiveNamespaces."""
    root = parse(soap.encode())
    security = next(root.iter(f"{{{Namespace.WSSE}}}Security"))
    exclusive = Transform(Canonicalization.EXCLUSIVE, prefixes)
    parts = [part for part in root.iter() if part.get(names.WSU_ID) in ("Messaging", "Body", "Timestamp")]
    references = [
        Reference(f"#{part.get(names.WSU_ID)}", (exclusive,), _digest(part, prefixes)) for part in parts
    ]
    attachment = Transform(names.ATTACHMENT_SIGNATURE)
    references.append(Reference("cid:message", (attachment,), sha256(gzipped(PAYLOAD)).digest()))
    token = etree.SubElement(security, f"{{{Namespace.WSSE}}}BinarySecurityToken", ValueType=names.X509_V3)
    token.set(names.WSU_ID, "Signer")
    token.text = to_base64(sender().certificate)
    append_signature(security, references, sender().signing_key(), exclusive, _append_key_info)
    return etree.tostring(root, encoding="unicode")


def _digest(part: Element, prefixes: tuple[str, ...]) -> bytes:
    return sha256(canonical(part, exclusive=True, inclusive_prefixes=prefixes)).digest()


def _append_key_info(signature: Element) -> Element:
    key_info = etree.SubElement(signature, ds("KeyInfo"))
    reference = etree.SubElement(key_info, f"{{{Namespace.WSSE}}}SecurityTokenReference")
    etree.SubElement(reference, f"{{{Namespace.WSSE}}}Reference", URI="#Signer", ValueType=names.X509_V3)
    return key_info


@pytest.mark.parametrize("prefixes", [(), ("S12",), ("S12", "eb", "wsu")])
def test_prefixes_that_a_signature_includes_are_taken_in(prefixes: tuple[str, ...]) -> None:
    """WSS4J writes InclusiveNamespaces, so that the digest covers a different canonical form."""
    received = accepted(Crafted(with_signature=False, soap=lambda soap: _signed_as_a_tree(soap, prefixes)))
    assert received.payload == PAYLOAD
    transforms = [transform for reference in received.references for transform in reference.transforms]
    assert {transform.prefixes for transform in transforms} == {(), prefixes}


def test_the_default_namespace_cannot_be_included() -> None:
    """lxml would silently omit it, so it is refused instead of being misread."""
    crafted = Crafted(with_signature=False, soap=lambda soap: _signed_as_a_tree(soap, ("#default",)))
    assert refusal(crafted)[0] is EbmsErrorCode.POLICY_NONCOMPLIANCE


def test_no_more_prefixes_are_looked_for_than_anybody_needs() -> None:
    """Ten thousand of them would take minutes at every element, and any signer can list them."""
    many = " ".join(f"p{number}" for number in range(10_000))
    include = f'<ec:InclusiveNamespaces xmlns:ec="{Namespace.EXC_C14N}" PrefixList="{many}"/>'
    empty = f'"{Canonicalization.EXCLUSIVE}"></ds:'
    crafted = Crafted(
        signature=lambda markup: markup.replace(empty, f'"{Canonicalization.EXCLUSIVE}">{include}</ds:')
    )
    assert refusal(crafted)[0] is EbmsErrorCode.POLICY_NONCOMPLIANCE


def test_prefixes_change_the_digest() -> None:
    """The test above would therefore fail if prefixes were ignored."""
    part = parse(b'<x:x xmlns:x="urn:x" xmlns:y="urn:y"><x:y/></x:x>')[0]
    assert _digest(part, ("y",)) != _digest(part, ())


@pytest.mark.parametrize(
    "header", [b"Content-Type: application/gzip\r\nContent-ID: <message>\r\n\r\n", b"\r\n"]
)
def test_the_mime_header_may_be_encrypted_with_the_content(header: bytes) -> None:
    """``Attachment-Complete`` (WSS SwA profile 1.1, 5.4): only the content is signed.

    A header without fields is an empty line (RFC 2046 5.1), as CXF writes it.
    """
    content = gzipped(PAYLOAD)
    crafted = Crafted(
        content=header + content,
        signed_content=content,
        encryption=lambda markup: markup.replace(names.CONTENT_ONLY, names.COMPLETE),
    )
    assert accepted(crafted).payload == PAYLOAD


@pytest.mark.parametrize("content", [b"", b"no end", b"x" * 20_000])
def test_an_encrypted_mime_header_has_an_end(content: bytes) -> None:
    crafted = Crafted(
        content=content,
        encryption=lambda markup: markup.replace(names.CONTENT_ONLY, names.COMPLETE),
    )
    assert refusal(crafted)[0] in (EbmsErrorCode.FAILED_AUTHENTICATION, EbmsErrorCode.DECOMPRESSION_FAILURE)


@pytest.mark.parametrize("fields", [
    "Content-Type: application/soap+xml\r\n",
    'Content-Type: application/soap+xml;charset="utf-8"\r\nContent-Transfer-Encoding: 8bit\r\n',
    "content-type: Application/SOAP+XML; charset=UTF-8\r\nX-Other: folded\r\n value\r\n",
])  # fmt: skip
def test_the_mime_header_of_the_soap_part_varies(fields: str) -> None:
    crafted = Crafted(root_fields=fields, content_type="multipart/related;boundary=B")
    assert accepted(crafted).payload == PAYLOAD


def test_identifiers_may_be_percent_encoded_in_urls() -> None:
    """RFC 2392: the Content-ID is ``a@b``, its URL may be ``cid:a%40b``."""
    crafted = Crafted(
        soap=lambda soap: soap,
        messaging=lambda markup: markup.replace("cid:message", "cid:mess%61ge"),
    )
    assert accepted(crafted).payload == PAYLOAD


@pytest.mark.parametrize(
    "time", ["2026-03-02T12:00:00Z", "2026-03-02T13:00:00.1234567+01:00", "2026-03-02T12:00:00"]
)
def test_times_are_read_as_xml_schema_writes_them(time: str) -> None:
    crafted = Crafted(messaging=lambda markup: markup.replace("2026-03-02T12:00:00.123Z", time))
    at = accepted(crafted).header.user_message.timestamp
    assert at.isoformat().startswith("2026-03-02T12:00:00")
    assert at.isoformat().endswith("+00:00")
