"""Our messages to the receiving half of Oxalis, and its receipts and errors to us.

Its servlet, interceptors and handlers are unchanged. Parts specific to Peppol are replaced: the parser that
expects an SBDH in the payload, the certificate validator, the recipient's lookup, and the storage.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from samdrift.accesspoint.verdict import judge
from samdrift.contracts.transfer import TransferReason
from samdrift.wire.as4 import (
    ErrorSignal,
    PackedMessage,
    ReceiptReason,
    ReceiptSignal,
    UserMessage,
    read_response,
    verify_receipt,
)
from tests.interop.listener import certified
from tests.interop.outgoing import OUR_NAME, Answer, Endpoint, message, pack_message
from tests.pki import Authority, Certified, root

_PAYLOAD = b"<x:XHE xmlns:x='urn:x'>" + base64.b64encode(os.urandom(7500)) + b"</x:XHE>"
_CIPHER_VALUE = re.compile(rb"<xenc:CipherValue>[^<]+")


def _proves_delivery(answer: Answer, sent: UserMessage, packed: PackedMessage, theirs: Certified) -> bool:
    assert answer.status == 200, answer.body
    signal = read_response(answer.content_type, answer.body)
    assert isinstance(signal, ReceiptSignal)
    verdict = verify_receipt(
        signal, message_id=sent.message_id, sent=[packed.references], expected=theirs.certificate
    )
    return verdict.reason is ReceiptReason.VALID


def _error(answer: Answer) -> ErrorSignal:
    assert answer.status == 500, answer.body
    signal = read_response(answer.content_type, answer.body)
    assert isinstance(signal, ErrorSignal)
    return signal


@pytest.mark.parametrize("timestamp", [False, True])
def test_it_takes_our_message_and_its_receipt_proves_delivery(
    oxalis: Endpoint, ours: Certified, theirs: Certified, timestamp: bool
) -> None:
    sent = message()
    packed = pack_message(sent, _PAYLOAD, ours, theirs, datetime.now(UTC) if timestamp else None)
    assert _proves_delivery(oxalis.posted(packed.content_type, packed.body), sent, packed, theirs)
    (received,) = oxalis.received()
    assert received["message_id"] == sent.message_id
    assert base64.b64decode(received["payload"]) == _PAYLOAD
    assert (received["from"], received["to"]) == (sent.from_party.lower(), sent.to_party.lower())


def test_it_takes_the_same_message_twice(oxalis: Endpoint, ours: Certified, theirs: Certified) -> None:
    sent = message()
    packed = pack_message(sent, _PAYLOAD, ours, theirs)
    for _ in range(2):
        assert _proves_delivery(oxalis.posted(packed.content_type, packed.body), sent, packed, theirs)
    assert [one["message_id"] for one in oxalis.received()] == [sent.message_id] * 2


def test_it_refuses_a_message_of_another_authority(oxalis: Endpoint, theirs: Certified) -> None:
    sent = message()
    stranger = certified(OUR_NAME, 1, root("Other root", 3))
    packed = pack_message(sent, _PAYLOAD, stranger, theirs)
    signal = _error(oxalis.posted(packed.content_type, packed.body))
    (error,) = signal.errors
    assert (error.code, error.ref_to_message_id) == ("EBMS:0009", sent.message_id)
    assert "No trusted certs found" in error.detail
    assert signal.signed_by is None
    assert oxalis.received() == []


def test_it_signs_the_error_for_a_certificate_that_its_validator_rejects(
    oxalis: Endpoint, theirs: Certified, excluded: Authority
) -> None:
    packed = pack_message(message(), _PAYLOAD, certified(OUR_NAME, 1, excluded), theirs)
    signal = _error(oxalis.posted(packed.content_type, packed.body))
    assert [(error.code, error.detail) for error in signal.errors] == [("EBMS:0004", "PEPPOL:NOT_SERVICED")]
    assert signal.signed_by == theirs.certificate
    assert oxalis.received() == []


def _with_another_recipient(packed: PackedMessage, other: PackedMessage) -> bytes:
    return packed.body.replace(b"0203:receiver.example", b"0203:receiver.exampel")


def _with_a_broken_payload(packed: PackedMessage, other: PackedMessage) -> bytes:
    body = bytearray(packed.body)
    body[body.rindex(b"\r\n--") - 20] ^= 1
    return bytes(body)


def _with_the_payload_of(packed: PackedMessage, other: PackedMessage) -> bytes:
    """Replace payload and session key by those of another message, which can also be decrypted."""
    value = _CIPHER_VALUE.search(other.body)
    assert value is not None
    body = _CIPHER_VALUE.sub(value[0], packed.body, count=1)
    return body.replace(_attachment(packed.body), _attachment(other.body))


def _attachment(body: bytes) -> bytes:
    end = body.rindex(b"\r\n--")
    return body[body.index(b"\r\n\r\n", body.index(b":Envelope>")) + 4 : end]


@pytest.mark.parametrize(
    "changed",
    [_with_another_recipient, _with_a_broken_payload, _with_the_payload_of],
    ids=lambda change: change.__name__,
)
def test_its_error_for_a_broken_signature_says_not_serviced_and_ends_no_transfer(
    oxalis: Endpoint,
    ours: Certified,
    theirs: Certified,
    changed: Callable[[PackedMessage, PackedMessage], bytes],
) -> None:
    sent = message()
    packed, other = (pack_message(sent, content, ours, theirs) for content in (_PAYLOAD, b"<other/>"))
    answer = oxalis.posted(packed.content_type, changed(packed, other))
    signal = _error(answer)
    assert [(error.code, error.detail) for error in signal.errors] == [("EBMS:0004", "PEPPOL:NOT_SERVICED")]
    assert signal.signed_by is None
    judged = judge(
        answer.content_type,
        answer.body,
        message_id=sent.message_id,
        sent=[packed.references],
        peer=theirs.certificate,
    )
    assert (judged.reason, judged.final) == (TransferReason.PEER_REFUSED, False)
    assert oxalis.received() == []
