"""Receipts and errors built: what answers a message (ebms3-core 6, as4-profile 5.1.8).

No ``wsu:Timestamp``: the receipt of a message is kept for months and answers every resend,
and an expired timestamp would make peers refuse it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from samdrift.wire.ebms import (
    EbmsError,
    SignalInfo,
    UserMessage,
    build_errors,
)
from samdrift.wire.ebms import build_receipt as build_receipt_header
from samdrift.wire.keys import SigningKey
from samdrift.wire.wssec import CONTENT_TYPE, SignedReference, envelope, new_body, new_security, sign
from samdrift.wire.xml import Element, parse


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer: content type and body."""

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
    """A signed receipt for ``user_message`` that repeats the references of its signature.

    To be sent only after the payload is durable. ``message_id`` is the receipt's own.
    """
    info = SignalInfo(message_id, now, user_message.message_id)
    proof = [parse(reference.xml) for reference in references]
    token = _token(message_id)
    return _signed(build_receipt_header(info, proof, f"Messaging-{token}"), token, signer)


def build_error(error: EbmsError, *, message_id: str, now: datetime, signer: SigningKey | None) -> Response:
    """An error signal, signed when a key is given (ebms3-core 6.2)."""
    info = SignalInfo(message_id, now, error.ref_to_message_id)
    token = _token(message_id)
    return _signed(build_errors(info, [error], f"Messaging-{token}"), token, signer)


def _signed(messaging: Element, token: str, signer: SigningKey | None) -> Response:
    body = new_body(f"Body-{token}")
    security = None
    if signer is not None:
        security = new_security()
        sign(security, (messaging, body), None, signer, f"Signer-{token}")
    return Response(CONTENT_TYPE, envelope(security, messaging, body))


def _token(message_id: str) -> str:
    return hashlib.sha256(message_id.encode()).hexdigest()[:24]
