"""Signals, the responses to user messages: receipts, which prove delivery, and errors; read and built."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from samdrift.wire.as4.events import As4Fault
from samdrift.wire.as4.header import require_coverage
from samdrift.wire.as4.limits import DEFAULT_LIMITS
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.ebms import (
    EbmsError,
    EbmsErrorCode,
    ErrorSignalMessage,
    SignalInfo,
    UserMessage,
    build_errors,
    parse_signal,
)
from samdrift.wire.ebms import build_receipt as build_receipt_header
from samdrift.wire.errors import WireError
from samdrift.wire.mime import BodyEnd, ContentType, MultipartReader, PartData, PartEnd, boundary_of
from samdrift.wire.wssec import (
    CONTENT_TYPE,
    MEDIA_TYPE,
    Part,
    SignedReference,
    SoapDocument,
    VerifiedSignature,
    build_body,
    build_envelope,
    build_signature,
    read_document,
    verify,
)


@dataclass(frozen=True, slots=True)
class ReceiptSignal:
    """A receipt that has been read but not verified, which :func:`verify_receipt` does."""

    info: SignalInfo
    references: tuple[SignedReference, ...]
    document: SoapDocument = field(repr=False)


@dataclass(frozen=True, slots=True)
class ErrorSignal:
    """An error signal with one or more errors. Without ``signed_by`` it is information, not proof."""

    info: SignalInfo
    errors: tuple[EbmsError, ...]
    signed_by: x509.Certificate | None


class ReceiptReason(StrEnum):
    """Reasons why a receipt proves delivery or does not."""

    VALID = "valid"
    NOT_SIGNED = "not-signed"
    SIGNATURE = "signature"
    WRONG_SIGNER = "wrong-signer"
    OTHER_MESSAGE = "other-message"
    OTHER_REFERENCES = "other-references"


@dataclass(frozen=True, slots=True)
class ReceiptVerdict:
    """Verdict on a receipt as proof that the message was received; ``certificate`` is its verified signer's.

    ``signature`` is the signature value of a valid receipt, for the record.
    """

    reason: ReceiptReason
    certificate: x509.Certificate | None = None
    signature: bytes = b""

    @property
    def valid(self) -> bool:
        return self.reason is ReceiptReason.VALID


def read_response(
    content_type: str | None, body: bytes, candidates: Sequence[x509.Certificate] = ()
) -> ReceiptSignal | ErrorSignal:
    """Read a peer's response, plain SOAP or multipart; raise :class:`As4Fault` if it is not a signal.

    ``candidates`` are certificates that an error's signature may refer to without including them.
    """
    try:
        document = read_document(_soap(content_type, body), DEFAULT_LIMITS.max_soap_bytes)
        signal = parse_signal(document.messaging)
        if isinstance(signal, ErrorSignalMessage):
            signature = _signature(document, candidates)
            return ErrorSignal(signal.info, signal.errors, signature.certificate if signature else None)
        return ReceiptSignal(signal.info, tuple(map(SignedReference.read, signal.proof)), document)
    except WireError as error:
        raise As4Fault.of(error) from None


def verify_receipt(
    signal: ReceiptSignal,
    *,
    message_id: str,
    sent: Sequence[Sequence[SignedReference]],
    expected: x509.Certificate,
) -> ReceiptVerdict:
    """Verify that ``expected`` signed a receipt for ``message_id`` with all parts of one attempt.

    ``sent`` has the references of each attempt: a late receipt may answer an earlier one. They are compared
    as sets, because peers may put them in any order.
    """
    security = signal.document.security
    if security is None or security.signature is None:
        return ReceiptVerdict(ReceiptReason.NOT_SIGNED)
    signature = _signature(signal.document, (expected,))
    if signature is None:
        return ReceiptVerdict(ReceiptReason.SIGNATURE)
    if signature.certificate != expected:
        return ReceiptVerdict(ReceiptReason.WRONG_SIGNER, signature.certificate)
    if signal.info.ref_to_message_id != message_id:
        return ReceiptVerdict(ReceiptReason.OTHER_MESSAGE, expected)
    received = {reference.proof for reference in signal.references}
    attempts = [{reference.proof for reference in attempt} for attempt in sent]
    if not received or received not in attempts:
        return ReceiptVerdict(ReceiptReason.OTHER_REFERENCES, expected)
    return ReceiptVerdict(ReceiptReason.VALID, expected, signature.value)


def _signature(document: SoapDocument, candidates: Sequence[x509.Certificate]) -> VerifiedSignature | None:
    """Return the signature if it is valid and covers the header."""
    try:
        signature = verify(document, candidates)
        require_coverage(document, signature)
    except WireError:
        return None
    return signature


def _soap(content_type: str | None, body: bytes) -> bytes:
    """Return the SOAP part of a response; without a content type it is assumed to be plain SOAP."""
    if content_type is None:
        return body
    outer = ContentType.parse(content_type)
    if outer.media_type == MEDIA_TYPE:
        return body
    if outer.media_type != "multipart/related":
        raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "the answer is not a SOAP 1.2 message")
    return _first_part(boundary_of(outer), body)


def _first_part(boundary: str, body: bytes) -> bytes:
    reader = MultipartReader(boundary)
    reader.feed(body)
    reader.feed(b"")
    pieces: list[bytes] = []
    while not isinstance(event := reader.next_event(), PartEnd):
        if isinstance(event, BodyEnd):
            raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "the answer has no parts")
        if isinstance(event, PartData):
            pieces.append(event.data)
    return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response: content type and body."""

    content_type: str
    body: bytes


def build_receipt(
    *,
    user_message: UserMessage,
    references: Sequence[SignedReference],
    message_id: str,
    now: datetime,
    signer: SigningKey,
) -> Response:
    """Build a signed receipt for ``user_message`` that repeats the references of its signature.

    Send it only after the payload is durable. ``message_id`` is the receipt's own id.

    It has no ``wsu:Timestamp``: the receipt of a message is kept for months and returned for every resend,
    and peers would reject it once the timestamp had expired.
    """
    info = SignalInfo(message_id, now, user_message.message_id)
    proof = [reference.xml.decode() for reference in references]
    suffix = _suffix(message_id)
    return _response(build_receipt_header(info, proof, f"Messaging-{suffix}"), suffix, signer)


def build_error(error: EbmsError, *, message_id: str, now: datetime, signer: SigningKey | None) -> Response:
    """Build an error signal, signed if a key is given (ebms3-core 6.2)."""
    info = SignalInfo(message_id, now, error.ref_to_message_id)
    suffix = _suffix(message_id)
    return _response(build_errors(info, [error], f"Messaging-{suffix}"), suffix, signer)


def _response(header: str, suffix: str, signer: SigningKey | None) -> Response:
    messaging = Part(f"Messaging-{suffix}", header)
    body = build_body(f"Body-{suffix}")
    security = []
    if signer is not None:
        security.append(build_signature((messaging, body), None, signer, f"Signer-{suffix}").markup)
    return Response(CONTENT_TYPE, build_envelope(security, messaging, body))


def _suffix(message_id: str) -> str:
    """Derive the suffix of XML identifiers from the message id."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:24]
