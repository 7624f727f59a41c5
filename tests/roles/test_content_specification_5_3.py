"""content-specification 5.3: the rows that a message service decides by its own records and lookups.

Each is seen from both ends: the codes of the receipt in the sender's status
events, and the records and log of the recipient.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.outgoing.compose import Attachment
from samdrift.wire.codes import Detail, Reason, ReceiptStatus
from samdrift.wire.identifiers import PARTICIPANT_SCHEME
from samdrift.wire.receipt import MessageReceipt
from samdrift.wire.sdkmessage import Ii
from tests.roles.letters import DRAFT, enclose, letter
from tests.roles.member import MT, Member
from tests.roles.stage import Stage
from tests.unit.wire.filetypes.files import PNG

_HEADER = "/messagePayload/message/messageHeader"


async def refused_without_a_trace(recipient: Member, message_id: str, codes: str) -> None:
    """Check that the recipient has logged the reason, and kept nothing but metadata."""
    entry = await recipient.logged(MT, message_id, MTEvent.MT_MESSAGE_REFUSED)
    assert entry.ids["reason"] == codes
    assert not await recipient.holds_content(message_id)


async def unanswered(recipient: Member, envelope_id: str, because: str) -> None:
    """Check that the recipient has logged the reason, kept nothing, and written no receipt."""
    entry = await recipient.logged(MT, envelope_id, MTEvent.MT_MESSAGE_REFUSED)
    assert because in entry.ids["reason"]
    assert await recipient.happened(MT, envelope_id) == [MTEvent.MT_MESSAGE_REFUSED]
    assert await recipient.record(envelope_id, Direction.IN) is None


def codes(receipt: MessageReceipt) -> list[tuple[Reason, str]]:
    assert (receipt.status is ReceiptStatus.REJECTED) == bool(receipt.findings)
    return [(finding.reason, finding.detail) for finding in receipt.findings]


# --- what the sender's own message service lets through ---------------------------------------------------


async def test_row_9_functional_address_unknown(stage: Stage) -> None:
    """Clauses: architecture-sad 5.3.5 step 2; content-specification 4.3.2.3 answer 2, 5.3 row 9."""
    habo, agency = stage.habo, stage.agency
    nowhere = replace(agency.address, functional_address="sdk.nagonannan.0203:arbetsformedlingen.se")
    message_id = await habo.send(nowhere)
    assert await habo.rejections(message_id) == [
        ("BV not-found", f"{_HEADER}/recipient/attention/subOrganization/organizationId")
    ]
    await refused_without_a_trace(agency, message_id, "BV not-found")


async def test_row_8_file_type_not_taken(stage: Stage) -> None:
    """Clauses: content-specification 4.3.3.3 sentence 4, answer 1, 5.3 row 8."""
    habo, agency = stage.habo, stage.agency
    draft = replace(DRAFT, attachments=(Attachment("bild.png", "image/png", PNG),))
    message_id = await habo.send(agency.address, draft)
    ((code, path),) = await habo.rejections(message_id)
    assert code == "BV not-supported"
    assert path.endswith("/ContentFiles[1]/contentType")
    await refused_without_a_trace(agency, message_id, "BV not-supported")


async def test_row_7_what_the_message_refers_to_is_unknown(stage: Stage) -> None:
    """Clauses: content-specification 5.3 row 7."""
    message_id = await stage.habo.send(stage.agency.address, ref_to_message_id=str(uuid4()))
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(message_id, Direction.IN) is MessageStatus.NEW


async def test_row_11_refers_to_a_message_that_its_sender_has_marked_as_failed(stage: Stage) -> None:
    """Clauses: content-specification 5.3 row 11."""
    habo, agency = stage.habo, stage.agency
    failed = await habo.send(replace(agency.address, functional_address="sdk.fel"))
    assert await habo.ends(failed) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    answer = await agency.send(habo.address, ref_to_message_id=failed, conversation_id=failed)
    assert await agency.rejections(answer) == [("BV not-supported", f"{_HEADER}/refToMessageId")]
    await refused_without_a_trace(habo, answer, "BV not-supported")


async def test_row_11_refers_to_a_message_that_its_recipient_has_rejected(stage: Stage) -> None:
    """Clauses: content-specification 5.3 row 11."""
    habo, agency = stage.habo, stage.agency
    rejected = await habo.send(replace(agency.address, functional_address="sdk.fel"))
    assert await habo.ends(rejected) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    again = await habo.send(agency.address, ref_to_message_id=rejected, conversation_id=rejected)
    assert await habo.rejections(again) == [("BV not-supported", f"{_HEADER}/refToMessageId")]
    await refused_without_a_trace(agency, again, "BV not-supported")


async def test_unknown_recipient_gets_no_envelope_and_the_sender_is_told(stage: Stage) -> None:
    """Without a registration in SMP there is no key to encrypt with (component-accesspoint 3.2.4)."""
    habo = stage.habo
    peer = stage.peer(documents=())
    message_id = await habo.send(peer.address)
    assert "not registered" in await habo.failure(message_id)
    assert not peer.received


# --- what only another message service could send ----------------------------------------------------------


async def test_row_6_message_id_used_before(stage: Stage) -> None:
    """Clauses: content-specification 5.3 row 6."""
    agency, peer = stage.agency, stage.peer()
    first = peer.encloses(agency)
    await peer.posts(first, agency)
    (receipt,) = await peer.message_receipts(first.id)
    assert receipt.status is ReceiptStatus.ACCEPTED
    await peer.posts(peer.encloses(agency, message_id=first.id, label="En annan"), agency)
    _, second = await peer.message_receipts(first.id, 2)
    assert codes(second) == [(Reason.RULE, Detail.DUPLICATE)]
    assert (await agency.reads(first.id)).label == DRAFT.label
    refused = await agency.logged(MT, first.id, MTEvent.MT_MESSAGE_REFUSED)
    assert refused.ids["reason"] == "BV duplicate"


async def test_row_6_an_id_that_was_only_refused_unsigned_is_still_free(stage: Stage) -> None:
    """An attacker cannot block a message by using its id before it arrives."""
    agency, peer, stranger = stage.agency, stage.peer(), stage.peer()
    message_id = str(uuid4())
    forged = enclose(
        letter(peer.address, agency.address, message_id=message_id), stranger.signing, agency.encryption
    )
    await stranger.posts(forged, agency)
    (receipt,) = await peer.message_receipts(message_id)
    assert codes(receipt) == [(Reason.SIGNATURE, Detail.SECURITY)]
    await peer.posts(peer.encloses(agency, message_id=message_id), agency)
    _, second = await peer.message_receipts(message_id, 2)
    assert second.status is ReceiptStatus.ACCEPTED
    assert await agency.ends(message_id, Direction.IN) is MessageStatus.NEW


@pytest.mark.parametrize("place", ["sender/senderID", "recipient/recipientID", "messageId"])
async def test_row_13_message_and_envelope_differ(stage: Stage, place: str) -> None:
    """Clauses: content-specification 4.3.2.1 answer 1, 5.3 row 13."""
    habo, agency, mullsjo = stage.habo, stage.agency, stage.mullsjo
    message = letter(habo.address, agency.address)
    await habo.plant(message)
    other = Ii(PARTICIPANT_SCHEME, mullsjo.organisation.value)
    inside = {
        "sender/senderID": replace(message, sender=replace(message.sender, id=other)),
        "recipient/recipientID": replace(message, recipient=replace(message.recipient, id=other)),
        "messageId": replace(message, message_id=str(uuid4())),
    }[place]
    envelope = enclose(
        inside,
        await habo.signing(),
        agency.encryption,
        id=message.message_id,
        sender=habo.organisation,
        recipient=agency.organisation,
    )
    await habo.submit(envelope)
    assert await habo.rejections(message.message_id) == [("BV security", f"{_HEADER}/{place}")]
    await refused_without_a_trace(agency, message.message_id, "BV security")


async def test_3_2_functional_address_and_handling_service_id_differ(stage: Stage) -> None:
    """content-specification 3.2 HandlingServiceID, 4.3.2.3 organizationId.

    Clauses: content-specification 3.2 sentence 9, answer 2.
    """
    habo, agency = stage.habo, stage.agency
    message = letter(habo.address, agency.address)
    await habo.plant(message)
    await habo.submit(
        enclose(message, await habo.signing(), agency.encryption, handling_service_id="sdk.nagonannan")
    )
    assert {code for code, _ in await habo.rejections(message.message_id)} == {"BV not-found", "BV security"}
    await refused_without_a_trace(agency, message.message_id, "BV not-found, BV security")


@pytest.mark.parametrize(
    ("element", "changes"),
    [
        ("DocumentTypeCode", {"document_type_code": "Q{urn:example}messagePayload"}),
        ("ContentTypeCode", {"content_type_code": "text/xml"}),
    ],
)
async def test_3_2_the_envelope_announces_another_payload_than_it_has(
    stage: Stage, element: str, changes: dict[str, str]
) -> None:
    """content-specification 3.2 DocumentTypeCode, ContentTypeCode.

    Clauses: content-specification 3.2 sentence 7, sentence 8, 5.3 row 5.
    """
    habo, agency = stage.habo, stage.agency
    message = letter(habo.address, agency.address)
    await habo.plant(message)
    await habo.submit(enclose(message, await habo.signing(), agency.encryption, **changes))
    assert await habo.rejections(message.message_id) == [("BV invariant", f"/XHE/Payloads/Payload/{element}")]
    await refused_without_a_trace(agency, message.message_id, "BV invariant")


async def test_row_12_signed_with_another_certificate_than_the_published(stage: Stage) -> None:
    """Clauses: content-specification 4.3.2.2 sentence 6, 5 sentence 5, 5.3 row 12."""
    habo, agency = stage.habo, stage.agency
    message = letter(habo.address, agency.address)
    await habo.plant(message)
    await habo.submit(enclose(message, await stage.mullsjo.signing(), agency.encryption))
    assert await habo.rejections(message.message_id) == [("SIG security", "NA")]
    await refused_without_a_trace(agency, message.message_id, "SIG security")


async def test_row_12_not_signed(stage: Stage) -> None:
    """Clauses: content-specification 5.3 row 12."""
    habo, agency = stage.habo, stage.agency
    message = letter(habo.address, agency.address)
    await habo.plant(message)
    await habo.submit(enclose(message, None, agency.encryption))
    assert await habo.rejections(message.message_id) == [("SIG security", "NA")]
    await refused_without_a_trace(agency, message.message_id, "SIG security")


async def test_row_12_published_but_revoked(stage: Stage) -> None:
    """envelope-profile-xhe 3.5 a.

    Clauses: architecture-sad 5.4 step 4.
    """
    agency, peer = stage.agency, stage.peer()
    stage.federation.authority.revoke(peer.signing.certificate)
    envelope = peer.encloses(agency)
    await peer.posts(envelope, agency)
    (receipt,) = await peer.message_receipts(envelope.id)
    assert codes(receipt) == [(Reason.SIGNATURE, Detail.SECURITY)]
    await refused_without_a_trace(agency, envelope.id, "SIG security")


async def test_row_14_not_encrypted_although_the_model_requires_it(stage: Stage) -> None:
    """Clauses: content-specification 5.3 row 14."""
    habo, agency = stage.habo, stage.agency
    message = letter(habo.address, agency.address)
    await habo.plant(message)
    await habo.submit(enclose(message, await habo.signing(), None))
    assert await habo.rejections(message.message_id) == [("SIG security", "NA")]
    await refused_without_a_trace(agency, message.message_id, "SIG security")


async def test_row_2_structure(stage: Stage) -> None:
    """Clauses: architecture-sad 5.2.1 sentence 1; certpub-rest-binding 3.2 step 6b; content-specification 5
    sentence 1, sentence 4, 5.3 row 2; transport-model-extended 3.3.1 step 19.
    """
    habo, agency = stage.habo, stage.agency
    message = letter(habo.address, agency.address)
    await habo.plant(message)
    await habo.submit(
        enclose(
            message,
            await habo.signing(),
            agency.encryption,
            payload=b'<messagePayload xmlns="urn:riv:infrastructure:messaging:MessageWithAttachments:3"/>',
        )
    )
    assert {code for code, _ in await habo.rejections(message.message_id)} == {"SV structure"}
    await refused_without_a_trace(agency, message.message_id, "SV structure")


# --- what gets no receipt -----------------------------------------------------------------------------------


async def test_row_7_a_message_between_others_is_unknown(stage: Stage) -> None:
    """Otherwise the answer would reveal to a stranger whether the message exists."""
    habo, agency, peer = stage.habo, stage.agency, stage.peer()
    rejected = await habo.send(replace(agency.address, functional_address="sdk.fel"))
    assert await habo.ends(rejected) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    asking = peer.encloses(agency, ref_to_message_id=rejected)
    await peer.posts(asking, agency)
    (receipt,) = await peer.message_receipts(asking.id)
    assert receipt.status is ReceiptStatus.ACCEPTED


async def test_row_13_the_sender_is_not_in_smp(stage: Stage) -> None:
    """Clauses: content-specification 4.3.2.2 sentence 3, 5 sentence 5, 5.3 row 13."""
    agency, peer = stage.agency, stage.peer(documents=())
    envelope = peer.encloses(agency)
    posted = await peer.posts(envelope, agency)
    assert posted.is_receipt_of(agency.certificate)
    await unanswered(agency, envelope.id, "not registered in SMP")


@pytest.fixture(params=["truncated", "no XML", "entities", "other encoding"])
def unusable(request: pytest.FixtureRequest) -> bytes:
    return {
        "truncated": b"<messagePayload><message>",
        "no XML": b"\x00\x01\x02" * 20,
        "entities": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "other encoding": '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"),
    }[request.param]


async def test_message_receipt_2_1_2_payload_not_well_formed(stage: Stage, unusable: bytes) -> None:
    """Clauses: message-receipt 2.1.2 sentence 1."""
    agency, peer = stage.agency, stage.peer()
    envelope = peer.seals(letter(peer.address, agency.address), agency, payload=unusable)
    await peer.posts(envelope, agency)
    await unanswered(agency, envelope.id, "payload")


async def test_message_receipt_2_1_2_payload_not_for_the_recipients_key(stage: Stage) -> None:
    """Clauses: message-receipt 2.1.2 sentence 1."""
    habo, agency, peer = stage.habo, stage.agency, stage.peer()
    envelope = enclose(letter(peer.address, agency.address), peer.signing, habo.encryption)
    await peer.posts(envelope, agency)
    await unanswered(agency, envelope.id, "cannot be decrypted")


async def test_a_message_that_got_no_receipt_waits_at_its_sender_for_its_deadline(stage: Stage) -> None:
    """Nothing lingers (invariant 8): the sender's deadline is unit-tested in messageservice/test_progress."""
    habo, agency = stage.habo, stage.agency
    message = letter(habo.address, agency.address)
    await habo.plant(message)
    await habo.submit(enclose(message, await habo.signing(), agency.encryption, payload=b"<a>"))
    await unanswered(agency, message.message_id, "payload")
    await habo.reaches(message.message_id, MessageStatus.WAITING_FOR_RECEIPT)
