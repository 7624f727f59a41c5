"""Our access point sends to phase4, which SMP names, and the organisations served by phase4 answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.outgoing.compose import Draft, compose
from samdrift.wire import receipt, sdkmessage
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.identifiers import RECEIPT_EXTENDED, SDK_MESSAGE_EXTENDED
from tests.interop.phase4.letters import LARGEST, SHORT, long
from tests.interop.phase4.neighbours import Neighbour
from tests.interop.phase4.relay import relaying
from tests.interop.phase4.scene import ATTEMPTS, THEIRS, Scene, access_point

_DUPLICATE = (
    "EBMS:0004 Not invoking SPIs",
    "probably delivered, but without a receipt: EBMS:4001 Not invoking SPIs",
)
"""Beginnings of phase4's error for a duplicate as the operator reads it, up to version 4.4 and from 4.5."""


async def _sent(interop: Scene, recipient: Neighbour, draft: Draft = SHORT) -> sdkmessage.SdkMessage:
    """Send a message from Habo's message service, and return it."""
    habo = interop.habo
    message = compose(
        draft, habo.address, recipient.demo.address, message_id=str(uuid4()), at=datetime.now(UTC)
    )
    await habo.operator.messages.send(habo.principal, habo.organisation, message)
    return message


async def test_phase4_verifies_decrypts_and_its_organisation_reads(interop: Scene) -> None:
    message = await _sent(interop, interop.agency)
    arrived = await interop.arrived(message.message_id)
    assert arrived["signature_checked"] is True
    assert arrived["signer"] == arrived["from"] == "AP0001-SDK-DEMO"
    assert arrived["signed"] == ["Messaging", "Body", "cid:message"]
    assert arrived["decrypted"] is True
    assert arrived["to"] == THEIRS
    assert (arrived["service_type"], arrived["service"]) == (
        "urn:fdc:digg.se:edelivery:process",
        "bdx:noprocess",
    )
    assert arrived["action"] == SDK_MESSAGE_EXTENDED.action
    assert arrived["properties"] == {
        "originalSender": "0203:habo.se",
        "finalRecipient": interop.agency.identifier.value,
    }
    assert (arrived["content_id"], arrived["mime_type"]) == ("message", "text/xml")
    read = sdkmessage.parse(interop.agency.open(Path(arrived["payload"])))
    assert read == message


async def test_the_receipt_that_phase4_brings_back_makes_the_message_accepted(interop: Scene) -> None:
    message = await _sent(interop, interop.agency)
    await interop.arrived(message.message_id)
    accepted = await interop.agency.accepted(message.message_id, interop.habo.address)
    outcome = await interop.phase4_sends(accepted, document=RECEIPT_EXTENDED)
    assert (outcome["result"], outcome["matches"]) == ("success", True)
    status, _ = await interop.status(message.message_id, Direction.OUT)
    assert status is MessageStatus.ACCEPTED


async def test_phase4_gets_the_receipt_for_what_it_brought(interop: Scene) -> None:
    envelope = await interop.agency.message(SHORT, interop.habo.address)
    outcome = await interop.phase4_sends(envelope)
    assert outcome["result"] == "success"
    arrived = await interop.arrived(envelope.id, RECEIPT_EXTENDED)
    assert (arrived["signature_checked"], arrived["decrypted"]) == (True, True)
    answer = receipt.parse(interop.agency.open(Path(arrived["payload"])))
    assert (answer.message_id, answer.status) == (envelope.id, ReceiptStatus.ACCEPTED)


async def test_a_message_of_30_mb(interop: Scene) -> None:
    message = await _sent(interop, interop.agency, long())
    arrived = await interop.arrived(message.message_id)
    file = Path(arrived["payload"])
    assert file.stat().st_size > LARGEST
    assert sdkmessage.parse(interop.agency.open(file)) == message


async def test_that_phase4_does_not_serve_the_recipient_is_final(interop: Scene) -> None:
    message = await _sent(interop, interop.stranger)
    status, details = await interop.status(message.message_id, Direction.OUT)
    assert status is MessageStatus.MESSAGE_EXCHANGE_ERROR
    assert details[0] == "EBMS:0004 NOT_SERVICED"
    assert await _attempts(interop, message.message_id) == 1


async def test_the_operator_reads_in_phase4s_own_words_why_it_refuses(interop: Scene) -> None:
    """SMP names another access point at phase4's address, so phase4 has no processing mode for it."""
    other = access_point(interop.federation, "AP0003-SDK-DEMO")
    interop.misled.live_at(interop.phase4.address, other)
    message = await _sent(interop, interop.misled)
    status, details = await interop.status(message.message_id, Direction.OUT)
    assert status is MessageStatus.MESSAGE_EXCHANGE_ERROR
    assert details[0].startswith("EBMS:0010 Failed to resolve PMode for UserMessage")
    assert "AP0003-SDK-DEMO" in details[0]
    assert await _attempts(interop, message.message_id) == ATTEMPTS


async def test_when_phase4s_answer_is_lost_its_word_for_a_duplicate_is_no_proof(interop: Scene) -> None:
    """phase4 delivered the message, but responds to the next attempt with an error instead of the receipt."""
    async with relaying(interop.federation, interop.phase4.port, interop.folder) as relay:
        interop.unlucky.live_at(relay.address, interop.phase4_identity)
        message = await _sent(interop, interop.unlucky)
        status, details = await interop.status(message.message_id, Direction.OUT)
        assert (relay.lost, relay.requests) == (1, 2)
    await interop.arrived(message.message_id)
    assert status is MessageStatus.MESSAGE_EXCHANGE_ERROR
    assert details[0].startswith(_DUPLICATE)
    assert details[0].endswith("(this is a duplicate)")


async def _attempts(interop: Scene, message_id: str) -> int:
    """Return the number of attempts by our access point."""
    outcomes = ("ap:transfer:postponed", "ap:transfer:failed", "ap:transfer:delivered")
    return sum(one.event in outcomes for one in await interop.logged(message_id))
