"""Messages, receipts and refusals exchanged with Apache CXF under a WS-SecurityPolicy without a timestamp.

Domibus is built on CXF and WSS4J, and the policy makes the same demands as those of Domibus. It has no
``IncludeTimestamp``, so that a message with a ``wsu:Timestamp`` violates it.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from samdrift.wire.as4 import (
    As4Fault,
    EbmsErrorCode,
    ReceiptReason,
    ReceiptSignal,
    read_response,
    verify_receipt,
)
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED
from samdrift.wire.xml import Element, Namespace
from tests.captures import DOMIBUS_MESSAGES, requires_captures
from tests.interop.java.program import JavaProgram
from tests.interop.listener import Listener, certified
from tests.interop.outgoing import OUR_NAME, THEIR_NAME, Answer, Endpoint, message, pack_message
from tests.pki import Certified, root

_NAMES = {
    "s": Namespace.SOAP12,
    "eb": Namespace.EBMS3,
    "wsse": Namespace.WSSE,
    "ds": Namespace.DSIG,
    "xenc": Namespace.XENC,
}
_POLICY = Path(__file__).parent / "policy.xml"
_PAYLOAD = b"<x:XHE xmlns:x='urn:x'>" + base64.b64encode(os.urandom(7500)) + b"</x:XHE>"


@pytest.fixture(scope="module")
def ours() -> Certified:
    return certified(OUR_NAME, 1)


@pytest.fixture(scope="module")
def theirs() -> Certified:
    return certified(THEIR_NAME, 2)


@pytest.fixture(scope="module")
def cxf(theirs: Certified, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    program = JavaProgram("cxf.Peer", "Apache CXF", tmp_path_factory.mktemp("cxf"))
    try:
        started = program.call(
            "start",
            policy=_POLICY.read_bytes(),
            key=theirs.private_key,
            certificate=theirs.certificate,
            issuer=root("Test root", 0).certificate,
        )
        yield Endpoint(program, f"http://127.0.0.1:{started['port']}/as4")
    finally:
        program.close()


def _fault(answer: Answer) -> str:
    """Return the text of a SOAP Fault."""
    assert answer.status == 500
    return "".join(etree.fromstring(answer.body).itertext())


def test_it_takes_our_message_and_its_receipt_proves_delivery(
    cxf: Endpoint, ours: Certified, theirs: Certified
) -> None:
    sent = message()
    packed = pack_message(sent, _PAYLOAD, ours, theirs)
    answer = cxf.posted(packed.content_type, packed.body)
    assert answer.status == 200, answer.body
    (received,) = cxf.received()
    assert received["message_id"] == sent.message_id
    assert [base64.b64decode(one) for one in received["payloads"]] == [_PAYLOAD]
    signal = read_response(answer.content_type, answer.body)
    assert isinstance(signal, ReceiptSignal)
    verdict = verify_receipt(
        signal, message_id=sent.message_id, sent=[packed.references], expected=theirs.certificate
    )
    assert verdict.reason is ReceiptReason.VALID


def test_it_refuses_a_message_with_a_timestamp(cxf: Endpoint, ours: Certified, theirs: Certified) -> None:
    """Domibus did the same with every message of ours as long as these contained a timestamp."""
    packed = pack_message(message(), _PAYLOAD, ours, theirs, created=datetime.now(UTC))
    fault = _fault(cxf.posted(packed.content_type, packed.body))
    assert "Received Timestamp does not match the requirements" in fault
    assert cxf.received() == []


def test_it_refuses_our_message_when_its_header_was_changed(
    cxf: Endpoint, ours: Certified, theirs: Certified
) -> None:
    packed = pack_message(message(), _PAYLOAD, ours, theirs)
    changed = packed.body.replace(b"0203:receiver.example", b"0203:receiver.exampel")
    _fault(cxf.posted(packed.content_type, changed))
    assert cxf.received() == []


def test_it_refuses_a_message_of_another_authority(cxf: Endpoint, theirs: Certified) -> None:
    stranger = certified(OUR_NAME, 1, root("Other root", 3))
    packed = pack_message(message(), _PAYLOAD, stranger, theirs)
    _fault(cxf.posted(packed.content_type, packed.body))
    assert cxf.received() == []


@asynccontextmanager
async def _sent(
    cxf: Endpoint, listener: Listener, *, content_only: bool = True
) -> AsyncIterator[tuple[Listener, dict[str, Any]]]:
    """Let CXF send us a message; yield the listener with the message, and CXF's verdict on our response."""
    async with listener.listening() as address:
        outcome = await asyncio.to_thread(
            cxf.program.call,
            "send",
            address=address,
            to=OUR_NAME,
            to_certificate=listener.ours.certificate,
            message_id="message-1@cxf.test",
            service=NO_PROCESS.value,
            service_type=NO_PROCESS.scheme,
            action=SDK_MESSAGE_EXTENDED.action,
            conversation="conversation-åäö",
            originalSender="0203:receiver.example",
            finalRecipient="0203:sender.example",
            payload=_PAYLOAD,
            content_only=content_only,
            **{"from": THEIR_NAME},
        )
        yield listener, outcome


