"""Messages and envelopes, both correct ones and ones that no message service would make."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from cryptography import x509

from samdrift.messageservice.outgoing.compose import Address, Attachment, Draft, compose
from samdrift.wire import receipt as receipts
from samdrift.wire import sdkmessage
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.envelope import EnvelopeHeader, read, seal, verify
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import (
    FEDERATION_TEST,
    NO_PROCESS,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from samdrift.wire.receipt import MessageReceipt
from samdrift.wire.sdkmessage import SdkMessage
from samdrift.wire.xml import Namespace

DRAFT = Draft("Fråga om avtal", "Hej, *gäller* avtalet än?")
WITH_PDF = replace(DRAFT, attachments=(Attachment("avtal.pdf", "application/pdf", b"%PDF-1.4 avtal"),))
_MESSAGE_ROOT = f"Q{{{Namespace.SDK_MESSAGE}}}messagePayload"
_RECEIPT_ROOT = f"Q{{{Namespace.UBL_RESPONSE}}}ApplicationResponse"


@dataclass(frozen=True)
class Envelope:
    """An envelope, with the ids by which access points and message services refer to it."""

    id: str
    data: bytes
    header: EnvelopeHeader


def letter(sender: Address, recipient: Address, draft: Draft = DRAFT, **changes: Any) -> SdkMessage:
    """Return a message, with ``changes`` made to it."""
    message = compose(draft, sender, recipient, message_id=str(uuid4()), at=datetime.now(UTC))
    if "message_id" in changes:
        changes.setdefault("conversation_id", changes["message_id"])
    return replace(message, **changes)


def header(sender: ParticipantIdentifier, recipient: ParticipantIdentifier, **changes: Any) -> EnvelopeHeader:
    """Return the header for the envelope of a message, with ``changes`` made to it."""
    usual = EnvelopeHeader(
        id=str(uuid4()),
        created=datetime.now(UTC),
        sender=sender,
        recipient=recipient,
        document=SDK_MESSAGE_EXTENDED,
        process=NO_PROCESS,
        federation=FEDERATION_TEST,
        document_type_code=_MESSAGE_ROOT,
        content_type_code="application/xml",
        handling_service_id=None,
        encrypted=False,
    )
    return replace(usual, **changes)


def enclose(
    message: SdkMessage,
    signer: SigningKey | None,
    encrypt_for: x509.Certificate | None,
    *,
    payload: bytes | None = None,
    **changes: Any,
) -> Envelope:
    """Seal a message; ``payload`` replaces its bytes, and ``changes`` go into the header."""
    says = header(
        changes.pop("sender", ParticipantIdentifier(message.sender.id.extension)),
        changes.pop("recipient", ParticipantIdentifier(message.recipient.id.extension)),
        **{"id": message.message_id, **changes},
    )
    data = seal(
        says,
        sdkmessage.build(message) if payload is None else payload,
        signer=signer,
        recipient=encrypt_for,
        rng=os.urandom,
    )
    return Envelope(says.id, data, says)


def enclose_receipt(
    sender: ParticipantIdentifier,
    recipient: ParticipantIdentifier,
    message_id: str,
    signer: SigningKey | None,
    document: DocumentIdentifier = RECEIPT_EXTENDED,
    *findings: Finding,
    **changes: Any,
) -> Envelope:
    """Seal a message receipt, REJECTED if there are findings; ``changes`` go into the header."""
    status = ReceiptStatus.REJECTED if findings else ReceiptStatus.ACCEPTED
    receipt = MessageReceipt(str(uuid4()), datetime.now(UTC), sender, recipient, message_id, status, findings)
    receipt = replace(receipt, **changes)
    says = header(sender, recipient, id=receipt.id, document=document, document_type_code=_RECEIPT_ROOT)
    data = seal(says, receipts.build(receipt), signer=signer, recipient=None, rng=os.urandom)
    return Envelope(says.id, data, says)


def changed(envelope: Envelope, old: bytes, new: bytes) -> Envelope:
    """Return the envelope with one part replaced after it was sealed."""
    assert envelope.data.count(old) == 1, "the text to replace must occur exactly once"
    return replace(envelope, data=envelope.data.replace(old, new))


def broken(envelope: Envelope) -> Envelope:
    """Return the envelope with XML that was changed after signing (3.3.2 step 7)."""
    return changed(envelope, b"<xhb:ContentTypeCode>application/xml<", b"<xhb:ContentTypeCode>text/xml<")


def receipt_in(envelope: bytes) -> MessageReceipt | None:
    """Return the message receipt in an envelope, or ``None``; it must be signed, except in the base model."""
    verdict = verify(envelope)
    assert verdict.header is not None
    if verdict.header.document_type_code != _RECEIPT_ROOT:
        return None
    if not verdict.header.document.requires_protection:
        return receipts.parse(read(envelope).unprotected_payload())
    assert verdict.envelope is not None, verdict.reason
    return receipts.parse(verdict.envelope.payload([]))
