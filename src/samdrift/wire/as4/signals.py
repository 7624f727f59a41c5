"""Receipts and errors: what answers a message, built and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from samdrift.wire.ebms.errors import EbmsError
from samdrift.wire.ebms.types import SignalInfo, UserMessage
from samdrift.wire.keys import SigningKey
from samdrift.wire.wssec.references import SignedReference


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer: content type and body."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ReceiptSignal:
    """A receipt, read but not verified: give it to :func:`verify_receipt`."""

    info: SignalInfo
    references: tuple[SignedReference, ...]


@dataclass(frozen=True, slots=True)
class ErrorSignal:
    """One or several errors; without ``signed_by`` it is information, not proof."""

    info: SignalInfo
    errors: tuple[EbmsError, ...]
    signed_by: x509.Certificate | None


class ReceiptReason(StrEnum):
    """Why a receipt proves delivery or does not."""

    VALID = "valid"
    NOT_SIGNED = "not-signed"
    SIGNATURE = "signature"
    WRONG_SIGNER = "wrong-signer"
    OTHER_MESSAGE = "other-message"
    OTHER_REFERENCES = "other-references"


@dataclass(frozen=True, slots=True)
class ReceiptVerdict:
    """Whether a receipt proves that the message was received, and by whom."""

    reason: ReceiptReason
    certificate: x509.Certificate | None = None

    @property
    def valid(self) -> bool:
        return self.reason is ReceiptReason.VALID


def build_receipt(
    *,
    user_message: UserMessage,
    references: Sequence[SignedReference],
    message_id: str,
    now: datetime,
    signer: SigningKey,
) -> Response:
    """A signed receipt for ``user_message`` with one NonRepudiationInformation."""
    raise NotImplementedError


def build_error(error: EbmsError, *, message_id: str, now: datetime, signer: SigningKey | None) -> Response:
    """An error signal, signed when a key is given."""
    raise NotImplementedError


def read_response(
    content_type: str | None, body: bytes, candidates: Sequence[x509.Certificate] = ()
) -> ReceiptSignal | ErrorSignal:
    """What a peer answered; :class:`As4Fault` when it is neither receipt nor error."""
    raise NotImplementedError


def verify_receipt(
    signal: ReceiptSignal,
    *,
    message_id: str,
    sent: Sequence[Sequence[SignedReference]],
    expected: x509.Certificate,
) -> ReceiptVerdict:
    """Whether ``expected`` signed that it received ``message_id`` with the parts of one attempt."""
    raise NotImplementedError
