"""What a reader of an AS4 message reports, in the order in which it can be known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from samdrift.wire.ebms.types import UserMessage
from samdrift.wire.wssec import KeyReference, SignedReference


@dataclass(frozen=True, slots=True)
class NeedData:
    """Nothing to report before more bytes are received."""


@dataclass(frozen=True, slots=True)
class SignerWanted:
    """The signature names its certificate without carrying it: find those that it may mean.

    NOTHING here is verified: ``user_message`` tells where to look, and no more.
    """

    user_message: UserMessage


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """The SOAP part, with its signature verified: it covers Messaging, Body and any Timestamp.

    Whether ``certificate`` is trusted is for the caller to decide, before it decrypts.
    ``signature`` is the value of the signature that it made, for the record.
    ``security_timestamp`` and ``security_expires`` are those of ``wsu:Timestamp``, absent with
    peers that send none. ``recipient`` tells which of several keys the payload is for.
    """

    user_message: UserMessage
    certificate: x509.Certificate
    signature: bytes
    security_timestamp: datetime | None
    security_expires: datetime | None
    recipient: KeyReference


@dataclass(frozen=True, slots=True)
class Payload:
    """A decrypted and decompressed piece. NOT verified before :class:`Complete`: hold it aside."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Complete:
    """Authentication tag, attachment digest, end of gzip and of MIME hold: the payload may be handed on.

    ``references`` are those of the message's signature, for the receipt; ``size`` is the
    payload's in bytes, ``digest`` the SHA-256 of its gzip form as signed.
    """

    references: tuple[SignedReference, ...]
    size: int
    digest: bytes


Event = NeedData | SignerWanted | SignedHeader | Payload | Complete


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A whole message, verified."""

    header: SignedHeader
    payload: bytes
    references: tuple[SignedReference, ...]
