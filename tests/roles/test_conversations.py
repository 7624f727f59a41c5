"""Completions, several recipients, receipts that match no message (architecture-sad 5.3.7, api-mt-mk)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.outgoing.compose import complete, compose_each
from samdrift.wire.sdkmessage import SdkMessage
from tests.roles.letters import DRAFT, enclose_receipt, letter
from tests.roles.member import MT, Member
from tests.roles.stage import Stage


async def sends(member: Member, message: SdkMessage) -> str:
    service = member.operator.messages
    return (await service.send(member.principal, member.organisation, message)).id


async def test_5_3_7_7_a_message_is_completed_twice(stage: Stage) -> None:
    habo, agency = stage.habo, stage.agency
    original = letter(habo.address, agency.address)
    assert await habo.ends(await sends(habo, original)) is MessageStatus.ACCEPTED
    for _ in range(2):
        more = complete(DRAFT, habo.address, original, message_id=str(uuid4()), at=datetime.now(UTC))
        assert await habo.ends(await sends(habo, more)) is MessageStatus.ACCEPTED
        assert await agency.ends(more.message_id, Direction.IN) is MessageStatus.NEW
        received = await agency.reads(more.message_id)
        assert received.ref_to_message_id == original.message_id
        assert received.conversation_id == original.conversation_id


async def test_5_3_7_7_a_message_that_was_rejected_is_not_completed(stage: Stage) -> None:
    habo, agency = stage.habo, stage.agency
    original = letter(habo.address, replace(agency.address, functional_address="sdk.fel"))
    assert await habo.ends(await sends(habo, original)) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    corrected = replace(original, recipient=letter(habo.address, agency.address).recipient)
    more = complete(DRAFT, habo.address, corrected, message_id=str(uuid4()), at=datetime.now(UTC))
    assert [code for code, _ in await habo.rejections(await sends(habo, more))] == ["BV not-supported"]


async def test_5_3_7_8_several_recipients_get_separate_messages_with_fates_of_their_own(stage: Stage) -> None:
    habo, agency, mullsjo = stage.habo, stage.agency, stage.mullsjo
    nobody = replace(agency.address, functional_address="sdk.ingen")
    recipients = [agency.address, mullsjo.address, nobody]
    at = datetime.now(UTC)
    to_each = compose_each(DRAFT, habo.address, recipients, new_id=lambda: str(uuid4()), at=at)
    first, second, third = [await sends(habo, one) for one in to_each]
    assert await habo.ends(first) is MessageStatus.ACCEPTED
    assert await habo.ends(second) is MessageStatus.ACCEPTED
    assert [code for code, _ in await habo.rejections(third)] == ["BV not-found"]
    assert (await agency.reads(first)).documents == (await mullsjo.reads(second)).documents
    assert await agency.record(second, Direction.IN) is None
    assert await mullsjo.record(first, Direction.IN) is None


async def test_a_receipt_for_a_message_that_nobody_sent(stage: Stage) -> None:
    """It is logged but not answered, because there is no receipt for a receipt."""
    habo, peer = stage.habo, stage.peer()
    unknown = str(uuid4())
    receipt = enclose_receipt(peer.address.organisation, habo.organisation, unknown, peer.signing)
    await peer.posts(receipt, habo)
    await habo.logged(MT, receipt.id, MTEvent.MT_RECEIPT_UNMATCHED)
    assert await habo.record(unknown, Direction.OUT) is None
    assert await habo.happened(MT, receipt.id) == [MTEvent.MT_RECEIPT_UNMATCHED]
    assert not peer.received


async def test_a_receipt_of_another_than_the_recipient_accepts_nothing(stage: Stage) -> None:
    habo, peer, stranger = stage.habo, stage.peer(), stage.peer()
    message_id = await habo.send(peer.address)
    await habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)
    forged = enclose_receipt(stranger.address.organisation, habo.organisation, message_id, stranger.signing)
    await stranger.posts(forged, habo)
    await habo.logged(MT, forged.id, MTEvent.MT_RECEIPT_UNMATCHED)
    record = await habo.record(message_id, Direction.OUT)
    assert record is not None
    assert record.status is MessageStatus.WAITING_FOR_RECEIPT
