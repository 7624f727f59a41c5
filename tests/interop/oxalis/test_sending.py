"""Messages from the sending half of Oxalis, and the receipts and errors that it accepts from us.

Oxalis is built on CXF 4.0 and WSS4J 3.0, with a policy of its own. Peppol's wrapping of a message is done by
the program around this half, so our payload is sent unchanged.
"""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED
from tests.interop.listener import Listener, certified
from tests.interop.outgoing import OUR_NAME, THEIR_NAME, Endpoint
from tests.pki import Certified, root

_PAYLOAD = b"<x:XHE xmlns:x='urn:x'>" + base64.b64encode(os.urandom(7500)) + b"</x:XHE>"
_MESSAGE_ID = "message-1@oxalis.test"


async def _sent(oxalis: Endpoint, listener: Listener) -> dict[str, Any]:
    async with listener.listening() as address:
        return await asyncio.to_thread(
            oxalis.program.call,
            "send",
            address=address,
            to_certificate=listener.ours.certificate,
            message_id=_MESSAGE_ID,
            conversation="conversation-åäö",
            sender="0203:receiver.example",
            recipient="0203:sender.example",
            service=NO_PROCESS.value,
            service_type=NO_PROCESS.scheme,
            document=SDK_MESSAGE_EXTENDED.value,
            document_scheme=SDK_MESSAGE_EXTENDED.scheme,
            payload=_PAYLOAD,
        )


async def test_we_take_its_message_and_it_takes_our_receipt(
    oxalis: Endpoint, ours: Certified, theirs: Certified
) -> None:
    listener = Listener(ours)
    outcome = await _sent(oxalis, listener)
    received = listener.received()
    assert received.payload == _PAYLOAD
    assert received.header.certificate == theirs.certificate
    assert received.header.security_timestamp is None
    header = received.header.user_message
    assert (header.message_id, header.from_party, header.to_party) == (_MESSAGE_ID, THEIR_NAME, OUR_NAME)
    assert (header.action, header.service) == (SDK_MESSAGE_EXTENDED.action, NO_PROCESS.value)
    assert header.property("finalRecipient") == "0203:sender.example"
    assert outcome.get("acknowledged") == _MESSAGE_ID, outcome


async def test_it_refuses_a_receipt_of_another_authority(oxalis: Endpoint, ours: Certified) -> None:
    stranger = certified(OUR_NAME, 1, root("Other root", 3))
    outcome = await _sent(oxalis, Listener(ours, signer=stranger))
    assert "refused" in outcome


async def test_it_reads_our_error(oxalis: Endpoint, ours: Certified) -> None:
    outcome = await _sent(oxalis, Listener(ours, "error"))
    assert "NOT_SERVICED" in outcome["refused"]
