"""Facts about a transfer that the event log must contain (component-accesspoint 3.4.1)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.records import Transfer
from samdrift.wire.as4 import FINAL_RECIPIENT, ORIGINAL_SENDER, SignedHeader, UserMessage
from samdrift.wire.crypto.certificates import common_name, fingerprint
from samdrift.wire.profile import TransportProfile
from samdrift.wire.verdicts import Grounds

_OTHER = "other"


def reception_facts(header: SignedHeader, profiles: Iterable[TransportProfile]) -> dict[str, str]:
    """Return sender, recipient and other facts of a received message from its verified header.

    ``profiles`` are the transport profiles that the message is compared with.

    Clauses: component-accesspoint 3.1.7 b, 3.4.1 sentence 2; transport-model-base 3.3.1 step 11, step 20,
    3.3.2 step 11, step 20; transport-model-extended 3.3.1 step 14, step 26, 3.3.2 step 15, step 26.
    """
    message = header.user_message
    return {
        "as4": message.message_id,
        "conversation": message.conversation_id,
        **peer_facts(header.certificate),
        **signature_facts(header.signature),
        "sender": message.property("originalSender") or "",
        "recipient": message.property("finalRecipient") or "",
        "message_type": message.action,
        **profile_facts(message, profiles),
    }


def profile_facts(message: UserMessage, profiles: Iterable[TransportProfile]) -> dict[str, str]:
    """Return the profile whose roles and property types a message uses (transport-profile-as4 2.3.1).

    All values are accepted: the text of version 1.2 was not available, and no decision depends on them.
    """
    roles, types = _OTHER, _OTHER
    came = {each.type for each in message.properties if each.name in (ORIGINAL_SENDER, FINAL_RECIPIENT)}
    for profile in reversed(tuple(profiles)):
        if (message.from_role, message.to_role) == (profile.initiator_role, profile.responder_role):
            roles = profile.identifier
        if came == {profile.property_type}:
            types = profile.identifier
    return {"roles": roles, "property_types": "none" if came == {None} else types}


def keep_peer(
    vault: AccessPointVault,
    certificate: x509.Certificate | None,
    now: datetime,
    grounds: Grounds | None = None,
) -> dict[str, str]:
    """Store the certificate that a log entry names by its SHA-256; do nothing while the peer is unknown.

    ``grounds`` are the reasons for trusting it; the fact that names them is returned. Called together with
    the entry, not earlier, so that a long attempt does not lock rows that others need.

    Clauses: component-accesspoint 3.1.7 a, b, 3.4.1 sentence 1, sentence 2.
    """
    if certificate is not None:
        vault.keep_certificate(certificate.public_bytes(Encoding.DER), now=now)
    return vault.keep_grounds(grounds, now=now)


def peer_facts(certificate: x509.Certificate) -> dict[str, str]:
    """Return the name of the peer's access point, and the SHA-256 of the certificate with that name."""
    return {"peer": common_name(certificate) or "", "certificate": fingerprint(certificate)}


def signature_facts(signature: bytes) -> dict[str, str]:
    """Return the value of the peer's signature in base64: on the received message, or on its receipt."""
    return {"signature": b64encode(signature).decode()}


def transfer_facts(transfer: Transfer) -> dict[str, str]:
    """Return sender, recipient, time and other facts of a transfer, before the peer is known.

    Clauses: component-accesspoint 3.1.7 a, 3.4.1 sentence 1; transport-model-base 2.9.2 sentence 1, 3.3.1
    step 11, step 20, 3.3.2 step 11, step 20; transport-model-extended 3.3.1 step 14, step 26, 3.3.2 step 15,
    step 26.
    """
    envelope = transfer.envelope
    return {
        "transfer": transfer.id,
        "sent": transfer.attempts[-1].at.isoformat(),
        "envelope": envelope.envelope_id,
        "as4": transfer.as4_message_id,
        "conversation": envelope.conversation_id,
        "sender": envelope.sender.value,
        "recipient": envelope.recipient.value,
        "message_type": envelope.document.action,
    }
