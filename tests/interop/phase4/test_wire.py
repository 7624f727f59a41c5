"""The bytes that phase4 sends, inspected without the access point, and its responses to ours."""

from __future__ import annotations

import asyncio
import os
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.net.server import listening_socket, serving
from samdrift.wire.as4 import (
    EbmsErrorCode,
    ErrorSignal,
    PackedMessage,
    ReceiptReason,
    ReceiptSignal,
    UserMessage,
    new_message_id,
    pack,
    read_message,
    read_response,
    user_message,
    verify_receipt,
)
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED
from samdrift.wire.profile import AS4_1_0
from samdrift.wire.xml import Element, Namespace
from tests.interop.phase4.driver import Identity, pem
from tests.interop.phase4.neighbours import Packed
from tests.interop.phase4.scene import THEIRS, Scene
from tests.pki import key

_NAMES = {"s": Namespace.SOAP12, "eb": Namespace.EBMS3, "ds": Namespace.DSIG, "xenc": Namespace.XENC}
_PAYLOAD = b"<x:XHE xmlns:x='urn:x'>" + os.urandom(3000).hex().encode() + b"</x:XHE>"
_US = "AP0009-SDK-DEMO"


@dataclass
class _Listener:
    """An address that keeps posted messages and returns an empty response."""

    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    async def take(self, request: Request) -> Response:
        self.headers, self.body = dict(request.headers), await request.body()
        return Response(b"")


@pytest.fixture(scope="module")
def us(interop: Scene) -> Identity:
    """Return an access point of the federation whose key is known to these tests."""
    own = key(5, 3072)
    return Identity(own, interop.federation.authority.issue_access_point(_US, own.public_key()))


async def _overheard(interop: Scene, us: Identity) -> _Listener:
    listener = _Listener()
    socket = listening_socket("127.0.0.1")
    app = Starlette(routes=[Route("/as4", listener.take, methods=["POST"])])
    async with serving(app, socket):
        outcome = await interop.phase4_sends(
            Packed("c-1", _PAYLOAD),
            address=f"http://127.0.0.1:{socket.getsockname()[1]}/as4",
            to_certificate=pem(us.certificate),
        )
    assert outcome["result"] == "no-signal-msg-received"
    return listener


def _soap(heard: _Listener) -> Element:
    start = heard.body.index(b"<S12:Envelope")
    return etree.fromstring(heard.body[start : heard.body.index(b"</S12:Envelope>") + len("</S12:Envelope>")])


async def test_it_signs_messaging_body_and_attachment_and_encrypts_the_attachment(
    interop: Scene, us: Identity
) -> None:
    heard = await _overheard(interop, us)
    soap = _soap(heard)
    by_id = {f"#{each.get(f'{{{Namespace.WSU}}}Id')}": each for each in soap.iter()}
    references = [each.get("URI", "") for each in soap.iterfind(".//ds:SignedInfo/ds:Reference", _NAMES)]
    assert [by_id.get(uri, uri) for uri in references] == [
        soap.find("s:Header/eb:Messaging", _NAMES),
        soap.find("s:Body", _NAMES),
        "cid:message",
    ]
    (encrypted,) = soap.iterfind(".//xenc:CipherReference", _NAMES)
    assert encrypted.get("URI") == "cid:message"
    received = read_message(
        heard.headers["content-type"], heard.body, SoftwareDecryptionKey(us.key, us.certificate)
    )
    assert received.payload == _PAYLOAD
    assert received.header.certificate == interop.phase4_identity.certificate
    assert [each.uri for each in received.references] == references


async def test_its_habits(interop: Scene, us: Identity) -> None:
    """phase4's messages have the properties that docs/compatibility.md describes."""
    heard = await _overheard(interop, us)
    assert heard.headers["transfer-encoding"] == "chunked"
    assert "start=" not in heard.headers["content-type"]
    assert heard.body.startswith(b"\r\n------=_Part_")
    assert b"Content-ID" not in heard.body[: heard.body.index(b"<S12:Envelope")]
    assert b'standalone="no"?><S12:Envelope' in heard.body
    assert b"Content-Description: Attachment\r\n" in heard.body
    soap = _soap(heard)
    assert soap.find(f".//{{{Namespace.WSU}}}Timestamp") is None
    transforms = soap.findall(".//ds:Reference/ds:Transforms/ds:Transform", _NAMES)
    assert [len(each) for each in transforms] == [1, 0, 0]


