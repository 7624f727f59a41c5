"""Outgoing messages: sign the header, then encrypt and pack the payload as a stream.

The header needs only the digest of the compressed payload, so the payload itself may be of any size and is
read only once (transport-profile-as4 2.8 a).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from samdrift.wire.as4.usermessage import GZIP
from samdrift.wire.crypto.keys import Random, SigningKey
from samdrift.wire.ebms import UserMessage, build_user_message
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.gzip import Compressed, Compressor
from samdrift.wire.mime import closing, opening
from samdrift.wire.wssec import (
    CONTENT_TYPE,
    KEY_SIZE,
    MEDIA_TYPE,
    TAG_SIZE,
    VECTOR_SIZE,
    Attachment,
    Encryptor,
    Part,
    SignedReference,
    attachment_id,
    build_body,
    build_encryption,
    build_envelope,
    build_signature,
    build_timestamp,
)

_LIFETIME = timedelta(minutes=5)
_ROOT_ID = "soap"
_BOUNDARY_SIZE = 16


class PayloadEncryptor:
    """An encryptor of the compressed payload into the rest of the HTTP body, for asynchronous callers."""

    def __init__(self, expected: Compressed, encryptor: Encryptor, tail: bytes) -> None:
        self._expected = expected
        self._encryptor = encryptor
        self._tail = tail
        self._hash = hashlib.sha256()
        self._size = 0

    def feed(self, gzip_chunk: bytes) -> bytes:
        """Return the next bytes of the body."""
        self._hash.update(gzip_chunk)
        self._size += len(gzip_chunk)
        return self._encryptor.feed(gzip_chunk)

    def finish(self) -> bytes:
        """Return the body's last bytes; raise :class:`WireError` if the payload is not the signed one."""
        if Compressed(self._hash.digest(), self._size) != self._expected:
            raise WireError(WireFault.SIGNATURE, "the payload is not the one that was signed")
        return self._encryptor.finish() + self._tail


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A signed header that is waiting for its payload, for one attempt: each resend is prepared again.

    ``content_length`` is that of the whole body, in bytes. ``references`` are those that the receipt
    must repeat.
    """

    content_type: str
    content_length: int
    references: tuple[SignedReference, ...]
    _head: bytes = field(repr=False)
    _tail: bytes = field(repr=False)
    _part: Compressed = field(repr=False)
    _session_key: bytes = field(repr=False)
    _vector: bytes = field(repr=False)

    def head(self) -> bytes:
        """Return the body up to the beginning of the encrypted payload."""
        return self._head

    def encryptor(self) -> PayloadEncryptor:
        """Return an encryptor that produces the rest of the body from the signed gzip bytes."""
        return PayloadEncryptor(self._part, Encryptor(self._session_key, self._vector), self._tail)

    def encode(self, gzip_chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the whole body, produced from the gzip bytes that were signed."""
        encryptor = self.encryptor()
        yield self.head()
        yield from map(encryptor.feed, gzip_chunks)
        yield encryptor.finish()


@dataclass(frozen=True, slots=True)
class PackedMessage:
    """A whole message in memory."""

    content_type: str
    body: bytes
    references: tuple[SignedReference, ...]


def prepare(
    message: UserMessage,
    part: Compressed,
    *,
    signer: SigningKey,
    recipient: x509.Certificate,
    rng: Random,
    created: datetime | None = None,
) -> PreparedMessage:
    """Sign Messaging, the empty Body and the digest of the payload, and choose the session key.

    ``part`` is the result of a :class:`Compressor`. ``created`` adds a signed ``wsu:Timestamp``, which some
    peers require and others reject. XML identifiers are derived from the message id, so equal inputs produce
    equal references (ebms3-core 7.2, transport-profile-as4 2.2 a).

    Clauses: architecture-sad 6.2.2 sentence 1; transport-model-base 2.5 sentence 1.
    """
    content_id = _content_id(message)
    suffix = hashlib.sha256(message.message_id.encode()).hexdigest()[:24]
    session_key, vector, boundary = rng(KEY_SIZE), rng(VECTOR_SIZE), rng(_BOUNDARY_SIZE).hex()
    messaging_id = f"Messaging-{suffix}"
    messaging = Part(messaging_id, build_user_message(message, messaging_id))
    body = build_body(f"Body-{suffix}")
    times = [build_timestamp(created, created + _LIFETIME, f"Timestamp-{suffix}")] if created else []
    attachment = Attachment(content_id, part.digest)
    signed = build_signature((messaging, body, *times), attachment, signer, f"Signer-{suffix}")
    encrypted = build_encryption(content_id, GZIP, session_key, recipient, suffix)
    soap = build_envelope((*(time.markup for time in times), encrypted, signed.markup), messaging, body)
    head = _head(boundary, soap, content_id) + vector
    tail = closing(boundary)
    return PreparedMessage(
        content_type=f'multipart/related; boundary="{boundary}"; type="{MEDIA_TYPE}"; start="<{_ROOT_ID}>"',
        content_length=len(head) + part.size + TAG_SIZE + len(tail),
        references=signed.references,
        _head=head,
        _tail=tail,
        _part=part,
        _session_key=session_key,
        _vector=vector,
    )


def pack(
    message: UserMessage,
    payload: bytes,
    *,
    signer: SigningKey,
    recipient: x509.Certificate,
    rng: Random,
    created: datetime | None = None,
) -> PackedMessage:
    """Build the whole message in memory, for payloads that are known to be small."""
    compressor = Compressor()
    chunks = [compressor.feed(payload), compressor.finish()]
    prepared = prepare(
        message, compressor.compressed, signer=signer, recipient=recipient, rng=rng, created=created
    )
    return PackedMessage(prepared.content_type, b"".join(prepared.encode(chunks)), prepared.references)


def _content_id(message: UserMessage) -> str:
    hrefs = [part.href for part in message.parts]
    content_id = attachment_id(hrefs[0]) if len(hrefs) == 1 else None
    if not content_id:
        raise WireError(
            WireFault.STRUCTURE, "a message has exactly one part, in an attachment", "PayloadInfo"
        )
    return content_id


def _head(boundary: str, soap: bytes, content_id: str) -> bytes:
    """Return both part headers with the SOAP part between them; no MIME header is encrypted."""
    root = opening(
        boundary,
        [
            ("Content-Type", CONTENT_TYPE),
            ("Content-Transfer-Encoding", "binary"),
            ("Content-ID", f"<{_ROOT_ID}>"),
        ],
        first=True,
    )
    attachment = opening(
        boundary,
        [
            ("Content-Type", "application/octet-stream"),
            ("Content-Transfer-Encoding", "binary"),
            ("Content-ID", f"<{content_id}>"),
        ],
    )
    return root + soap + attachment
