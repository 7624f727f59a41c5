"""Whether AS4 header, envelope and peer say the same: pure comparisons."""

from __future__ import annotations

from enum import StrEnum

from samdrift.wire.ebms import UserMessage
from samdrift.wire.envelope import EnvelopeHeader
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier


class Disagreement(StrEnum):
    """What differs; the words stand in the event log as the reason."""

    RECIPIENT = "finalRecipient differs from the envelope's ToParty"
    SENDER = "originalSender differs from the envelope's FromParty"
    ACTION = "Action differs from the envelope's document identifier"
    SERVICE = "Service differs from the envelope's process identifier"
    FEDERATION = "the envelope names another federation"


def participant(value: str | None) -> ParticipantIdentifier | None:
    """The participant that an AS4 property names, or ``None`` when it names none."""
    try:
        return ParticipantIdentifier.parse(value or "")
    except WireError:
        return None


def compare(message: UserMessage, envelope: EnvelopeHeader, federation: str) -> tuple[Disagreement, ...]:
    """Every way in which the AS4 header and the envelope disagree (component-accesspoint 3.1.6 a, b, c).

    The federation is compared too, since an access point forwards within one
    federation only (transport-profile-as4 2.6 sentence 1, 2.10 e).

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