def _message(recipient: str) -> UserMessage:
    return user_message(
        AS4_1_0,
        message_id=new_message_id(os.urandom, "ap.example"),
        timestamp=datetime.now(UTC),
        from_party=_US,
        to_party=THEIRS,
        action=SDK_MESSAGE_EXTENDED.action,
        service=NO_PROCESS.value,
        service_type=NO_PROCESS.scheme,
        conversation_id="c-1",
        original_sender="0203:habo.se",
        final_recipient=recipient,
    )


def _packed(message: UserMessage, us: Identity, recipient: x509.Certificate) -> PackedMessage:
    signer = SoftwareSigningKey(us.key, us.certificate)
    return pack(message, _PAYLOAD, signer=signer, recipient=recipient, rng=os.urandom)


async def _answered(interop: Scene, content_type: str, body: bytes) -> tuple[str, bytes]:
    tls = ssl.create_default_context(cadata=interop.tls_issuer)
    request = urllib.request.Request(interop.phase4.address, body, {"Content-Type": content_type})

    def post() -> tuple[str, bytes]:
        with urllib.request.urlopen(request, context=tls) as answer:
            return answer.headers["Content-Type"], answer.read()

    return await asyncio.to_thread(post)


async def test_its_receipt_proves_delivery_and_has_a_child_of_its_own(interop: Scene, us: Identity) -> None:
    message = _message(interop.agency.identifier.value)
    peer = interop.phase4_identity.certificate
    packed = _packed(message, us, peer)
    content_type, body = await _answered(interop, packed.content_type, packed.body)
    signal = read_response(content_type, body)
    assert isinstance(signal, ReceiptSignal)
    verdict = verify_receipt(signal, message_id=message.message_id, sent=[packed.references], expected=peer)
    assert verdict.reason is ReceiptReason.VALID
    (receipt,) = etree.fromstring(body).iterfind(".//eb:Receipt", _NAMES)
    assert [etree.QName(child).localname for child in receipt] == ["NonRepudiationInformation", "phase4"]


async def _error(interop: Scene, packed: PackedMessage, body: bytes) -> ErrorSignal:
    signal = read_response(*await _answered(interop, packed.content_type, body))
    assert isinstance(signal, ErrorSignal)
    return signal


async def test_its_error_for_a_broken_signature_speaks_of_decryption(interop: Scene, us: Identity) -> None:
    packed = _packed(_message("0203:habo.se"), us, interop.phase4_identity.certificate)
    signal = await _error(interop, packed, packed.body.replace(b">0203:habo.se<", b">0203:hobo.se<", 1))
    assert signal.errors[0].code is EbmsErrorCode.FAILED_DECRYPTION
    assert "signature" in signal.errors[0].detail


async def test_it_signs_errors_once_it_has_found_a_processing_mode(interop: Scene, us: Identity) -> None:
    peer = interop.phase4_identity.certificate
    known = _packed(_message("0203:nobody.se"), us, peer)
    signal = await _error(interop, known, known.body)
    assert (signal.errors[0].detail, signal.signed_by) == ("NOT_SERVICED", peer)
    unknown = _packed(replace(_message("0203:nobody.se"), action="urn:x"), us, peer)
    signal = await _error(interop, unknown, unknown.body)
    assert (signal.errors[0].code, signal.signed_by) == (EbmsErrorCode.PROCESSING_MODE_MISMATCH, None)


async def test_it_hands_on_what_nobody_signed(interop: Scene) -> None:
    """phase4's core passes an unsigned message on; only the check in our test peer refuses it."""
    outcome = await interop.phase4_sends(
        Packed("c-1", _PAYLOAD),
        address=interop.phase4.address,
        to=THEIRS,
        to_certificate=pem(interop.phase4_identity.certificate),
        sign=False,
    )
    (error,) = outcome["errors"]
    assert (error["code"], error["detail"]) == ("EBMS:0103", "NOT_PROTECTED")
