"""A captured message, receipt or error examined: what it is, and how far its signature holds.

For diagnosis: where an access point refuses at the first fault, this reports what can
be known. Nothing here decides whether a certificate is trusted or a time is fresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest

from cryptography import x509

from samdrift.wire.as4.captured import Captured
from samdrift.wire.as4.header import require_coverage
from samdrift.wire.as4.identify import COMPRESSION_TYPE, GZIP
from samdrift.wire.as4.limits import DEFAULT_LIMITS
from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.ebms import (
    EbmsError,
    ErrorSignalMessage,
    ReceiptSignalMessage,
    SignalInfo,
    UserMessage,
    is_signal,
    parse_signal,
    parse_user_message,
)
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.gzip import Decompressor, ExpansionLimits
from samdrift.wire.wssec import (
    Decryptor,
    EncryptedAttachment,
    SecurityTimestamp,
    SignedReference,
    SignerUnknown,
    SoapDocument,
    VerifiedSignature,
    attachment_id,
    read_document,
    read_encryption,
    read_timestamp,
    verify,
)
from samdrift.wire.xml import canonical, parse

Unwrap = Callable[[bytes, Oaep], bytes]
"""Unwraps a session key with a private key; :class:`WireError` (``DECRYPTION``) when it does not open."""

_LINE_END = b"\r\n"
_HEADER_END = _LINE_END * 2


class CaptureKind(StrEnum):
    """The kinds of AS4 messages."""

    USER_MESSAGE = "user-message"
    RECEIPT = "receipt"
    ERROR = "error"


class SignatureState(StrEnum):
    """How far a signature holds."""

    VALID = "valid"
    """Every reference was checked."""
    PARTIAL = "partial"
    """Everything that can be read holds; the rest is an encrypted attachment."""
    INVALID = "invalid"
    ABSENT = "absent"


class KeyDoesNotFit(WireError):
    """None of the given keys opens the attachment."""


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """How far a signature holds.

    ``reason`` tells why it is not wholly valid, ``unchecked`` names the references that
    nobody can check without a key. There is a ``signer`` where all that was checked holds.
    """

    state: SignatureState
    reason: str = ""
    unchecked: tuple[str, ...] = ()
    signer: x509.Certificate | None = None


@dataclass(frozen=True, slots=True)
class OpenedPayload:
    """A payload that was decrypted and verified; ``problem`` tells why it does not expand."""

    content_id: str
    content: bytes = field(repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class As4Inspection:
    """A message examined; ``encryption`` tells why its encryption is not that of the profile."""

    kind: CaptureKind
    info: SignalInfo
    signature: CheckedSignature
    encryption: str = ""
    timestamp: SecurityTimestamp | None = None
    user_message: UserMessage | None = None
    payloads: tuple[OpenedPayload, ...] = ()
    errors: tuple[EbmsError, ...] = ()
    acknowledged: tuple[SignedReference, ...] = ()
    """The references that a receipt acknowledges."""


def inspect_capture(
    captured: Captured, keys: Sequence[Unwrap] = (), candidates: Sequence[x509.Certificate] = ()
) -> As4Inspection:
    """Examine a captured message; :class:`WireError` when it is not AS4 that can be read.

    ``keys`` open the attachment; :class:`KeyDoesNotFit` when none of them does.
    ``candidates`` are certificates that a signature may name without carrying them.
    """
    document = read_document(captured.soap, DEFAULT_LIMITS.max_soap_bytes)
    if is_signal(document.messaging):
        return _signal(document, _judged(document, (), _Attachments(captured), candidates))
    message = parse_user_message(document.messaging)
    encryption, refused = _encryption(document)
    attachments = _Attachments(captured, encryption, _session_key(encryption, keys))
    payloads = tuple(part.href for part in message.parts if attachment_id(part.href) is not None)
    signature = _judged(document, payloads, attachments, candidates)
    return As4Inspection(
        kind=CaptureKind.USER_MESSAGE,
        info=SignalInfo(message.message_id, message.timestamp, message.ref_to_message_id),
        signature=signature,
        encryption=refused,
        timestamp=_timestamp(document),
        user_message=message,
        payloads=_payloads(message, attachments) if keys and signature.state is SignatureState.VALID else (),
    )


def _signal(document: SoapDocument, signature: CheckedSignature) -> As4Inspection:
    signal = parse_signal(document.messaging)
    error = isinstance(signal, ErrorSignalMessage)
    return As4Inspection(
        kind=CaptureKind.ERROR if error else CaptureKind.RECEIPT,
        info=signal.info,
        signature=signature,
        timestamp=_timestamp(document),
        errors=signal.errors if isinstance(signal, ErrorSignalMessage) else (),
        acknowledged=tuple(map(SignedReference.read, signal.proof))
        if isinstance(signal, ReceiptSignalMessage)
        else (),
    )


def _timestamp(document: SoapDocument) -> SecurityTimestamp | None:
    timestamp = document.security.timestamp if document.security is not None else None
    return None if timestamp is None else read_timestamp(timestamp)


@dataclass(frozen=True, slots=True)
class _Attachments:
    """The attachments of a capture, and what it takes to open the encrypted one."""

    captured: Captured
    encryption: EncryptedAttachment | None = None
    session_key: bytes | None = field(default=None, repr=False)

    def content(self, content_id: str) -> bytes | None:
        """Return the bytes that were signed, ``None`` where they are encrypted and there is no key.

        :class:`WireError` when the attachment is missing, or does not open with its key.
        """
        stored = self.captured.attachments.get(content_id)
        encrypted = self.encryption is not None and self.encryption.content_id == content_id
        if stored is None and (self.captured.multipart or not encrypted):
            raise WireError(WireFault.MIME, "the attachment is missing", "PayloadInfo")
        if stored is None or self.encryption is None or not encrypted:
            return stored
        if self.session_key is None:
            return None
        decryptor = Decryptor(self.session_key)
        content = decryptor.feed(stored)
        decryptor.finish()
        # A header without fields is an empty line, and ends as others do once a line end is before it.
        return (_LINE_END + content).partition(_HEADER_END)[2] if self.encryption.with_headers else content


def _judged(
    document: SoapDocument,
    required: tuple[str, ...],
    attachments: _Attachments,
    candidates: Sequence[x509.Certificate],
) -> CheckedSignature:
    """Check the signature value, every reference, and that what must be signed is."""
    if document.security is None or document.security.signature is None:
        return CheckedSignature(SignatureState.ABSENT, "not signed")
    try:
        signature = verify(document, candidates)
        require_coverage(document, signature)
        unchecked = tuple(_unchecked(signature, required, attachments))
    except SignerUnknown:
        return CheckedSignature(
            SignatureState.INVALID, "it names a certificate that neither the message nor the caller has"
        )
    except WireError as error:
        return CheckedSignature(SignatureState.INVALID, str(error))
    if not unchecked:
        return CheckedSignature(SignatureState.VALID, signer=signature.certificate)
    return CheckedSignature(
        SignatureState.PARTIAL,
        "an encrypted attachment was not opened",
        unchecked,
        signature.certificate,
    )


def _unchecked(
    signature: VerifiedSignature, required: tuple[str, ...], attachments: _Attachments
) -> Iterator[str]:
    """Check the digest of each signed attachment; return the references that nobody can check without a key.

    :class:`WireError` when one does not hold, or cannot be checked for another reason.
    """
    for href in required:
        if signature.attachment_digest(attachment_id(href) or "") is None:
            raise WireError(WireFault.SIGNATURE, "the signature does not cover the payload", "PayloadInfo")
    for reference in signature.references:
        content_id = attachment_id(reference.uri)
        if content_id is None:
            continue
        content = attachments.content(content_id)
        if content is None:
            yield reference.uri
        elif not _has_digest(content, reference.digest):
            raise WireError(WireFault.SIGNATURE, "the attachment is not the one that was signed", "Reference")


def _has_digest(content: bytes, digest: bytes) -> bool:
    return any(compare_digest(sha256(form).digest(), digest) for form in _forms(content))


def _forms(content: bytes) -> Iterator[bytes]:
    """Return the forms in which an attachment may have been digested (WSS SwA profile 1.1, 5.4.3).

    Compressed content as it is; text with CRLF line ends, XML in canonical form.
    """
    yield content
    yield b"\r\n".join(content.replace(b"\r\n", b"\n").split(b"\n"))
    try:
        root = parse(content)
        yield canonical(root, exclusive=True)
        yield canonical(root, exclusive=False)
    except WireError:
        return


def _encryption(document: SoapDocument) -> tuple[EncryptedAttachment | None, str]:
    """Return how the attachment is encrypted, or why that cannot be read."""
    security = document.security
    if security is None or security.encrypted_key is None or security.encrypted_data is None:
        return None, ""
    try:
        return read_encryption(security.encrypted_key, security.encrypted_data, security.tokens), ""
    except WireError as error:
        return None, str(error)


def _session_key(encryption: EncryptedAttachment | None, keys: Sequence[Unwrap]) -> bytes | None:
    if encryption is None or not keys:
        return None
    for unwrap in keys:
        try:
            return unwrap(encryption.wrapped_key, Oaep.SHA256)
        except WireError:
            continue
    raise KeyDoesNotFit(WireFault.DECRYPTION, "the attachment is encrypted for another key", "EncryptedKey")


def _payloads(message: UserMessage, attachments: _Attachments) -> tuple[OpenedPayload, ...]:
    opened: list[OpenedPayload] = []
    for part in message.parts:
        content_id = attachment_id(part.href)
        content = None if content_id is None else attachments.content(content_id)
        if content_id is None or content is None:
            continue
        try:
            payload = _expanded(content) if part.property(COMPRESSION_TYPE) == GZIP else content
            opened.append(OpenedPayload(content_id, payload))
        except WireError as error:
            opened.append(OpenedPayload(content_id, b"", str(error)))
    return tuple(opened)


def _expanded(content: bytes) -> bytes:
    limits = DEFAULT_LIMITS
    decompressor = Decompressor(
        ExpansionLimits(limits.max_payload_bytes, limits.max_ratio, limits.ratio_free_bytes)
    )
    payload = b"".join(decompressor.feed(content))
    decompressor.finish()
    return payload
