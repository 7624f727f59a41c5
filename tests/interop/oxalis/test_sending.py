"""Messages that the sending half of Oxalis makes, and the receipts and errors that it takes from us.

Oxalis is built around CXF 4.0 and WSS4J 3.0, with a policy of its own. What Peppol wraps a message in
belongs to the program around this half: our payload goes as it is.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED
from tests.interop.java.program import JavaProgram
from tests.interop.listener import Listener, certified
from tests.pki import Certified, key, root

_PAYLOAD = b"<x:XHE xmlns:x='urn:x'>" + base64.b64encode(os.urandom(7500)) + b"</x:XHE>"
_OUR_NAME, _THEIR_NAME = "AP0001-SDK-TEST", "AP0002-SDK-TEST"
_MESSAGE_ID = "message-1@oxalis.test"


@pytest.fixture(scope="module")
def ours() -> Certified:
    return certified(_OUR_NAME, 1)


@pytest.fixture(scope="module")
def theirs() -> Certified:
    return certified(_THEIR_NAME, 2)


@pytest.fixture(scope="module")
def oxalis(theirs: Certified, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaProgram]:
    program = JavaProgram("oxalis.Peer", "Oxalis", tmp_path_factory.mktemp("oxalis"), Path(__file__).parent)
    try:
        program.call(
            "start",
            key=theirs.private_key,
            certificate=theirs.certificate,
            issuer=root("Test root", 0).certificate,
        )
        yield program
    finally:
        program.close()


async def _sent(oxalis: JavaProgram, listener: Listener) -> dict[str, Any]:
    async with listener.listening() as address:
        return await asyncio.to_thread(
            oxalis.call,
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
    oxalis: JavaProgram, ours: Certified, theirs: Certified
) -> None:
    listener = Listener(ours)
    outcome = await _sent(oxalis, listener)
    received = listener.received()
    assert received.payload == _PAYLOAD
    assert received.header.certificate == theirs.certificate
    assert received.header.security_timestamp is None
    header = received.header.user_message
    assert (header.message_id, header.from_party, header.to_party) == (_MESSAGE_ID, _THEIR_NAME, _OUR_NAME)
    assert (header.action, header.service) == (SDK_MESSAGE_EXTENDED.action, NO_PROCESS.value)
    assert header.property("finalRecipient") == "0203:sender.example"
    assert outcome.get("acknowledged") == _MESSAGE_ID, outcome


async def test_it_refuses_a_receipt_of_another_authority(oxalis: JavaProgram, ours: Certified) -> None:
    stranger = root("Other root", 3).issue(_OUR_NAME, private_key=key(1))
    outcome = await _sent(oxalis, Listener(ours, signer=stranger))
    assert "refused" in outcome


async def test_it_reads_our_error(oxalis: JavaProgram, ours: Certified) -> None:
    outcome = await _sent(oxalis, Listener(ours, "error"))
    assert "NOT_SERVICED" in outcome["refused"]
