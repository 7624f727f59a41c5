"""The identity of a message and the shape that DIGG's profile gives it."""

from __future__ import annotations

from datetime import datetime

from samdrift.wire.crypto.keys import Random
from samdrift.wire.ebms.types import PartInfo, Property, UserMessage
from samdrift.wire.profile import TransportProfile

ORIGINAL_SENDER = "originalSender"
FINAL_RECIPIENT = "finalRecipient"
MIME_TYPE = "MimeType"
COMPRESSION_TYPE = "CompressionType"
GZIP = "application/gzip"


def new_message_id(rng: Random, domain: str) -> str:
    """A new id in the form of RFC 5322 ``id-left@id-right``, without brackets (ebms3-core 5.2.2.1)."""
    return f"{rng(16).hex()}@{domain}"


def user_message(
    profile: TransportProfile,
    *,
    message_id: str,
    timestamp: datetime,
    from_party: str,
    to_party: str,
    action: str,
    service: str,
    service_type: str,
    conversation_id: str,
    original_sender: str,
    final_recipient: str,
) -> UserMessage:
    """A user message in DIGG's shape: one gzip part ``cid:message`` (transport-profile-as4 2.3.1 a-q).

    ``from_party`` and ``to_party`` are the common names of the access points' certificates;
    ``original_sender`` and ``final_recipient`` participant identifiers. No ``RefToMessageId``
    and no ``AgreementRef``: a peer would take the first for the second leg of an exchange.
    """
    return UserMessage(
        message_id=message_id,
        timestamp=timestamp,
        from_party=from_party,
        from_party_type=profile.party_type,
        from_role=profile.initiator_role,
        to_party=to_party,
        to_party_type=profile.party_type,
        to_role=profile.responder_role,
        service=service,
        service_type=service_type,
        action=action,
        conversation_id=conversation_id,
        properties=(
            Property(ORIGINAL_SENDER, original_sender, profile.property_type),
            Property(FINAL_RECIPIENT, final_recipient, profile.property_type),
        ),
        parts=(
            PartInfo(
                href=f"cid:{profile.payload_content_id}",
                properties=(
                    Property(MIME_TYPE, profile.payload_mime_type),
                    Property(COMPRESSION_TYPE, GZIP),
                ),
            ),
        ),
    )
