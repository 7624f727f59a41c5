"""Outgoing messages: compress, sign, encrypt, pack, in one stream and little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from samdrift.wire.ebms.types import UserMessage
from samdrift.wire.gzip import Compressed
from samdrift.wire.keys import Random, SigningKey
from samdrift.wire.wssec.references import SignedReference


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A signed header that waits for its payload."""

    content_type: str
    content_length: int
    references: tuple[SignedReference, ...]

    def encode(self, gzip_chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The whole HTTP body, streamed, from the gzip bytes that were signed."""
        raise NotImplementedError


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
    created: datetime,
) -> PreparedMessage:
    """Sign the header and the digest of the payload, and choose the key that encrypts it."""
    raise NotImplementedError


def pack(
    message: UserMessage,
    payload: bytes,
    *,
    signer: SigningKey,
    recipient: x509.Certificate,
    rng: Random,
    created: datetime,
) -> PackedMessage:
    """The whole message in memory."""
    raise NotImplementedError
