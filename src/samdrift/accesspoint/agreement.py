"""Checks that AS4 header, envelope, peer and clock agree, as pure functions."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from samdrift.wire.as4 import As4Fault, SignedHeader
from samdrift.wire.ebms import EbmsErrorCode, UserMessage
from samdrift.wire.envelope import EnvelopeHeader
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier


class Disagreement(StrEnum):
    """A difference between header and envelope; its text is logged as the reason."""

    RECIPIENT = "finalRecipient differs from the envelope's ToParty"
    SENDER = "originalSender differs from the envelope's FromParty"
    ACTION = "Action differs from the envelope's document identifier"
    SERVICE = "Service differs from the envelope's process identifier"
    FEDERATION = "the envelope names another federation"


def participant(value: str | None) -> ParticipantIdentifier | None:
    """Return the participant that an AS4 property names, or ``None`` if it names none."""
    try:
        return ParticipantIdentifier.parse(value or "")
    except WireError:
        return None


def compare(message: UserMessage, envelope: EnvelopeHeader, federation: str) -> tuple[Disagreement, ...]:
    """Return every disagreement between AS4 header and envelope (component-accesspoint 3.1.6 a, b, c).

    The federation is compared too, since an access point forwards within one federation only
    (transport-profile-as4 2.6 sentence 1, 2.10 e).

    Clauses: accesspoint-test-cases 6.2.5 TF-10.
    """
    process = (envelope.process.value, envelope.process.scheme)
    checks = {
        Disagreement.RECIPIENT: participant(message.property("finalRecipient")) == envelope.recipient,
        Disagreement.SENDER: participant(message.property("originalSender")) == envelope.sender,
        Disagreement.ACTION: message.action == envelope.document.action,
        Disagreement.SERVICE: (message.service, message.service_type) == process,
        Disagreement.FEDERATION: envelope.federation == federation,
    }
    return tuple(disagreement for disagreement, agrees in checks.items() if not agrees)


def require_fresh(header: SignedHeader, now: datetime, tolerance: timedelta) -> None:
    """Reject a ``wsu:Timestamp`` that has expired or lies in the future (WSS 1.1, 10).

    DIGG has announced a test of this (accesspoint-test-cases 7.1). ``tolerance`` is the accepted difference
    between the clocks of two access points. A message without a timestamp, or without its end, is never
    rejected as too old: some peers send none, and replays are recognised by MessageId.
    """
    created, expires = header.security_timestamp, header.security_expires
    if created is not None and created > now + tolerance:
        raise _stale(header, "the security timestamp lies in the future")
    if expires is not None and expires < now - tolerance:
        raise _stale(header, "the security timestamp has expired")


def _stale(header: SignedHeader, text: str) -> As4Fault:
    return As4Fault(
        EbmsErrorCode.POLICY_NONCOMPLIANCE, text, ref_to_message_id=header.user_message.message_id
    )
