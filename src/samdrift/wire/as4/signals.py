"""Receipts and errors built: what answers a message (ebms3-core 6, as4-profile 5.1.8).

No ``wsu:Timestamp``: the receipt of a message is kept for months and answers every resend,
and an expired timestamp would make peers refuse it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.ebms import (
    EbmsError,
    SignalInfo,
    UserMessage,
    build_errors,
)
from samdrift.wire.ebms import build_receipt as build_receipt_header
from samdrift.wire.wssec import (
    CONTENT_TYPE,
    Part,
    SignedReference,
    build_body,
    build_envelope,
    build_signature,
)


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
    proof = [reference.xml.decode() for reference in references]
    suffix = _suffix(message_id)
    return _response(build_receipt_header(info, proof, f"Messaging-{suffix}"), suffix, signer)


def build_error(error: EbmsError, *, message_id: str, now: datetime, signer: SigningKey | None) -> Response:
    """An error signal, signed when a key is given (ebms3-core 6.2)."""
    info = SignalInfo(message_id, now, error.ref_to_message_id)
    suffix = _suffix(message_id)
    return _response(build_errors(info, [error], f"Messaging-{suffix}"), suffix, signer)


def _response(header: str, suffix: str, signer: SigningKey | None) -> Response:
    messaging = Part(f"Messaging-{suffix}", header)
    body = build_body(f"Body-{suffix}")
    security = []
    if signer is not None:
        security.append(build_signature((messaging, body), None, signer, f"Signer-{suffix}").markup)
    return Response(CONTENT_TYPE, build_envelope(security, messaging, body))


def _suffix(message_id: str) -> str:
    """What identifiers end in, so that they follow from the message id."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:24]
