"""Matches an incoming message receipt with the message that it answers."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from samdrift.audit.events import AuditEvent
from samdrift.contracts.messages import Direction, ReceiptState
from samdrift.messageservice.incoming.judging import NewReceipt
from samdrift.messageservice.lifecycle import progress
from samdrift.messageservice.lifecycle.ledger import advance, commitments
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import ReceiptRecord
from samdrift.wire.identifiers import DocumentIdentifier, receipt_document_for


def signer_facts(signer: x509.Certificate | None) -> dict[str, str]:
    """Which certificate signed, for the log: subject and SHA-256."""
    if signer is None:
        return {}
    return {
        "signer": signer.subject.rfc4514_string(),
        "certificate": signer.fingerprint(hashes.SHA256()).hex(),
    }


async def match_receipt(
    vault: MessageServiceVault, new: NewReceipt, now: datetime, envelope: bytes | None = None
) -> None:
    """Give the message its final status. ``envelope`` is the digest of what the receipt came in.

    A receipt for no message of ours to that party is only noted, and so is one
    under another transport model, which may lack the signature that the message's
    demands (transport-model-extended 3.2 d).

    Clauses: accesspoint-test-cases 4.2.1 TF-01; transport-model-base 3.3.1 step 22, 3.3.2 step 22;
    transport-model-extended 3.3.1 step 30, 3.3.2 step 30.
    """
    receipt, header = new.receipt, new.header
    message = await vault.message(receipt.message_id, Direction.OUT)
    if message is None or message.recipient != receipt.sender:
        vault.record(AuditEvent.MT_RECEIPT_UNMATCHED, envelope=header.id, message=receipt.message_id)
        return
    if header.document != receipt_document_for(DocumentIdentifier(message.document)):
        why = "under another transport model than the message"
        vault.record(
            AuditEvent.MT_RECEIPT_REFUSED, envelope=header.id, message=receipt.message_id, reason=why
        )
        return
    record = ReceiptRecord(
        id=header.id,
        message_id=receipt.message_id,
        direction=Direction.IN,
        status=receipt.status,
        counterpart=receipt.sender,
        document=header.document.value,
        handling_service_id=header.handling_service_id,
        conversation_id=message.conversation_id,
        state=ReceiptState.RECEIVED,
        created_at=now,
    )
    stored = await vault.store_received_receipt(record, new.payload, now=now)
    committed = commitments(vault, envelope=envelope, receipt=sha256(new.payload).digest()) if stored else {}
    vault.record(
        AuditEvent.MT_RECEIPT_RECEIVED,
        envelope=header.id,
        message=receipt.message_id,
        **signer_facts(new.signer),
        **committed,
    )
    await advance(vault, receipt.message_id, Direction.OUT, progress.of_receipt(receipt, now), now)
