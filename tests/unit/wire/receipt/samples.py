"""Message receipts for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from samdrift.wire.codes import Detail, Reason, ReceiptStatus
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.receipt import MessageReceipt

ACCEPTED = MessageReceipt(
    id="0b9e1f5c-6f4e-4a56-8a8e-0d6f5b9f2d11",
    issued=datetime(2024, 2, 29, 12, 0, 1, tzinfo=UTC),
    sender=ParticipantIdentifier("0203:arbetsformedlingen.se"),
    receiver=ParticipantIdentifier("0203:habo.se"),
    message_id="3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9",
    status=ReceiptStatus.ACCEPTED,
)
REJECTED = MessageReceipt(
    id="0b9e1f5c-6f4e-4a56-8a8e-0d6f5b9f2d12",
    issued=datetime(2024, 2, 29, 12, 0, 1, tzinfo=UTC),
    sender=ACCEPTED.sender,
    receiver=ACCEPTED.receiver,
    message_id=ACCEPTED.message_id,
    status=ReceiptStatus.REJECTED,
    findings=(
        Finding(
            Reason.SCHEMA, Detail.STRUCTURE, "Element label lacks <x> & more", "/messagePayload/message[1]"
        ),
        Finding(Reason.RULE, Detail.TOO_LONG, "Message is larger than 31457280 bytes"),
        Finding(Reason.SIGNATURE, "RegelID-1", "Signaturen stämmer inte"),
        Finding(Reason.SIGNATURE, "", "Ingen detaljkod"),
    ),
)
