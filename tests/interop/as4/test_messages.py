"""Messages, receipts and errors exchanged with the PyPI package ``as4``, in both directions.

It is an independent implementation of the same standards: a misreading shows unless both sides share it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from samdrift.wire.as4 import (
    As4Fault,
    EbmsError,
    EbmsErrorCode,
    ErrorSignal,
    PackedMessage,
    ReceiptReason,
    ReceiptSignal,
    ReceivedMessage,
    UserMessage,
    build_error,
    build_receipt,
    new_message_id,
    pack,
    read_message,
    read_response,
    user_message,
    verify_receipt,
)
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED
from samdrift.wire.profile import AS4_1_0
from tests.interop.as4.driver import As4Package, decoded
from tests.pki import Certified, key, root

_NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_PAYLOAD = b"<x:XHE xmlns:x='urn:x'>" + base64.b64encode(os.urandom(7500)) + b"</x:XHE>"


@pytest.fixture(scope="module")
def ours() -> Certified:
    return root("Test root", 0).issue("AP0001-SDK-TEST", private_key=key(1))


@pytest.fixture(scope="module")
def theirs() -> Certified:
    return root("Test root", 0).issue("AP0002-SDK-TEST", private_key=key(2))


@pytest.fixture(scope="module")
def peer(ours: Certified, theirs: Certified) -> Iterator[As4Package]:
    package = As4Package(theirs, "AP0002-SDK-TEST", ours, "AP0001-SDK-TEST")
    yield package
    package.close()


def _message() -> UserMessage:
    return user_message(
        AS4_1_0,
        message_id=new_message_id(os.urandom, "ap.example"),
        timestamp=_NOW,
        from_party="AP0001-SDK-TEST",
        to_party="AP0002-SDK-TEST",
        action=SDK_MESSAGE_EXTENDED.action,
        service=NO_PROCESS.value,
        service_type=NO_PROCESS.scheme,
        conversation_id="conversation-åäö",
        original_sender="0203:sender.example",
        final_recipient="0203:receiver.example",
    )


def _packed(message: UserMessage, ours: Certified, theirs: Certified) -> PackedMessage:
    return pack(
        message,
        _PAYLOAD,
        signer=ours.signing_key(),
        recipient=theirs.certificate,
        rng=os.urandom,
    )


def test_the_package_reads_our_message(peer: As4Package, ours: Certified, theirs: Certified) -> None:
    message = _message()
    packed = _packed(message, ours, theirs)
    answer = peer.call("receive", content_type=packed.content_type, body=packed.body)
    assert answer["refused"] is None
    assert answer["message_id"] == message.message_id
    assert answer["signer"] == ours.certificate.serial_number
    assert decoded(answer["parts"]["message"]) == _PAYLOAD


def test_we_verify_its_receipt(peer: As4Package, ours: Certified, theirs: Certified) -> None:
    message = _message()
    packed = _packed(message, ours, theirs)
    answer = peer.call("receive", content_type=packed.content_type, body=packed.body)
    signal = read_response("application/soap+xml;charset=utf-8", decoded(answer["answer"]))
    assert isinstance(signal, ReceiptSignal)
    verdict = verify_receipt(
        signal, message_id=message.message_id, sent=[packed.references], expected=theirs.certificate
    )
    assert verdict.reason is ReceiptReason.VALID
    other = verify_receipt(
        signal, message_id=message.message_id, sent=[packed.references], expected=ours.certificate
    )
    assert other.reason is ReceiptReason.WRONG_SIGNER


def test_the_package_refuses_our_message_when_it_was_changed(
    peer: As4Package, ours: Certified, theirs: Certified
) -> None:
    packed = _packed(_message(), ours, theirs)
    changed = packed.body.replace(b"0203:receiver.example", b"0203:receiver.exampel")
    answer = peer.call("receive", content_type=packed.content_type, body=changed)
    assert answer["refused"].startswith("EBMS:0101")


def test_we_read_the_error_that_it_answers_with(peer: As4Package, ours: Certified, theirs: Certified) -> None:
    message = _message()
    packed = _packed(message, ours, theirs)
    changed = packed.body.replace(b"0203:receiver.example", b"0203:receiver.exampel")
    answer = peer.call("receive", content_type=packed.content_type, body=changed)
    signal = read_response(None, decoded(answer["answer"]))
    assert isinstance(signal, ErrorSignal)
    assert signal.errors[0].code is EbmsErrorCode.FAILED_AUTHENTICATION
    assert signal.info.ref_to_message_id == message.message_id
    assert signal.signed_by == theirs.certificate


def _received(peer: As4Package, ours: Certified) -> tuple[str, ReceivedMessage]:
    sent = peer.call("send", payload=b"<Invoice xmlns='urn:x'>content</Invoice>")
    decryption = SoftwareDecryptionKey(ours.private_key, ours.certificate)
    return sent["message_id"], read_message(sent["content_type"], decoded(sent["body"]), decryption)


def test_we_read_its_message(peer: As4Package, ours: Certified, theirs: Certified) -> None:
    message_id, received = _received(peer, ours)
    header = received.header.user_message
    assert header.message_id == message_id
    assert header.from_party == "AP0002-SDK-TEST"
    assert header.property("finalRecipient") == "0203:receiver.example"
    assert received.header.certificate == theirs.certificate
    assert received.header.security_timestamp is None
    assert b'<Invoice xmlns="urn:x">content</Invoice>' in received.payload


def test_the_package_verifies_our_receipt(peer: As4Package, ours: Certified) -> None:
    message_id, received = _received(peer, ours)
    receipt = build_receipt(
        user_message=received.header.user_message,
        references=received.references,
        message_id=new_message_id(os.urandom, "ap.example"),
        now=_NOW,
        signer=ours.signing_key(),
    )
    assert peer.call("take_signal", message_id=message_id, body=receipt.body) == {
        "state": "acknowledged",
        "errors": [],
    }


def test_the_package_does_not_take_our_receipt_for_another_message(peer: As4Package, ours: Certified) -> None:
    first_id, _ = _received(peer, ours)
    _, second = _received(peer, ours)
    receipt = build_receipt(
        user_message=second.header.user_message,
        references=second.references,
        message_id=new_message_id(os.urandom, "ap.example"),
        now=_NOW,
        signer=ours.signing_key(),
    )
    assert "refused" in peer.call("take_signal", message_id=first_id, body=receipt.body)


def test_the_package_reads_our_error(peer: As4Package, ours: Certified) -> None:
    message_id, _ = _received(peer, ours)
    error = EbmsError.of(EbmsErrorCode.OTHER, "NOT_SERVICED", message_id)
    answer = build_error(error, message_id="error-1@ap.example", now=_NOW, signer=ours.signing_key())
    assert peer.call("take_signal", message_id=message_id, body=answer.body) == {
        "state": "rejected",
        "errors": [{"code": "EBMS:0004", "severity": "failure"}],
    }


def test_we_read_its_not_serviced(peer: As4Package, theirs: Certified) -> None:
    answer = peer.call("refuse", message_id="m-1@ap.example", detail="NOT_SERVICED")
    signal = read_response("application/soap+xml", decoded(answer["answer"]))
    assert isinstance(signal, ErrorSignal)
    assert (signal.errors[0].code, signal.errors[0].detail) == (EbmsErrorCode.OTHER, "NOT_SERVICED")
    assert signal.errors[0].ref_to_message_id == "m-1@ap.example"
    assert signal.signed_by == theirs.certificate


@pytest.mark.parametrize("position", range(0, 1000, 37))
def test_we_refuse_its_message_when_its_payload_was_changed(
    peer: As4Package, ours: Certified, position: int
) -> None:
    sent = peer.call("send", payload=b"<Invoice xmlns='urn:x'/>")
    body = bytearray(decoded(sent["body"]))
    start = body.index(b"\r\n\r\n", body.index(b"Content-ID")) + 4
    end = body.rindex(b"\r\n--")
    at = start + position % (end - start)
    body[at] ^= 1
    decryption = SoftwareDecryptionKey(ours.private_key, ours.certificate)
    with pytest.raises(As4Fault) as caught:
        read_message(sent["content_type"], bytes(body), decryption)
    assert caught.value.error is EbmsErrorCode.FAILED_DECRYPTION
