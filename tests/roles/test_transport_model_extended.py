"""transport-model-extended 3.3: a message between real neighbours that arrives, or is rejected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.outgoing.compose import reply
from samdrift.vault.errors import UnknownRecord
from samdrift.wire.as4 import ReceiptSignal, read_response
from tests.roles.letters import DRAFT, WITH_PDF, broken, enclose, letter
from tests.roles.member import AP, MT, Member
from tests.roles.stage import Stage


@dataclass(frozen=True)
class Exchange:
    """A message from one organisation to another, after the whole exchange has ended."""

    sender: Member
    recipient: Member
    message_id: str
    receipt_id: str

    @classmethod
    async def over(cls, sender: Member, recipient: Member, message_id: str) -> Exchange:
        assert await sender.ends(message_id) is MessageStatus.ACCEPTED
        assert await recipient.ends(message_id, Direction.IN) is MessageStatus.NEW
        queued = await recipient.logged(MT, message_id, MTEvent.MT_RECEIPT_QUEUED)
        await sender.logged(AP, queued.ids["envelope"], APEvent.AP_ENVELOPE_ACKNOWLEDGED)
        await recipient.logged(AP, message_id, APEvent.AP_ENVELOPE_ACKNOWLEDGED)
        return cls(sender, recipient, message_id, queued.ids["envelope"])


@pytest_asyncio.fixture(scope="module")
async def exchange(stage: Stage) -> Exchange:
    message_id = await stage.habo.send(stage.agency.address, WITH_PDF)
    return await Exchange.over(stage.habo, stage.agency, message_id)


@pytest_asyncio.fixture(scope="module")
async def at_home(stage: Stage) -> Exchange:
    """An exchange between two organisations of the same operator."""
    message_id = await stage.habo.send(stage.mullsjo.address, WITH_PDF)
    return await Exchange.over(stage.habo, stage.mullsjo, message_id)


@pytest.fixture(params=["exchange", "at_home"])
def either(request: pytest.FixtureRequest) -> Exchange:
    found: Exchange = request.getfixturevalue(request.param)
    return found


class Test331PositiveReceipt:
    """3.3.1: every step has its log entry, in the right log and order."""

    async def test_steps_1_to_7_and_30_at_the_sender(self, either: Exchange) -> None:
        """Clauses: accesspoint-test-cases 4.2.1 TF-01; architecture-sad 5.3.5 step 1, 5.3.6.2 step 3;
        certpub-rest-binding 3.2 step 6; envelope-profile-xhe 2 sentence 1; transport-model-extended 0
        sentence 1, 3.3.1 step 2, step 7, step 30, 3.3.2 step 2.
        """
        assert await either.sender.happened(MT, either.message_id) == [
            MTEvent.MT_MESSAGE_SCHEDULED,
            MTEvent.MT_MESSAGE_SUBMITTED,
            MTEvent.MT_MESSAGE_ACKNOWLEDGED,
            MTEvent.MT_RECEIPT_RECEIVED,
            MTEvent.MT_MESSAGE_ACCEPTED,
        ]

    async def test_steps_8_to_14_at_the_senders_access_point(self, either: Exchange) -> None:
        """Clauses: architecture-sad 5.3.6.2 step 5; component-accesspoint 3.1.2 a; transport-model-extended
        3.3.1 step 8, step 13.
        """
        happened = await either.sender.happened(AP, either.message_id)
        assert happened == [APEvent.AP_TRANSFER_QUEUED, APEvent.AP_TRANSFER_DELIVERED]

    async def test_steps_12_to_15_at_the_receivers_access_point(self, either: Exchange) -> None:
        """Clauses: transport-model-extended 3.3.1 step 15."""
        happened = await either.recipient.happened(AP, either.message_id)
        assert happened == [APEvent.AP_ENVELOPE_RECEIVED, APEvent.AP_ENVELOPE_ACKNOWLEDGED]

    async def test_steps_16_to_22_at_the_receiver(self, either: Exchange) -> None:
        """Clauses: certpub-rest-binding 3.2 step 1b; content-specification 2.1 step 3;
        transport-model-extended 3.3.1 steps 20-22.
        """
        assert await either.recipient.happened(MT, either.message_id) == [
            MTEvent.MT_MESSAGE_RETRIEVED,
            MTEvent.MT_RECEIPT_QUEUED,
            MTEvent.MT_RECEIPT_SUBMITTED,
            MTEvent.MT_RECEIPT_ACKNOWLEDGED,
            MTEvent.MT_MESSAGE_NEW,
        ]

    async def test_steps_23_to_27_the_receipt_through_both_access_points(self, either: Exchange) -> None:
        """Clauses: certpub-rest-binding 3.2 step 9; content-specification 2.1 step 4; transport-model-base
        3.2 d; transport-model-extended 3.3.1 step 23, step 25, step 27.
        """
        assert await either.recipient.happened(AP, either.receipt_id) == [
            APEvent.AP_TRANSFER_QUEUED,
            APEvent.AP_TRANSFER_DELIVERED,
        ]
        assert await either.sender.happened(AP, either.receipt_id) == [
            APEvent.AP_ENVELOPE_RECEIVED,
            APEvent.AP_ENVELOPE_ACKNOWLEDGED,
        ]
        answered = await either.sender.happened(MT, either.receipt_id)
        assert MTEvent.MT_RECEIPT_QUEUED not in answered, "a receipt is not answered with a receipt"

    async def test_steps_17_and_29_the_published_certificates_signed(self, either: Exchange) -> None:
        """Clauses: transport-model-extended 2.11 c, 3.3.1 step 6, step 17, step 28, step 29, 3.3.2 step 6."""
        sender, recipient = either.sender, either.recipient
        message = await recipient.logged(MT, either.message_id, MTEvent.MT_MESSAGE_RETRIEVED)
        receipt = await sender.logged(MT, either.message_id, MTEvent.MT_RECEIPT_RECEIVED)
        for entry, signer in ((message, sender), (receipt, recipient)):
            certificate = (await signer.signing()).certificate
            assert entry.ids["certificate"] == certificate.fingerprint(hashes.SHA256()).hex()

    async def test_the_content_arrives_as_it_was_sent(self, either: Exchange) -> None:
        """The agency lists only ZIP, and still accepts PDF.

        Clauses: transport-model-extended 3.3.1 step 18; content-specification 4.3.3.3 sentence 3.
        """
        message = await either.recipient.reads(either.message_id)
        (document,) = message.documents
        assert (message.label, document.texts) == (WITH_PDF.label, (WITH_PDF.text,))
        (sent,) = WITH_PDF.attachments
        assert [(one.name, one.content_type, one.data()) for one in document.files] == [
            (sent.name, sent.content_type, sent.data)
        ]

    async def test_statuses_and_their_order_are_those_of_the_code_list(self, either: Exchange) -> None:
        """api-mt-mk, KV Meddelandestatus."""
        out = [event.status for event in await either.sender.events(either.message_id)]
        assert out == [
            MessageStatus.SUBMITTED,
            MessageStatus.ACKNOWLEDGE,
            MessageStatus.WAITING_FOR_RECEIPT,
            MessageStatus.ACCEPTED,
        ]
        incoming = await either.recipient.events(either.message_id, Direction.IN)
        assert [event.status for event in incoming] == [MessageStatus.RECEIPT_SENT, MessageStatus.NEW]

    async def test_invariant_7_no_envelope_stays_at_an_access_point(self, either: Exchange) -> None:
        for member in (either.sender, either.recipient):
            waiting = {item.envelope_id for item in await member.waiting()}
            assert not waiting & {either.message_id, either.receipt_id}
        async with either.sender.open(AP) as vault:
            told = [one for one in await vault.events(0, 1000) if one.envelope_id == either.message_id]
            with pytest.raises(UnknownRecord):
                await vault.outgoing_body(told[0].transfer_id)

    async def test_what_the_event_log_must_hold(self, either: Exchange) -> None:
        """component-accesspoint 3.4.1."""
        sender, recipient = either.sender, either.recipient
        out = (await sender.logged(AP, either.message_id, APEvent.AP_TRANSFER_DELIVERED)).ids
        come = (await recipient.logged(AP, either.message_id, APEvent.AP_ENVELOPE_RECEIVED)).ids
        sha256 = hashes.SHA256()
        assert out["peer"] == recipient.access_point.party
        assert out["certificate"] == recipient.certificate.fingerprint(sha256).hex()
        assert come["peer"] == sender.access_point.party
        assert come["certificate"] == sender.certificate.fingerprint(sha256).hex()
        for name in ("as4", "conversation", "sender", "recipient", "envelope"):
            assert out[name] == come[name]
        assert (out["sender"], out["recipient"]) == (sender.organisation.value, recipient.organisation.value)

    async def test_the_signed_transport_receipt_is_kept_as_evidence(self, either: Exchange) -> None:
        """transport-model-extended 2.5, Oavvislighet av kvittens.

        Clauses: content-specification 2.1 step 1.
        """
        as4 = (await either.sender.logged(AP, either.message_id, APEvent.AP_TRANSFER_DELIVERED)).ids["as4"]
        async with either.recipient.open(AP) as vault:
            given = await vault.known_receipt(as4, either.sender.access_point.party)
        assert given is not None
        signal = read_response("application/soap+xml", given)
        assert isinstance(signal, ReceiptSignal)
        assert signal.info.ref_to_message_id == as4


async def test_same_operator_the_message_went_through_as4(stage: Stage, at_home: Exchange) -> None:
    entry = await stage.mullsjo.logged(AP, at_home.message_id, APEvent.AP_ENVELOPE_RECEIVED)
    assert entry.ids["peer"] == stage.habo.access_point.party == stage.mullsjo.access_point.party


async def test_a_reply_stays_in_the_conversation(stage: Stage, exchange: Exchange) -> None:
    """content-specification 4.3.2: its AS4 ConversationId is also the conversation's.

    Clauses: content-specification 4.3.2 sentence 4.
    """
    habo, agency = stage.habo, stage.agency
    original = await agency.reads(exchange.message_id)
    answer = reply(DRAFT, agency.address, original, message_id=str(uuid4()), at=datetime.now(UTC))
    await agency.operator.messages.send(agency.principal, agency.organisation, answer)
    done = await Exchange.over(agency, habo, answer.message_id)
    received = await habo.reads(answer.message_id)
    assert received.conversation_id == original.conversation_id
    assert received.ref_to_message_id == original.message_id
    for member, envelope in ((habo, done.message_id), (agency, done.receipt_id)):
        arrived = await member.logged(AP, envelope, APEvent.AP_ENVELOPE_RECEIVED)
        assert arrived.ids["conversation"] == original.conversation_id


class Test332SignatureBroken:
    """3.3.2: the envelope was changed after it was signed."""

    async def test_steps_17_to_31_the_sender_is_told_that_the_signature_does_not_hold(
        self, stage: Stage
    ) -> None:
        """Clauses: transport-model-extended 3.3.2 step 8, step 9, step 14, step 16, step 18, step 19, steps
        21-23, step 25, steps 27-31.
        """
        habo, agency = stage.habo, stage.agency
        message = letter(habo.address, agency.address)
        await habo.plant(message)
        await habo.submit(broken(enclose(message, await habo.signing(), agency.encryption)))
        assert [code for code, _ in await habo.rejections(message.message_id)] == ["SIG security"]
        refused = await agency.logged(MT, message.message_id, MTEvent.MT_MESSAGE_REFUSED)
        assert refused.ids["reason"] == "SIG security"
        assert not await agency.holds_content(message.message_id)

    async def test_step_20_the_payload_is_not_decrypted(self, stage: Stage) -> None:
        """It is encrypted for another recipient: an attempt to decrypt it would prevent any receipt.

        Clauses: content-specification 2.1 step 1b; envelope-profile-xhe 3.2 sentence 3;
        transport-model-extended 3.3.2 step 20.
        """
        habo, agency = stage.habo, stage.agency
        message = letter(habo.address, agency.address)
        await habo.plant(message)
        await habo.submit(broken(enclose(message, await habo.signing(), habo.encryption)))
        assert [code for code, _ in await habo.rejections(message.message_id)] == ["SIG security"]
