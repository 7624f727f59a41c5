"""message-receipt: answers to incoming messages, and what is stored of them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState
from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice.incoming.inbox import answer_to, message_record
from samdrift.messageservice.incoming.judging import NewMessage
from samdrift.messageservice.outgoing.compose import Address
from samdrift.wire import receipt as receipts
from samdrift.wire import sdkmessage
from samdrift.wire.codes import Reason, ReceiptStatus
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import (
    RECEIPT_BASE,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from tests.roles.letters import header, letter

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SENDER = Address(ParticipantIdentifier("0203:a.se"), "A", "sdk.a", "A")
RECIPIENT = Address(ParticipantIdentifier("0203:b.se"), "B", "sdk.b", "B")
FINDING = Finding(Reason.RULE, "not-found", "unknown address", "/a")


def came(document: DocumentIdentifier = SDK_MESSAGE_EXTENDED) -> NewMessage:
    message = letter(SENDER, RECIPIENT)
    says = header(
        SENDER.organisation,
        RECIPIENT.organisation,
        id=message.message_id,
        document=document,
        handling_service_id="sdk.b",
    )
    return NewMessage(says, message, sdkmessage.build(message), ())


def item(new: NewMessage) -> InboxItem:
    return InboxItem("i", new.header.id, "0203:a.se", "0203:b.se", "d", "c-as4", "m@p", "AP", NOW, 1)


def test_accepted_without_findings() -> None:
    """Clauses: certpub-rest-binding 3.2 step 7; content-specification 3.2 sentence 10, 5.3 row 1."""
    new, receipt_id = came(), str(uuid4())
    record, content = answer_to(new, (), receipt_id, "c", NOW)
    receipt = receipts.parse(content)
    assert receipts.validate(content) == ()
    assert (receipt.id, receipt.status, receipt.findings) == (receipt_id, ReceiptStatus.ACCEPTED, ())
    assert (receipt.sender, receipt.receiver) == (RECIPIENT.organisation, SENDER.organisation)
    assert receipt.message_id == new.header.id
    assert (record.direction, record.state) == (Direction.OUT, ReceiptState.QUEUED)
    assert (record.counterpart, record.conversation_id) == (SENDER.organisation, "c")
    assert record.handling_service_id == "sdk.b", "content-specification 3.2"


def test_rejected_with_every_finding() -> None:
    """Clauses: content-specification 5.2 sentence 1; message-receipt 2.2 sentence 2, sentence 3."""
    found = (FINDING, Finding(Reason.SCHEMA, "structure", "missing"))
    record, content = answer_to(came(), found, str(uuid4()), "c", NOW)
    assert receipts.validate(content) == ()
    assert receipts.parse(content).findings == found
    assert record.status is ReceiptStatus.REJECTED


def test_a_receipt_has_a_bounded_number_of_findings() -> None:
    _, content = answer_to(came(), (FINDING,) * 1000, str(uuid4()), "c", NOW)
    assert 0 < len(receipts.parse(content).findings) <= 100


@pytest.mark.parametrize(
    ("message", "receipt"), [(SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED), (SDK_MESSAGE_BASE, RECEIPT_BASE)]
)
def test_transport_model_extended_3_2_d_the_same_model(
    message: DocumentIdentifier, receipt: DocumentIdentifier
) -> None:
    """Clauses: transport-model-extended 3.2 d."""
    record, _ = answer_to(came(message), (), str(uuid4()), "c", NOW)
    assert record.document == receipt.value


def test_of_an_accepted_message_its_own_words_are_kept() -> None:
    new = came()
    assert new.message is not None
    record = message_record(new, item(new), False, NOW)
    assert record.status is MessageStatus.RETRIEVED
    assert (record.label, record.conversation_id) == (new.message.label, new.message.conversation_id)
    assert (record.sender_address, record.recipient_address) == ("sdk.a", "sdk.b")
    assert record.size == len(new.payload)


def test_of_a_refused_message_only_the_facts_of_its_envelope_are_kept() -> None:
    new = came()
    record = message_record(new, item(new), True, NOW)
    assert record.status is MessageStatus.REJECTED
    assert (record.label, record.sender_address, record.size) == ("", "", 0)
    assert (record.conversation_id, record.recipient_address) == ("c-as4", "sdk.b")
    assert record.confidentiality, "its confidentiality is unknown, so it counts as confidential"
