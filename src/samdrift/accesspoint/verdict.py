"""Interpretation of a peer's answer to an attempt at a transfer, as pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from samdrift.contracts.transfer import TransferReason
from samdrift.wire.as4 import (
    As4Fault,
    ErrorSignal,
    SignedReference,
    read_response,
    verify_receipt,
)
from samdrift.wire.ebms import NOT_SERVICED, EbmsError

_DUPLICATE = "EBMS:4001"
_MAX_DETAIL = 2000


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one attempt.

    ``receipt`` holds the bytes of a receipt that proves delivery, and ``signature`` the value of the
    signature on it; without a receipt there is a reason, and ``final`` is true when another attempt would be
    pointless.
    """

    reason: TransferReason = TransferReason.NONE
    detail: str = ""
    final: bool = False
    receipt: bytes = b""
    signature: bytes = b""
    bare_status: bool = False
    """True if the answer was an HTTP status alone, which may be about this recipient only."""

    @property
    def delivered(self) -> bool:
        return bool(self.receipt)


def judge(
    content_type: str,
    body: bytes,
    *,
    message_id: str,
    sent: Sequence[Sequence[SignedReference]],
    peer: x509.Certificate,
) -> Answer:
    """Interpret the synchronous answer to an attempt.

    Only a receipt for the sent content, signed by the peer that SMP names, counts as delivery. An error is
    information for the operator; most are followed by another attempt, since they are often unsigned.
    Only the error that the recipient is not served there is final (transport-profile-as4 2.5 c).
    """
    try:
        signal = read_response(content_type, body)
    except As4Fault as fault:
        return Answer(TransferReason.RECEIPT_INVALID, f"answer is not an AS4 signal: {fault.detail}")
    if isinstance(signal, ErrorSignal):
        return _of_errors(signal.errors)
    verdict = verify_receipt(signal, message_id=message_id, sent=sent, expected=peer)
    if not verdict.valid:
        return Answer(TransferReason.RECEIPT_INVALID, f"receipt: {verdict.reason}")
    return Answer(receipt=body, signature=verdict.signature)


def _of_errors(errors: Sequence[EbmsError]) -> Answer:
    detail = _one_line(
        "; ".join(f"{error.code} {error.detail or error.short_description}" for error in errors)
    )
    if any(error.detail.strip() == NOT_SERVICED for error in errors):
        return Answer(TransferReason.NOT_SERVICED, detail, final=True)
    if any(error.code == _DUPLICATE for error in errors):
        return Answer(TransferReason.RECEIPT_INVALID, f"probably delivered, but without a receipt: {detail}")
    return Answer(TransferReason.PEER_REFUSED, detail)


def _one_line(words: str) -> str:
    """Return a peer's text as one line of limited length, with U+FFFD for unprintable characters."""
    line = " ".join(words.split())[:_MAX_DETAIL]
    return "".join(each if each.isprintable() else "\ufffd" for each in line)
