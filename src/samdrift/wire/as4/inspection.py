"""Diagnosis of a captured message, receipt or error: its kind, and how far its signature is valid.

An access point rejects a message at the first fault; this reports everything that can be established. It does
not decide whether a certificate is trusted or a timestamp is fresh.

A capture is AS4 as it was recorded (:func:`read_capture`): SOAP or MIME, alone, with its content type or
with its HTTP head. What peers send over HTTP is read by :mod:`samdrift.wire.as4.reader`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest

from cryptography import x509

from samdrift.wire.as4.header import require_coverage
from samdrift.wire.as4.limits import DEFAULT_LIMITS
from samdrift.wire.as4.usermessage import COMPRESSION_TYPE, GZIP
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
from samdrift.wire.mime import (
    BodyEnd,
    ContentType,
    MultipartReader,
    PartData,
    PartEnd,
    PartStart,
    boundary_of,
    content_id,
)
from samdrift.wire.wssec import (
    MEDIA_TYPE,
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

_START_LINE = re.compile(rb"(?:HTTP/\d(?:\.\d)? (\d{3})[^\r\n]*|[A-Z]+ \S+ HTTP/\d(?:\.\d)?)\r?\n")
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:")
_MEDIA_TYPE = re.compile(rb"(?:multipart/related|application/soap\+xml)[^\r\n]*\r?\n", re.IGNORECASE)
_DELIMITER = re.compile(rb"\s*--([^\r\n]{1,70})\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_BOM = b"\xef\xbb\xbf"
_MAX_HEAD = 64 << 10
_MAX_MESSAGES = 64
_MAX_PARTS = 64
_ENCODINGS = ("binary", "8bit", "7bit")

Unwrap = Callable[[bytes, Oaep], bytes]
"""Function that unwraps a session key; raises :class:`WireError` (``DECRYPTION``) if its key does not fit."""

_LINE_END = b"\r\n"
_HEADER_END = _LINE_END * 2


class CaptureKind(StrEnum):
    """The kinds of AS4 messages."""

    USER_MESSAGE = "user-message"
    RECEIPT = "receipt"
    ERROR = "error"


class SignatureState(StrEnum):
    """Results of verifying a signature, from valid to absent."""

    VALID = "valid"
    """Every reference was checked and is valid."""
    PARTIAL = "partial"
    """Everything that can be checked is valid; the rest is an encrypted attachment."""
    INVALID = "invalid"
    ABSENT = "absent"


class KeyDoesNotFit(WireError):
    """None of the given keys decrypts the attachment."""


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """Result of checking a signature.

    ``reason`` states why it is not fully valid, ``unchecked`` names the references that cannot be checked
    without a key. ``signer`` is set if everything that was checked is valid.
    """

    state: SignatureState
    reason: str = ""
    unchecked: tuple[str, ...] = ()
    signer: x509.Certificate | None = None


@dataclass(frozen=True, slots=True)
class OpenedPayload:
    """A payload that was decrypted and verified; ``problem`` states why it could not be decompressed."""

    content_id: str
    content: bytes = field(repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class As4Inspection:
    """Findings about a message; ``encryption`` states how its encryption departs from the profile."""

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
    """Examine a captured message; raise :class:`WireError` if it is not readable AS4.

    ``keys`` decrypt the attachment; raises :class:`KeyDoesNotFit` if none of them does. ``candidates`` are
    certificates that a signature may refer to without including them.
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
    """The attachments of a capture, and what is needed to decrypt the encrypted one."""

    captured: Captured
    encryption: EncryptedAttachment | None = None
    session_key: bytes | None = field(default=None, repr=False)

    def content(self, content_id: str) -> bytes | None:
        """Return the bytes that were signed; ``None`` if they are encrypted and there is no key.

        Raises :class:`WireError` if the attachment is missing, or its key does not decrypt it.
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
        # A header without fields is just an empty line; with a line end before it, it ends like any other.
        return (_LINE_END + content).partition(_HEADER_END)[2] if self.encryption.with_headers else content


def _judged(
    document: SoapDocument,
    required: tuple[str, ...],
    attachments: _Attachments,
    candidates: Sequence[x509.Certificate],
) -> CheckedSignature:
    """Check the signature value, every reference, and that everything is signed that must be."""
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
    """Check the digest of each signed attachment; yield the references that cannot be checked without a key.

    Raises :class:`WireError` if a digest is wrong, or cannot be checked for another reason.
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
    """Yield the forms in which an attachment may have been digested (WSS SwA profile 1.1, 5.4.3).

    These are the content itself, as for compressed content; text with CRLF line ends; XML in canonical form.
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
    """Return the encryption parameters of the attachment, or why they cannot be read."""
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


@dataclass(frozen=True, slots=True)
class Captured:
    """One message: its SOAP part, and its attachments by Content-ID.

    If ``multipart`` is false, any attachments are not in the file.
    """

    soap: bytes
    attachments: Mapping[str, bytes]
    multipart: bool


def read_capture(data: bytes) -> tuple[Captured, ...]:
    """Return the messages of a capture, at least one; raise :class:`WireError` if there are none.

    There are several if the traffic of a connection was recorded.
    """
    messages = tuple(_message(content_type, body) for content_type, body in _bodies(data.removeprefix(_BOM)))
    if not messages:
        raise _unreadable("no message is in it")
    return messages


def _bodies(data: bytes) -> Iterator[tuple[str | None, bytes]]:
    """Yield the content type of each message, if known, and its body."""
    start = data.lstrip()
    if _START_LINE.match(start):
        yield from _http(start)
    elif start.startswith(b"<"):
        yield None, start
    elif bare := _MEDIA_TYPE.match(start):
        yield bare[0].decode("latin-1").strip(), start[bare.end() :].lstrip(b"\r\n")
    elif delimiter := _DELIMITER.match(data):
        boundary = delimiter[1].decode("latin-1").rstrip()
        yield f'multipart/related; boundary="{boundary}"', start
    elif _FIELD.match(start):
        fields, body = _head(start)
        yield fields.get("content-type"), _unchunked(fields, body)[0]
    else:
        raise _unreadable("neither SOAP nor MIME, with or without the head of HTTP")


def _http(data: bytes) -> Iterator[tuple[str | None, bytes]]:
    """Yield each HTTP message with a body; a request may be followed by its response."""
    count = 0
    while start := _START_LINE.match(data):
        count += 1
        if count > _MAX_MESSAGES:
            raise WireError(WireFault.TOO_LARGE, f"more than {_MAX_MESSAGES} messages", "capture")
        fields, rest = _head(data[start.end() :])
        interim = start[1] is not None and start[1].startswith(b"1")
        body, data = (b"", rest) if interim else _unchunked(fields, rest)
        if fields.get("content-encoding", "identity") != "identity":
            raise _unreadable("the body is compressed for HTTP")
        if body.strip():
            yield fields.get("content-type"), body
        data = data.lstrip()
    if data:
        raise _unreadable("something that is not HTTP follows a message")


def _head(data: bytes) -> tuple[dict[str, str], bytes]:
    """Return the header fields by lower-case name, and the data after the empty line."""
    if data.startswith((b"\r\n", b"\n")):
        return {}, data.lstrip(b"\r\n")
    end = _HEAD_END.search(data, 0, _MAX_HEAD)
    if end is None:
        raise _unreadable("the head of HTTP does not end")
    fields: dict[str, str] = {}
    text = re.sub(r"\r?\n[ \t]+", " ", data[: end.start()].decode("latin-1"))
    for line in re.split(r"\r?\n", text):
        name, colon, value = line.partition(":")
        if not colon:
            raise _unreadable("a line in the head of HTTP is malformed")
        fields.setdefault(name.strip().lower(), value.strip())
    return fields, data[end.end() :]


def _unchunked(fields: Mapping[str, str], data: bytes) -> tuple[bytes, bytes]:
    """Return the body that a head announces, and the data that follows it."""
    if "chunked" in fields.get("transfer-encoding", "").lower() and _CHUNK.match(data):
        return _joined_chunks(data)
    length = fields.get("content-length", "")
    if not length.isascii() or not length.isdigit():
        return data, b""
    size = int(length[:12])
    if len(data) < size:
        raise _unreadable("the body is shorter than its Content-Length")
    return data[:size], data[size:]


def _joined_chunks(data: bytes) -> tuple[bytes, bytes]:
    pieces: list[bytes] = []
    at = 0
    while chunk := _CHUNK.match(data, at):
        size = int(chunk[1], 16)
        piece = data[chunk.end() : chunk.end() + size]
        at = chunk.end() + size + 2
        if not size:
            return b"".join(pieces), data[at:]
        if len(piece) < size or data[at - 2 : at] != b"\r\n":
            break
        pieces.append(piece)
    raise _unreadable("the body in chunks is cut off")


def _message(content_type: str | None, body: bytes) -> Captured:
    """Split a body into the SOAP part and attachments."""
    if content_type is None:
        return Captured(body, {}, multipart=False)
    outer = ContentType.parse(content_type)
    if outer.media_type in (MEDIA_TYPE, "application/xml", "text/xml"):
        return Captured(body, {}, multipart=False)
    if outer.media_type != "multipart/related":
        raise _unreadable("its content type is neither SOAP 1.2 nor multipart/related")
    parts = list(_parts(boundary_of(outer), body))
    root = _root(parts, outer.parameters.get("start"))
    attachments = [(content_id(fields) or "", content) for fields, content in parts if content is not root]
    if len(dict(attachments)) != len(attachments):
        raise _unreadable("two attachments have one Content-ID")
    return Captured(root, dict(attachments), multipart=True)


def _parts(boundary: str, body: bytes) -> Iterator[tuple[Mapping[str, str], bytes]]:
    if b"\r\n--" not in body and b"\n--" in body:
        raise _unreadable("the line ends of MIME were changed on the way: each is CRLF")
    reader = MultipartReader(boundary)
    reader.feed(body)
    reader.feed(b"")
    fields: Mapping[str, str] = {}
    pieces: list[bytes] = []
    count = 0
    while not isinstance(event := reader.next_event(), BodyEnd):
        match event:
            case PartStart(found):
                fields, count = found, count + 1
                if count > _MAX_PARTS:
                    raise WireError(WireFault.TOO_LARGE, f"more than {_MAX_PARTS} parts", "MIME")
            case PartData(data):
                pieces.append(data)
            case PartEnd():
                if fields.get("content-transfer-encoding", "binary").lower() not in _ENCODINGS:
                    raise _unreadable("a part has a transfer encoding that AS4 does not use")
                yield fields, b"".join(pieces)
                pieces = []


def _root(parts: list[tuple[Mapping[str, str], bytes]], start: str | None) -> bytes:
    """Return the SOAP part: the one named by ``start``, else the first (RFC 2387 3.2)."""
    if not parts:
        raise _unreadable("the MIME body has no parts")
    wanted = None if start is None else start.strip("<>")
    named = [content for fields, content in parts if wanted is not None and content_id(fields) == wanted]
    return named[0] if named else parts[0][1]


def _unreadable(message: str) -> WireError:
    return WireError(WireFault.MIME, message, "capture")
