"""Incoming messages as a stream: verify the header, then decrypt, then release the payload.

No I/O: bytes go in, events come out. Memory use is bounded by :class:`As4Limits` and the size of the pieces
received, whatever the size of the message (transport-profile-as4 2.8 a).

:class:`PayloadReader` decrypts, digests and decompresses the payload, in this order. Faults in the
plaintext (gzip, size) are reported only after tag and digest have been verified. If they were reported
earlier, and thus told apart from a decryption failure, an attacker who alters ciphertext could learn
its plaintext.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from hmac import compare_digest

from cryptography import x509

from samdrift.wire.as4.events import (
    As4Fault,
    Complete,
    Event,
    NeedData,
    Payload,
    ReceivedMessage,
    SignedHeader,
    SignerWanted,
)
from samdrift.wire.as4.header import VerifiedHeader, read_header
from samdrift.wire.as4.limits import DEFAULT_LIMITS, As4Limits
from samdrift.wire.crypto.keys import DecryptionKey, Oaep
from samdrift.wire.ebms import EbmsErrorCode
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.gzip import Decompressor, ExpansionLimits
from samdrift.wire.mime import (
    HEADER_END,
    BodyEnd,
    ContentType,
    MimeEvent,
    MultipartReader,
    PartData,
    PartEnd,
    PartStart,
    boundary_of,
    content_id,
    fields_size,
)
from samdrift.wire.wssec import MEDIA_TYPE, TAG_SIZE, VECTOR_SIZE, Decryptor, EncryptedAttachment

_LINE_END = b"\r\n"
_ENCODINGS = ("binary", "8bit", "7bit")


class As4Reader:
    """A streaming reader of one message: SignedHeader, then Payload pieces, then Complete.

    NeedData may come in between. Between SignedHeader and the first Payload the caller decides whether it
    trusts the certificate, and calls :meth:`decrypt_with`. ``candidates`` are certificates of peers that a
    signature may refer to without including them. If it refers to none of them, SignerWanted asks for others,
    and :meth:`signed_by` accepts them and returns the SignedHeader. Every rejection is an :class:`As4Fault`,
    also from the constructor, and is final.
    """

    def __init__(
        self,
        content_type: str,
        limits: As4Limits = DEFAULT_LIMITS,
        candidates: Sequence[x509.Certificate] = (),
    ) -> None:
        self._limits = limits
        self._candidates = candidates
        self._fault: As4Fault | None = None
        self._parts = 0
        self._soap = bytearray()
        self._wanted = False
        self._header: VerifiedHeader | None = None
        self._payload: PayloadReader | None = None
        self._pieces: Iterator[bytes] = iter(())
        try:
            self._root_id, self._mime = _open(content_type, limits)
        except WireError as error:
            raise self._failed(error) from None

    def receive(self, data: bytes) -> None:
        """Receive the next bytes of the HTTP body; ``b""`` marks its end."""
        self._mime.feed(data)

    def next_event(self) -> Event:
        """Return the next event; raise :class:`As4Fault` if the message is rejected."""
        if self._fault is not None:
            raise self._fault
        try:
            return self._next()
        except WireError as error:
            raise self._failed(error) from None

    def signed_by(self, candidates: Sequence[x509.Certificate]) -> SignedHeader:
        """Verify the header with ``candidates``; call it after SignerWanted, before the next event."""
        if not self._wanted:
            raise RuntimeError("signed_by() belongs once between SignerWanted and the next event")
        self._candidates = candidates
        try:
            header = self._verify_header()
            if isinstance(header, SignerWanted):
                message_id = header.user_message.message_id
                raise As4Fault(
                    EbmsErrorCode.FAILED_AUTHENTICATION,
                    "the signature names a certificate that is not known",
                    ref_to_message_id=message_id,
                )
        except WireError as error:
            raise self._failed(error) from None
        return header

    def decrypt_with(self, *keys: DecryptionKey) -> DecryptionKey:
        """Unwrap the session key; call it after SignedHeader, before the next event.

        Returns the key that unwrapped it. The key whose certificate the sender names is tried first, then the
        others, because a certificate may have been replaced meanwhile.
        """
        if self._header is None or self._payload is not None:
            raise RuntimeError("decrypt_with() belongs once between SignedHeader and the next event")
        attachment = self._header.attachment
        try:
            key, session_key = _unwrapped(attachment, keys)
            self._payload = PayloadReader(
                session_key, self._header.digest, self._limits, with_headers=attachment.with_headers
            )
        except WireError as error:
            raise self._failed(error) from None
        return key

    def _next(self) -> Event:
        while True:
            piece = next(self._pieces, None)
            if piece is not None:
                return Payload(piece)
            if self._wanted:
                raise RuntimeError("signed_by() must be called after SignerWanted")
            if self._header is not None and self._payload is None:
                raise RuntimeError("decrypt_with() must be called after SignedHeader")
            mime_event = self._mime.next_event()
            if mime_event is None:
                return NeedData()
            event = self._take(mime_event)
            if event is not None:
                return event

    def _take(self, event: MimeEvent) -> Event | None:
        """Process one MIME event: the SOAP part comes first, then the payload."""
        payload = self._payload
        match event:
            case PartStart(fields):
                self._start_part(fields)
            case PartData(data) if payload is None:
                self._add_soap(data)
            case PartData(data) if payload is not None:
                self._pieces = payload.feed(data)
            case PartEnd() if payload is None:
                return self._verify_header()
            case PartEnd() if payload is not None:
                payload.finish()
            case BodyEnd():
                return self._complete()
        return None

    def _start_part(self, fields: Mapping[str, str]) -> None:
        self._parts += 1
        if self._header is None:
            _check_root(fields, self._root_id)
        elif self._parts > 2:
            raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "more parts than the header names")
        elif content_id(fields) != self._header.attachment.content_id:
            raise As4Fault(
                EbmsErrorCode.MIME_INCONSISTENCY, "the attachment is not the one that the header names"
            )
        if fields.get("content-transfer-encoding", "binary").lower() not in _ENCODINGS:
            raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "a transfer encoding that is not accepted")

    def _add_soap(self, data: bytes) -> None:
        self._soap += data
        if len(self._soap) > self._limits.max_soap_bytes:
            raise As4Fault(
                EbmsErrorCode.OTHER, f"the SOAP part is larger than {self._limits.max_soap_bytes} bytes"
            )

    def _verify_header(self) -> SignedHeader | SignerWanted:
        read = read_header(bytes(self._soap), self._limits.max_soap_bytes, self._candidates)
        self._wanted = isinstance(read, SignerWanted)
        if isinstance(read, SignerWanted):
            return read
        self._header = read
        self._soap.clear()
        return read.event

    def _complete(self) -> Complete:
        if self._header is None or self._payload is None or self._parts < 2:
            raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "the payload is missing")
        return Complete(self._header.references, self._payload.size, self._header.digest)

    def _failed(self, error: WireError) -> As4Fault:
        known = self._header.event.user_message.message_id if self._header is not None else None
        named = error.ref_to_message_id if isinstance(error, As4Fault) else None
        self._fault = As4Fault.of(error, named or known)
        return self._fault


def read_message(
    content_type: str,
    body: bytes,
    key: DecryptionKey,
    limits: As4Limits = DEFAULT_LIMITS,
    candidates: Sequence[x509.Certificate] = (),
) -> ReceivedMessage:
    """Read a whole message in memory; the caller decides whether its certificate is trusted."""
    reader = As4Reader(content_type, limits, candidates)
    reader.receive(body)
    reader.receive(b"")
    header = reader.next_event()
    if isinstance(header, SignerWanted):
        header = reader.signed_by(())
    if not isinstance(header, SignedHeader):
        raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "the body has no parts")
    reader.decrypt_with(key)
    pieces: list[bytes] = []
    while isinstance(event := reader.next_event(), Payload):
        pieces.append(event.data)
    if not isinstance(event, Complete):
        raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "the body ends too early")
    return ReceivedMessage(header, b"".join(pieces), event.references)


def _unwrapped(attachment: EncryptedAttachment, keys: Sequence[DecryptionKey]) -> tuple[DecryptionKey, bytes]:
    """Return the key that the attachment is encrypted for, and the session key."""
    *others, last = sorted(keys, key=lambda key: not attachment.recipient.names(key.certificate))
    for key in others:
        try:
            return key, key.unwrap(attachment.wrapped_key, Oaep.SHA256)
        except WireError:
            continue
    return last, last.unwrap(attachment.wrapped_key, Oaep.SHA256)


def _open(content_type: str, limits: As4Limits) -> tuple[str | None, MultipartReader]:
    """Return the Content-ID that ``start`` names, and a reader of the body."""
    outer = ContentType.parse(content_type)
    if outer.media_type != "multipart/related" or outer.parameters.get("type", MEDIA_TYPE) != MEDIA_TYPE:
        raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "multipart/related with a SOAP 1.2 root is required")
    start = outer.parameters.get("start")
    return (start.strip("<>") if start is not None else None), MultipartReader(
        boundary_of(outer),
        max_preamble=limits.max_preamble_bytes,
        max_header=limits.max_part_header_bytes,
    )


def _check_root(fields: Mapping[str, str], root_id: str | None) -> None:
    """Check that the first part is the SOAP part, in UTF-8 (ebms3-core 5.1.2)."""
    inner = ContentType.parse(fields.get("content-type", ""))
    if inner.media_type != MEDIA_TYPE or inner.parameters.get("charset", "utf-8").lower() != "utf-8":
        raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "the first part is not SOAP 1.2 in UTF-8")
    if root_id is not None and content_id(fields) != root_id:
        raise As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "the root part is not the first")


class PayloadReader:
    """A reader of one encrypted, signed and compressed attachment; ``digest`` is the one in the signature."""

    def __init__(self, session_key: bytes, digest: bytes, limits: As4Limits, *, with_headers: bool) -> None:
        self._decryptor = Decryptor(session_key)
        self._expected = digest
        self._hash = hashlib.sha256()
        self._decompressor = Decompressor(
            ExpansionLimits(limits.max_payload_bytes, limits.max_ratio, limits.ratio_free_bytes)
        )
        self._max_encrypted = limits.max_compressed_bytes + VECTOR_SIZE + TAG_SIZE
        self._encrypted = 0
        self._headers = _PartHeaders(limits.max_part_header_bytes) if with_headers else None
        self._inner_fault: WireError | None = None

    @property
    def size(self) -> int:
        """Number of payload bytes so far."""
        return self._decompressor.size

    def feed(self, ciphertext: bytes) -> Iterator[bytes]:
        """Yield the pieces of the payload in ``ciphertext``; none of them is verified yet."""
        self._encrypted += len(ciphertext)
        if self._encrypted > self._max_encrypted:
            raise WireError(WireFault.TOO_LARGE, f"larger than {self._max_encrypted} bytes", "payload")
        content = self._decryptor.feed(ciphertext)
        if self._headers is not None:
            content = self._headers.strip(content)
        self._hash.update(content)
        if self._inner_fault is None:
            try:
                yield from self._decompressor.feed(content)
            except WireError as error:
                self._inner_fault = error

    def finish(self) -> None:
        """Finish the attachment: the payload is what the sender signed only if this returns."""
        self._decryptor.finish()
        if not compare_digest(self._hash.digest(), self._expected):
            raise WireError(WireFault.SIGNATURE, "the payload is not the one that was signed", "payload")
        if self._inner_fault is not None:
            raise self._inner_fault
        self._decompressor.finish()


class _PartHeaders:
    """A filter for the MIME header that ``Attachment-Complete`` also encrypts (WSS SwA profile 1.1, 5.4).

    ``max_bytes`` counts the fields of the header, without the line ends before and after them.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # Start with a line end, so that a header without fields ends like any other.
        self._held: bytes | None = _LINE_END

    def strip(self, content: bytes) -> bytes:
        """Return the content without the header; content with a header over the limit fails its digest."""
        if self._held is None:
            return content
        held = self._held + content
        end = held.find(HEADER_END)
        within = fields_size(held, end) <= self._max_bytes
        self._held = held if within and end < 0 else None
        if not within:
            return held
        return held[end + len(HEADER_END) :] if end >= 0 else b""