@pytest.mark.parametrize("content_only", [True, False])
async def test_we_take_its_message_and_it_takes_our_receipt(
    cxf: Endpoint, ours: Certified, theirs: Certified, content_only: bool
) -> None:
    """CXF encrypts the MIME header with the content by default; Domibus makes it encrypt the content only."""
    async with _sent(cxf, Listener(ours), content_only=content_only) as (listener, outcome):
        received = listener.received()
    assert received.payload == _PAYLOAD
    assert received.header.certificate == theirs.certificate
    assert received.header.security_timestamp is None
    header = received.header.user_message
    assert (header.message_id, header.from_party, header.to_party) == (
        "message-1@cxf.test",
        THEIR_NAME,
        OUR_NAME,
    )
    assert header.conversation_id == "conversation-åäö"
    assert header.property("finalRecipient") == "0203:sender.example"
    assert outcome == {"proven": True, "signed": 3, "errors": []}


async def test_a_receipt_that_lacks_a_reference_proves_less_than_was_sent(
    cxf: Endpoint, ours: Certified
) -> None:
    async with _sent(cxf, Listener(ours, "short")) as (_, outcome):
        assert outcome == {"proven": False, "signed": 3, "errors": []}


async def test_it_refuses_a_receipt_of_another_authority(cxf: Endpoint, ours: Certified) -> None:
    stranger = certified(OUR_NAME, 1, root("Other root", 3))
    async with _sent(cxf, Listener(ours, signer=stranger)) as (_, outcome):
        assert "refused" in outcome


async def test_it_reads_our_error(cxf: Endpoint, ours: Certified) -> None:
    async with _sent(cxf, Listener(ours, "error")) as (_, outcome):
        assert outcome["errors"] == ["EBMS:0004"]


async def test_we_refuse_its_message_when_its_payload_was_changed(cxf: Endpoint, ours: Certified) -> None:
    async with _sent(cxf, Listener(ours)) as (listener, _):
        body = bytearray(listener.body)
    body[body.rindex(b"\r\n--") - 20] ^= 1
    changed = Listener(ours, content_type=listener.content_type, body=bytes(body))
    with pytest.raises(As4Fault) as caught:
        changed.received()
    assert caught.value.error is EbmsErrorCode.FAILED_DECRYPTION


def _soap(message: bytes) -> Element:
    start = message.rindex(b"<", 0, message.index(b":Envelope"))
    end = message.index(b">", message.index(b":Envelope>")) + 1
    return etree.fromstring(message[start:end])


def _shape(soap: Element) -> list[tuple[str, ...]]:
    """Return the parts that a reader of the security header must understand, in document order."""
    security = soap.find("s:Header/wsse:Security", _NAMES)
    assert security is not None
    told = ("Algorithm", "Type", "ValueType", "EncodingType", f"{{{Namespace.WSSE11}}}TokenType")
    shape = []
    for element in security.iter():
        values = [element.get(name, "") for name in told]
        target = element.get("URI", "")
        shape.append((str(element.tag), *values, target if target.startswith("cid:") else target[:1]))
    return shape


@requires_captures
@pytest.mark.parametrize("captured", DOMIBUS_MESSAGES, ids=lambda path: path.name)
async def test_its_messages_are_protected_as_those_of_a_domibus(
    cxf: Endpoint, ours: Certified, captured: Path
) -> None:
    """Tokens, references, algorithms and transforms are the same, so results for CXF hold for Domibus too."""
    async with _sent(cxf, Listener(ours)) as (listener, _):
        assert _shape(_soap(listener.body)) == _shape(_soap(captured.read_bytes()))
