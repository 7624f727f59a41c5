"""Checks of a message's SOAP part, before any of the message is trusted or decrypted.

Every message must be signed and encrypted (transport-profile-as4 2.10 sentence 1). The signature must
cover the very elements that are used, and the attachment that the header names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from samdrift.wire.as4.events import As4Fault, SignedHeader, SignerWanted
from samdrift.wire.as4.usermessage import COMPRESSION_TYPE, GZIP
from samdrift.wire.ebms import EbmsErrorCode, UserMessage, message_id_of, parse_user_message
from samdrift.wire.errors import WireError
from samdrift.wire.wssec import (
    EncryptedAttachment,
    SignedReference,
    SignerUnknown,
    SoapDocument,
    VerifiedSignature,
    attachment_id,
    read_document,
    read_encryption,
    read_timestamp,
    require_empty_body,
    verify,
)


@dataclass(frozen=True, slots=True)
class VerifiedHeader:
    """A verified SOAP part: the event to report, and the expected properties of the attachment."""

    event: SignedHeader
    references: tuple[SignedReference, ...]
    attachment: EncryptedAttachment
    digest: bytes


def read_header(
    soap: bytes, max_bytes: int, candidates: Sequence[x509.Certificate]
) -> VerifiedHeader | SignerWanted:
    """Read and verify the SOAP part; :class:`As4Fault` has the message id if it could be read.

    Returns ``SignerWanted`` if the signature refers to a certificate that is not among ``candidates``.
    """
    document: SoapDocument | None = None
    try:
        document = read_document(soap, max_bytes)
        return _verified(document, candidates)
    except WireError as error:
        message_id = message_id_of(document.messaging) if document is not None else None
        raise As4Fault.of(error, message_id) from None


def require_coverage(document: SoapDocument, signature: VerifiedSignature) -> None:
    """Raise :class:`As4Fault` unless Messaging, Body and any Timestamp are signed (ebms3-core 7.2).

    Clauses: transport-profile-as4 2.10 sentence 1.
    """
    timestamp = document.security.timestamp if document.security is not None else None
    required = [document.messaging, document.body, *([] if timestamp is None else [timestamp])]
    if not all(signature.covers(element) for element in required):
        raise As4Fault(EbmsErrorCode.POLICY_NONCOMPLIANCE, "the signature does not cover the header")


def _verified(
    document: SoapDocument, candidates: Sequence[x509.Certificate]
) -> VerifiedHeader | SignerWanted:
    user_message = parse_user_message(document.messaging)
    require_empty_body(document)
    security = document.security
    if security is None or security.signature is None:
        raise As4Fault(EbmsErrorCode.POLICY_NONCOMPLIANCE, "not signed")
    if security.encrypted_key is None or security.encrypted_data is None:
        raise As4Fault(EbmsErrorCode.POLICY_NONCOMPLIANCE, "not encrypted")
    try:
        signature = verify(document, candidates)
    except SignerUnknown:
        return SignerWanted(user_message)
    require_coverage(document, signature)
    content_id = _payload_id(user_message)
    digest = signature.attachment_digest(content_id)
    if digest is None:
        raise As4Fault(EbmsErrorCode.POLICY_NONCOMPLIANCE, "the signature does not cover the payload")
    attachment = read_encryption(security.encrypted_key, security.encrypted_data, security.tokens)
    if attachment.content_id != content_id:
        raise As4Fault(EbmsErrorCode.POLICY_NONCOMPLIANCE, "the payload is not what is encrypted")
    timestamp = read_timestamp(security.timestamp) if security.timestamp is not None else None
    return VerifiedHeader(
        event=SignedHeader(
            user_message=user_message,
            certificate=signature.certificate,
            signature=signature.value,
            security_timestamp=timestamp.created if timestamp is not None else None,
            security_expires=timestamp.expires if timestamp is not None else None,
            recipient=attachment.recipient,
        ),
        references=signature.references,
        attachment=attachment,
        digest=digest,
    )


def _payload_id(message: UserMessage) -> str:
    """Return the Content-ID of the single payload, which must be compressed (transport-profile-as4 2.2 a).

    The digest of an uncompressed attachment would depend on its media type, because text and XML are
    normalised before they are digested.
    """
    if len(message.parts) != 1:
        raise As4Fault(EbmsErrorCode.PROCESSING_MODE_MISMATCH, "exactly one payload is required")
    (part,) = message.parts
    if part.property(COMPRESSION_TYPE) != GZIP:
        raise As4Fault(EbmsErrorCode.PROCESSING_MODE_MISMATCH, "the payload is not compressed with gzip")
    content_id = attachment_id(part.href)
    if not content_id:
        raise As4Fault(EbmsErrorCode.VALUE_INCONSISTENT, "the payload is not in an attachment")
    return content_id
