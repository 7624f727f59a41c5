"""transport-model-base: neither signed nor encrypted, and only if both parties are registered for it."""

from __future__ import annotations

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.service import MessageInvalid
from samdrift.wire.identifiers import RECEIPT_BASE, RECEIPT_EXTENDED, SDK_MESSAGE_BASE
from tests.roles.letters import WITH_PDF, enclose, enclose_receipt, letter
from tests.roles.member import AP, MT
from tests.roles.stage import BOTH_MODELS, Stage


async def test_same_operator_a_message_is_accepted_unsigned_and_unencrypted(stage: Stage) -> None:
    """Clauses: component-accesspoint 3.1.2 a; transport-model-base 3.3.1 steps 2-5, step 10, steps 12-17,
    step 19, step 21, step 22.
    """
    habo, mullsjo = stage.habo, stage.mullsjo
    message_id = await habo.send(mullsjo.address, WITH_PDF, SDK_MESSAGE_BASE)
    assert await habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await mullsjo.ends(message_id, Direction.IN) is MessageStatus.NEW
    retrieved = await mullsjo.logged(MT, message_id, MTEvent.MT_MESSAGE_RETRIEVED)
    assert "signer" not in retrieved.ids
    received = await habo.logged(MT, message_id, MTEvent.MT_RECEIPT_RECEIVED)
    assert "signer" not in received.ids


async def test_the_envelope_of_a_message_and_of_its_receipt(stage: Stage) -> None:
    """To another operator, only AS4 protects them.

    Clauses: transport-model-base 2.5 sentence 1, 2.11 a, b, 3.2 c, 3.3.1 step 7, 3.3.2 step 7.
    """
    habo, peer = stage.habo, stage.peer(documents=BOTH_MODELS)
    message_id = await habo.send(peer.address, WITH_PDF, SDK_MESSAGE_BASE)
    (message,) = await peer.gets()
    assert message.header.user_message.action == SDK_MESSAGE_BASE.action
    for absent in (b"Signature", b"EncryptedData"):
        assert absent not in message.payload
    await habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)
    envelope = peer.encloses(habo, document=SDK_MESSAGE_BASE)
    await peer.posts(envelope, habo)
    (receipt,) = await peer.message_receipts(envelope.id)
    assert peer.received[1].header.user_message.action == RECEIPT_BASE.action
    assert b"Signature" not in peer.received[1].payload
    assert not receipt.findings


async def test_an_encrypted_payload_cannot_be_read_and_gets_no_receipt(stage: Stage) -> None:
    """message-receipt 2.1.2: encrypted in another way than expected.

    Clauses: transport-model-base 2.11 b.
    """
    habo, peer = stage.habo, stage.peer(documents=BOTH_MODELS)
    message = letter(peer.address, habo.address)
    envelope = enclose(message, None, habo.encryption, document=SDK_MESSAGE_BASE)
    await peer.posts(envelope, habo)
    await habo.logged(MT, envelope.id, MTEvent.MT_MESSAGE_REFUSED)
    assert await habo.happened(MT, envelope.id) == [MTEvent.MT_MESSAGE_REFUSED]


async def test_3_3_2_a_message_that_breaks_the_rules_is_rejected(stage: Stage) -> None:
    """The receipt has the reason, under the base model too; nothing of the message is kept.

    Clauses: transport-model-base 2.9.3 a, 3.3.2 steps 3-5, step 10, steps 12-17, step 19, steps 21-23.
    """
    habo, mullsjo = stage.habo, stage.mullsjo
    message = letter(habo.address, mullsjo.address)
    await habo.plant(message, SDK_MESSAGE_BASE)
    nothing = b'<messagePayload xmlns="urn:riv:infrastructure:messaging:MessageWithAttachments:3"/>'
    await habo.submit(enclose(message, None, None, payload=nothing, document=SDK_MESSAGE_BASE))
    assert {code for code, _ in await habo.rejections(message.message_id)} == {"SV structure"}
    refused = await mullsjo.logged(MT, message.message_id, MTEvent.MT_MESSAGE_REFUSED)
    assert refused.ids["reason"] == "SV structure"
    assert not await mullsjo.holds_content(message.message_id)


async def test_profile_as4_2_5_a_an_organisation_that_is_not_registered_for_it_is_not_served(
    stage: Stage,
) -> None:
    agency, peer = stage.agency, stage.peer(documents=BOTH_MODELS)
    envelope = peer.encloses(agency, document=SDK_MESSAGE_BASE)
    posted = await peer.posts(envelope, agency)
    assert posted.errors() == [("EBMS:0004", "NOT_SERVICED")]
    assert not await agency.log(AP, envelope.id)


async def test_an_organisation_that_is_not_registered_for_it_cannot_send(stage: Stage) -> None:
    """Its receipt could not come back (transport-model-extended 3.2 c, d)."""
    with pytest.raises(MessageInvalid):
        await stage.agency.send(stage.habo.address, document=SDK_MESSAGE_BASE)


async def test_transport_model_extended_3_2_d_a_receipt_under_the_base_model_answers_no_protected_message(
    stage: Stage,
) -> None:
    """The receipt is not signed, so anyone could have written it.

    Clauses: transport-model-extended 3.2 d.
    """
    habo, peer = stage.habo, stage.peer(documents=BOTH_MODELS)
    message_id = await habo.send(peer.address)
    await habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)
    unsigned = enclose_receipt(peer.address.organisation, habo.organisation, message_id, None, RECEIPT_BASE)
    await peer.posts(unsigned, habo)
    refused = await habo.logged(MT, unsigned.id, MTEvent.MT_RECEIPT_REFUSED)
    assert refused.ids["message"] == message_id
    record = await habo.record(message_id, Direction.OUT)
    assert record is not None
    assert record.status is MessageStatus.WAITING_FOR_RECEIPT
    signed = enclose_receipt(
        peer.address.organisation, habo.organisation, message_id, peer.signing, RECEIPT_EXTENDED
    )
    await peer.posts(signed, habo)
    assert await habo.ends(message_id) is MessageStatus.ACCEPTED
