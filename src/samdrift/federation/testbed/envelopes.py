"""The envelopes that the test bed sends: valid, maximal, minimal, large, broken."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509

from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.envelope import EnvelopeHeader, read, seal, verify
from samdrift.wire.identifiers import (
    FUNCTIONAL_ADDRESS_ROOT,
    NO_PROCESS,
    PARTICIPANT_SCHEME,
    DocumentIdentifier,
    ParticipantIdentifier,
    receipt_document_for,
)
from samdrift.wire.receipt import MessageReceipt
from samdrift.wire.receipt import build as build_receipt
from samdrift.wire.sdkmessage import (
    Attention,
    Document,
    File,
    Ii,
    Party,
    SdkMessage,
    new_timestamp,
)
from samdrift.wire.sdkmessage import build as build_message
from samdrift.wire.xml import Namespace

_MESSAGE_TYPE = f"Q{{{Namespace.SDK_MESSAGE}}}messagePayload"
_PLACE = base64.b64encode(b"%PDF-1.4 an attachment of the test bed").decode()
_RECEIPT_TYPE = f"Q{{{Namespace.UBL_RESPONSE}}}ApplicationResponse"


@dataclass(frozen=True, slots=True)
class Correspondent:
    """Sender or recipient of an envelope."""

    participant: ParticipantIdentifier
    mailbox: str
    encryption: x509.Certificate | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed envelope with the facts that AS4 repeats."""

    header: EnvelopeHeader
    data: bytes

    def broken(self, break_it: Callable[[bytes], bytes]) -> Envelope:
        """Return an envelope with the same facts but altered bytes."""
        return Envelope(self.header, break_it(self.data))


def message(
    sender: Correspondent,
    recipient: Correspondent,
    document: DocumentIdentifier,
    federation: str,
    signer: SigningKey,
    *,
    attachment: int = 0,
    handling_service: bool = True,
) -> Envelope:
    """Return an SDK message in its envelope, protected as its transport model requires.

    ``attachment`` is the size of an attached file of random bytes; it may exceed the limit for a message,
    since access points accept more. Without ``handling_service`` the envelope has only the mandatory fields.
    """
    header = _header(sender, recipient, document, _MESSAGE_TYPE, federation)
    if handling_service:
        header = replace(header, handling_service_id=recipient.mailbox)
    payload = build_message(_sdk_message(header, sender, recipient))
    if attachment:
        payload = payload.replace(_PLACE.encode(), base64.b64encode(os.urandom(attachment)), 1)
    return _sealed(header, payload, signer, recipient.encryption)


def receipt(answered: EnvelopeHeader, federation: str, signer: SigningKey) -> Envelope:
    """Return the message receipt that accepts an envelope."""
    sender = Correspondent(answered.recipient, "")
    recipient = Correspondent(answered.sender, "")
    document = receipt_document_for(answered.document)
    header = _header(sender, recipient, document, _RECEIPT_TYPE, federation)
    payload = build_receipt(
        MessageReceipt(
            id=header.id,
            issued=header.created,
            sender=answered.recipient,
            receiver=answered.sender,
            message_id=answered.id,
            status=ReceiptStatus.ACCEPTED,
            findings=(),
        )
    )
    return _sealed(header, payload, signer, None)


def payload_of(data: bytes) -> bytes:
    """Return the payload of an unencrypted envelope, verified if its model has a signature."""
    verdict = verify(data)
    return verdict.envelope.payload([]) if verdict.envelope else read(data).unprotected_payload()


def _sealed(
    header: EnvelopeHeader, payload: bytes, signer: SigningKey, encryption: x509.Certificate | None
) -> Envelope:
    protected = header.document.requires_protection
    data = seal(
        header,
        payload,
        signer=signer if protected else None,
        recipient=encryption if protected else None,
        rng=os.urandom,
    )
    return Envelope(header, data)


def _header(
    sender: Correspondent,
    recipient: Correspondent,
    document: DocumentIdentifier,
    document_type: str,
    federation: str,
) -> EnvelopeHeader:
    return EnvelopeHeader(
        id=str(uuid.uuid4()),
        created=datetime.now(UTC),
        sender=sender.participant,
        recipient=recipient.participant,
        document=document,
        process=NO_PROCESS,
        federation=federation,
        document_type_code=document_type,
        content_type_code="application/xml",
        handling_service_id=None,
        encrypted=False,
    )


def _sdk_message(header: EnvelopeHeader, sender: Correspondent, recipient: Correspondent) -> SdkMessage:
    files = (File("bilaga.pdf", "application/pdf", _PLACE),)
    return SdkMessage(
        created=new_timestamp(header.created),
        message_id=header.id,
        conversation_id=header.id,
        ref_to_message_id=None,
        label="Test",
        confidentiality=False,
        generating_system=None,
        recipient=_party(recipient),
        sender=_party(sender),
        documents=(Document("SDK-Meddelande", "Test", "1", files, ("Ett testmeddelande.",)),),
    )


def _party(correspondent: Correspondent) -> Party:
    address = Ii(FUNCTIONAL_ADDRESS_ROOT, correspondent.mailbox)
    return Party(
        Ii(PARTICIPANT_SCHEME, correspondent.participant.value), None, Attention(address, None, (), ())
    )
