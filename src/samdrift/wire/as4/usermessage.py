"""The user message in the form of DIGG's profile, and the recipient that an incoming message claims.

:class:`AddresseeReader` reads that recipient from as little of a body as possible. NOTHING of it is verified:
it only selects the process that receives the message, and that process judges the whole message again.
"""

from __future__ import annotations

from datetime import datetime

from samdrift.wire.as4.limits import DEFAULT_LIMITS, As4Limits
from samdrift.wire.crypto.keys import Random
from samdrift.wire.ebms import PartInfo, Property, UserMessage, parse_user_message
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.mime import ContentType, MultipartReader, PartData, PartEnd, boundary_of
from samdrift.wire.profile import TransportProfile
from samdrift.wire.wssec import read_document

ORIGINAL_SENDER = "originalSender"
FINAL_RECIPIENT = "finalRecipient"
MIME_TYPE = "MimeType"
COMPRESSION_TYPE = "CompressionType"
GZIP = "application/gzip"


def new_message_id(rng: Random, domain: str) -> str:
    """Create an id of the form ``id-left@id-right`` in RFC 5322, without brackets (ebms3-core 5.2.2.1)."""
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
    """Create a user message of DIGG's form: one gzip part ``cid:message`` (transport-profile-as4 2.3.1 a-q).

    ``from_party`` and ``to_party`` are the common names of the access points' certificates;
    ``original_sender`` and ``final_recipient`` are participant identifiers. There is no
    ``AgreementRef``, and no ``RefToMessageId``: it would make a peer take the message for the second
    leg of an exchange.
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


class AddresseeReader:
    """A reader of the beginning of a body, up to the recipient that it names.

    Bad input is not an error here: it is reported by the process that judges the message.
    """

    def __init__(self, content_type: str, limits: As4Limits = DEFAULT_LIMITS) -> None:
        self.recipient: ParticipantIdentifier | None = None
        """The recipient, once ``enough`` is true; ``None`` if the message names no readable recipient."""
        self.enough = False
        """True when more of the body would not change the result."""
        self._limits = limits
        self._soap = bytearray()
        try:
            self._mime = MultipartReader(
                boundary_of(ContentType.parse(content_type)),
                max_preamble=limits.max_preamble_bytes,
                max_header=limits.max_part_header_bytes,
            )
        except WireError:
            self.enough = True

    def feed(self, data: bytes) -> None:
        """Read the next bytes of the body, ``b""`` at its end."""
        try:
            self._mime.feed(data)
            self.enough = self._read() or not data
        except WireError:
            self.enough = True

    def _read(self) -> bool:
        while (event := self._mime.next_event()) is not None:
            if isinstance(event, PartData):
                self._soap += event.data
                if len(self._soap) > self._limits.max_soap_bytes:
                    return True
            elif isinstance(event, PartEnd):
                document = read_document(bytes(self._soap), self._limits.max_soap_bytes)
                named = parse_user_message(document.messaging).property(FINAL_RECIPIENT)
                self.recipient = ParticipantIdentifier.parse(named or "")
                return True
        return False
