"""Events that a reader of AS4 messages reports, in the order in which they occur, and its exception."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography import x509

from samdrift.wire.ebms import EbmsError, EbmsErrorCode, UserMessage
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec import KeyReference, SignedReference


@dataclass(frozen=True, slots=True)
class NeedData:
    """No event can be reported until more bytes are received."""


@dataclass(frozen=True, slots=True)
class SignerWanted:
    """The signature refers to a certificate without including it: the caller must supply candidates.

    NOTHING here is verified: ``user_message`` only indicates where to look for certificates.
    """

    user_message: UserMessage


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """The SOAP part, with a verified signature that covers Messaging, Body and any Timestamp.

    The caller decides whether ``certificate`` is trusted, before it decrypts. ``signature`` is the signature
    value, for the record. ``security_timestamp`` and ``security_expires`` come from ``wsu:Timestamp``; they
    are absent if the peer sends none. ``recipient`` identifies the key that the payload is encrypted for.
    """

    user_message: UserMessage
    certificate: x509.Certificate
    signature: bytes
    security_timestamp: datetime | None
    security_expires: datetime | None
    recipient: KeyReference


@dataclass(frozen=True, slots=True)
class Payload:
    """A decrypted and decompressed piece. NOT verified before :class:`Complete`: keep it separate."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Complete:
    """The whole message is verified (authentication tag, digest, ends of gzip and MIME): release the payload.

    ``references`` are those of the message's signature, for the receipt; ``size`` is the payload's in bytes,
    ``digest`` the SHA-256 of its gzip form as signed.
    """

    references: tuple[SignedReference, ...]
    size: int
    digest: bytes


Event = NeedData | SignerWanted | SignedHeader | Payload | Complete


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A whole, verified message."""

    header: SignedHeader
    payload: bytes
    references: tuple[SignedReference, ...]


_CODES = {
    WireFault.NOT_XML: EbmsErrorCode.INVALID_HEADER,
    WireFault.FORBIDDEN_XML: EbmsErrorCode.INVALID_HEADER,
    WireFault.TOO_LARGE: EbmsErrorCode.OTHER,
    WireFault.TOO_DEEP: EbmsErrorCode.INVALID_HEADER,
    WireFault.UNKNOWN_ROOT: EbmsErrorCode.INVALID_HEADER,
    WireFault.STRUCTURE: EbmsErrorCode.INVALID_HEADER,
    WireFault.IDENTIFIER: EbmsErrorCode.VALUE_NOT_RECOGNIZED,
    WireFault.ALGORITHM: EbmsErrorCode.POLICY_NONCOMPLIANCE,
    WireFault.SIGNATURE: EbmsErrorCode.FAILED_AUTHENTICATION,
    WireFault.DECRYPTION: EbmsErrorCode.FAILED_DECRYPTION,
    WireFault.MIME: EbmsErrorCode.MIME_INCONSISTENCY,
    WireFault.COMPRESSION: EbmsErrorCode.DECOMPRESSION_FAILURE,
}
"""The ebMS error that answers each fault of the lower layers."""

_FAULTS = {
    EbmsErrorCode.MIME_INCONSISTENCY: WireFault.MIME,
    EbmsErrorCode.FAILED_AUTHENTICATION: WireFault.SIGNATURE,
    EbmsErrorCode.FAILED_DECRYPTION: WireFault.DECRYPTION,
    EbmsErrorCode.POLICY_NONCOMPLIANCE: WireFault.ALGORITHM,
    EbmsErrorCode.DECOMPRESSION_FAILURE: WireFault.COMPRESSION,
}


class As4Fault(WireError):
    """An inbound message or signal that is rejected, with the ebMS error to answer it.

    ``detail`` is our own text, contains no message content and may be sent to the peer.
    ``ref_to_message_id`` is the id of the message at fault, if known; it is unverified if the signature is.
    """

    def __init__(
        self, error: EbmsErrorCode, detail: str, *, where: str = "", ref_to_message_id: str | None = None
    ) -> None:
        super().__init__(_FAULTS.get(error, WireFault.STRUCTURE), detail, where)
        self.error = error
        self.detail = str(self)
        self.ref_to_message_id = ref_to_message_id

    @classmethod
    def of(cls, error: WireError, ref_to_message_id: str | None = None) -> Self:
        """Create the fault that answers an error of a lower layer."""
        code = error.error if isinstance(error, As4Fault) else _CODES[error.fault]
        return cls(code, error.text, where=error.where, ref_to_message_id=ref_to_message_id)

    def as_error(self) -> EbmsError:
        """Return the ebMS error to answer with."""
        return EbmsError.of(self.error, self.detail, self.ref_to_message_id)
