"""The message receipt that answers an incoming message, and the records that go with it: pure."""

from __future__ import annotations

from datetime import datetime

from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState
from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice.addresses import functional_address
from samdrift.messageservice.attributes import attributes
from samdrift.messageservice.findings import MOST_FINDINGS
from samdrift.messageservice.incoming.judging import NewMessage
from samdrift.vault.records import MessageRecord, ReceiptRecord
from samdrift.wire import receipt as receipts
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import receipt_document_for
from samdrift.wire.receipt import MessageReceipt
from samdrift.wire.sdkmessage import instant


def answer(
    new: NewMessage, found: tuple[Finding, ...], receipt_id: str, conversation_id: str, now: datetime
) -> tuple[ReceiptRecord, bytes]:
    """ACCEPTED, or REJECTED with every finding; under the message's transport model
    (transport-model-extended 3.2 d).

    The receipt carries the HandlingServiceID of the message that it answers
    (content-specification 3.2).

    Clauses: accesspoint-test-cases 4.3.1 TF-04; certpub-rest-binding 3.2 step 7; content-specification 2.1
    step 4, 3.2 sentence 10, 5.2 sentence 1, 5.3 row 1; message-receipt 2.2 sentences 1-3;
    transport-model-base 3.3.1 step 14, step 15, 3.3.2 step 14, step 15; transport-model-extended 3.3.1 step
    20, step 21, 3.3.2 step 21.
    """
    header = new.header
    status = ReceiptStatus.REJECTED if found else ReceiptStatus.ACCEPTED
    document = MessageReceipt(
        id=receipt_id,
        issued=now,
        sender=header.recipient,
        receiver=header.sender,
        message_id=header.id,
        status=status,
        findings=found[:MOST_FINDINGS],
    )
    record = ReceiptRecord(
        id=receipt_id,
        message_id=header.id,
        direction=Direction.OUT,
        status=status,
        counterpart=header.sender,
        document=receipt_document_for(header.document).value,
        handling_service_id=header.handling_service_id,
        conversation_id=conversation_id,
        state=ReceiptState.QUEUED,
        created_at=now,
    )
    return record, receipts.build(document)


def message_record(new: NewMessage, item: InboxItem, refused: bool, now: datetime) -> MessageRecord:
    """The record of an incoming message; of a refused one only the facts of its envelope."""
    header, message = new.header, new.message if not refused else None
    return MessageRecord(
        id=header.id,
        direction=Direction.IN,
        status=MessageStatus.REJECTED if refused else MessageStatus.RETRIEVED,
        conversation_id=message.conversation_id if message else item.conversation_id,
        ref_to_message_id=message.ref_to_message_id if message else None,
        sender=header.sender,
        recipient=header.recipient,
        sender_address=functional_address(message.sender) if message else "",
        recipient_address=functional_address(message.recipient)
        if message
        else header.handling_service_id or "",
        document=header.document.value,
        created_at=now,
        updated_at=now,
        dated_at=instant(message.created) if message else now,
        label=message.label if message else "",
        confidentiality=message.confidentiality if message else True,
        size=len(new.payload) if message else 0,
        attributes=attributes(message) if message else "",
    )
