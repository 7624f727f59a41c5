"""Output is in canonical form, and is what the readers read back (WSS 1.1, SwA profile 1.1)."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from lxml import etree

from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.crypto.xmldsig import Transform, ds
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec import (
    Attachment,
    Part,
    SecurityTimestamp,
    SignedReference,
    build_body,
    build_encryption,
    build_envelope,
    build_signature,
    build_timestamp,
    read_document,
    read_encryption,
    read_timestamp,
    verify,
)
from samdrift.wire.xml import Namespace, canonical, parse
from tests.pki import name
from tests.unit.wire.as4.parties import NOW, decryption, receiver, sender

_MESSAGING = Part(
    "Messaging",
    f'<eb:Messaging xmlns:eb="{Namespace.EBMS3}" xmlns:wsu="{Namespace.WSU}" wsu:Id="Messaging">'
    "</eb:Messaging>",
)


def _envelope() -> bytes:
    body = build_body("Body")
    timestamp = build_timestamp(NOW, NOW + timedelta(minutes=5), "Timestamp")
    signed = build_signature(
        [_MESSAGING, body, timestamp], Attachment("message", b"d" * 32), sender().signing_key(), "Signer"
    )
    encryption = build_encryption("message", "application/gzip", b"k" * 16, receiver().certificate, "1")
    return build_envelope([timestamp.markup, encryption, signed.markup], _MESSAGING, body)


def test_every_signed_part_is_in_canonical_form() -> None:
    """The hashed bytes are therefore the bytes that are sent."""
    parts = [build_body("x"), build_timestamp(NOW, NOW, "x"), _MESSAGING]
    for markup in [part.markup.encode() for part in parts]:
        assert canonical(parse(markup), exclusive=True) == markup


def test_the_signed_info_is_in_canonical_form_where_it_stands() -> None:
    soap = _envelope()
    signed_info = next(parse(soap).iter(ds("SignedInfo")))
    assert canonical(signed_info, exclusive=True) in soap


def test_the_children_of_security_stand_in_the_order_of_wss4j() -> None:
    """Tokens come before references to them, and encryption before the signature."""
    security = next(parse(_envelope()).iter(f"{{{Namespace.WSSE}}}Security"))
    assert [etree.QName(child).localname for child in security] == [
        "Timestamp",
        "BinarySecurityToken",
        "EncryptedKey",
        "EncryptedData",
        "BinarySecurityToken",
        "Signature",
    ]


def test_a_reference_alone_is_in_canonical_form() -> None:
    exclusive = Transform("http://www.w3.org/2001/10/xml-exc-c14n#", ("S12", "eb"))
    reference = SignedReference("#a&b", (exclusive,), b"d" * 32)
    assert canonical(parse(reference.xml), exclusive=True) == reference.xml
    assert SignedReference.from_xml(reference.xml) == reference


def test_what_was_signed_is_verified() -> None:
    document = read_document(_envelope(), 1 << 18)
    signature = verify(document)
    assert signature.certificate == sender().certificate
    assert signature.covers(document.messaging)
    assert signature.covers(document.body)
    assert signature.attachment_digest("message") == b"d" * 32
    assert signature.attachment_digest("other") is None
    body = signature.references[1]
    assert body.digest == sha256(build_body("Body").markup.encode()).digest()


def test_what_was_encrypted_for_a_certificate_is_read() -> None:
    security = read_document(_envelope(), 1 << 18).security
    assert security is not None
    assert security.encrypted_key is not None
    assert security.encrypted_data is not None
    found = read_encryption(security.encrypted_key, security.encrypted_data, security.tokens)
    assert (found.content_id, found.with_headers) == ("message", False)
    assert found.recipient.names(receiver().certificate)
    assert decryption(receiver()).unwrap(found.wrapped_key, Oaep.SHA256) == b"k" * 16


def test_a_recipient_without_rsa_key_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(name("EC"), name("EC"), key.public_key(), 1, NOW, NOW + timedelta(days=1))
    ).sign(key, SHA256())
    with pytest.raises(WireError) as caught:
        build_encryption("message", "x/y", b"k" * 16, certificate, "1")
    assert caught.value.fault is WireFault.ALGORITHM


def test_a_timestamp_is_read_as_it_was_written() -> None:
    markup = build_timestamp(NOW, NOW + timedelta(minutes=5), "x").markup
    assert read_timestamp(parse(markup.encode())) == SecurityTimestamp(NOW, NOW + timedelta(minutes=5))


@pytest.mark.parametrize(
    "content",
    ["", "<wsu:Expires>2026-03-02T12:00:00Z</wsu:Expires>", "<wsu:Created>now</wsu:Created>",
     "<wsu:Created>2026-03-02T12:00:00Z</wsu:Created><wsu:Expires>x</wsu:Expires>"],
)  # fmt: skip
def test_a_malformed_timestamp_is_refused(content: str) -> None:
    with pytest.raises(WireError):
        read_timestamp(
            parse(f'<wsu:Timestamp xmlns:wsu="{Namespace.WSU}">{content}</wsu:Timestamp>'.encode())
        )
