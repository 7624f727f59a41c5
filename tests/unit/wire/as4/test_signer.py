"""Signatures that name a certificate without containing it: the reader asks for candidates."""

from __future__ import annotations

import base64
import re

import pytest
from cryptography import x509

from samdrift.wire.as4 import (
    As4Fault,
    As4Reader,
    Complete,
    EbmsErrorCode,
    Payload,
    SignedHeader,
    SignerWanted,
)
from samdrift.wire.wssec import names
from tests.unit.wire.as4.crafting import Crafted
from tests.unit.wire.as4.parties import decryption, message, receiver, sender, stranger

_REFERENCE = re.compile(r'<wsse:Reference URI="#Signer"[^>]*></wsse:Reference>')


def naming(certificate: x509.Certificate) -> Crafted:
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    key_identifier = (
        f'<wsse:KeyIdentifier EncodingType="{names.BASE64_BINARY}"'
        f' ValueType="{names.SUBJECT_KEY_IDENTIFIER}">'
        f"{base64.b64encode(identifier).decode()}</wsse:KeyIdentifier>"
    )
    return Crafted(signature=lambda markup: _REFERENCE.sub(key_identifier, markup))


def _asking(crafted: Crafted) -> As4Reader:
    """Return a reader that has the whole message and has asked for certificates."""
    content_type, body = crafted.build()
    reader = As4Reader(content_type)
    reader.receive(body)
    reader.receive(b"")
    wanted = reader.next_event()
    assert isinstance(wanted, SignerWanted)
    assert wanted.user_message.property("originalSender") == message().property("originalSender")
    return reader


def test_the_message_is_read_on_once_its_certificate_is_found() -> None:
    reader = _asking(naming(sender().certificate))
    header = reader.signed_by([stranger().certificate, sender().certificate])
    assert header.certificate == sender().certificate
    reader.decrypt_with(decryption(receiver()))
    while not isinstance(event := reader.next_event(), Complete):
        assert isinstance(event, Payload)


@pytest.mark.parametrize("candidates", [[], [stranger().certificate]], ids=["none", "another's"])
def test_without_the_right_one_the_message_is_refused(candidates: list[x509.Certificate]) -> None:
    reader = _asking(naming(sender().certificate))
    with pytest.raises(As4Fault) as caught:
        reader.signed_by(candidates)
    assert caught.value.error is EbmsErrorCode.FAILED_AUTHENTICATION
    assert caught.value.ref_to_message_id == message().message_id
    with pytest.raises(As4Fault):
        reader.next_event()


def test_a_certificate_that_is_named_but_did_not_sign_is_not_believed() -> None:
    reader = _asking(naming(stranger().certificate))
    with pytest.raises(As4Fault) as caught:
        reader.signed_by([stranger().certificate, sender().certificate])
    assert caught.value.error is EbmsErrorCode.FAILED_AUTHENTICATION


def test_nothing_is_read_on_before_the_question_is_answered() -> None:
    reader = _asking(naming(sender().certificate))
    with pytest.raises(RuntimeError):
        reader.next_event()
    with pytest.raises(RuntimeError):
        reader.decrypt_with(decryption(receiver()))


def test_a_message_that_carries_its_certificate_asks_for_none() -> None:
    content_type, body = Crafted().build()
    reader = As4Reader(content_type)
    reader.receive(body)
    assert isinstance(reader.next_event(), SignedHeader)
    with pytest.raises(RuntimeError):
        reader.signed_by([sender().certificate])
