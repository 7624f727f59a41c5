"""``eb:Messaging`` headers into frozen values, by the ebMS 3.0 schema and nothing looser."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from samdrift.wire.ebms.types import PartInfo, Property, SignalInfo, UserMessage, parse_time
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, children, local_name, name, path, text

_MAX_VALUE = 1024


@cache
def eb(local: str) -> str:
    """The expanded name of an ebMS element."""
    return name(Namespace.EBMS3, local)


@dataclass(frozen=True, slots=True)
class Slot:
    """A child in a sequence: expanded name and how often it may stand there."""

    tag: str
    minimum: int = 1
    maximum: int = 1


Slots = tuple[Slot, ...]
"""The children that an element has, in order."""


def one(local: str) -> Slot:
    """Exactly one child by that name."""
    return Slot(eb(local))


def optional(local: str, maximum: int = 1) -> Slot:
    """None or up to ``maximum`` children by that name."""
    return Slot(eb(local), 0, maximum)


def read_sequence(element: Element, slots: Slots) -> list[list[Element]]:
    """The children of ``element`` by slot, in order; :class:`WireError` (``STRUCTURE``) otherwise."""
    waiting = children(element)
    found: list[list[Element]] = []
    at = 0
    for slot in slots:
        start, end = at, min(len(waiting), at + slot.maximum)
        while at < end and waiting[at].tag == slot.tag:
            at += 1
        if at - start < slot.minimum:
            raise malformed(element, "an element is missing or misplaced")
        found.append(waiting[start:at])
    if at < len(waiting):
        raise malformed(element, "has an element that does not belong there")
    return found


def value(element: Element) -> str:
    """The text of an element without white space round it; neither empty nor unreasonably long."""
    if children(element):
        raise malformed(element, f"{local_name(element)} holds elements")
    found = text(element).strip()
    if not found or len(found) > _MAX_VALUE:
        raise malformed(element, f"{local_name(element)} is empty or too long")
    return found


def malformed(element: Element, message: str) -> WireError:
    """The error for a header that is not as the schema says."""
    return WireError(WireFault.STRUCTURE, message, path(element))


_MANY = 64
_MESSAGING = (one("UserMessage"),)
_USER_MESSAGE = (
    one("MessageInfo"),
    one("PartyInfo"),
    one("CollaborationInfo"),
    optional("MessageProperties"),
    optional("PayloadInfo"),
)
_MESSAGE_INFO = (one("Timestamp"), one("MessageId"), optional("RefToMessageId"))
_PARTY_INFO = (one("From"), one("To"))
_PARTY = (one("PartyId"), one("Role"))
_COLLABORATION_INFO = (optional("AgreementRef"), one("Service"), one("Action"), one("ConversationId"))
_PROPERTIES = (Slot(eb("Property"), 1, _MANY),)
_PAYLOAD_INFO = (optional("PartInfo", _MANY),)
_PART_INFO = (optional("Schema"), optional("Description", _MANY), optional("PartProperties"))
_MESSAGE_ID = f"{eb('UserMessage')}/{eb('MessageInfo')}/{eb('MessageId')}"


def parse_user_message(messaging: Element) -> UserMessage:
    """The one user message of a header; :class:`WireError` (``STRUCTURE``) for anything else.

    One message for each SOAP envelope: the profile bundles nothing (eDelivery AS4 common
    profile). Property names stand once, so that nobody reads another one than we do.
    """
    ((user,),) = read_sequence(messaging, _MESSAGING)
    (info,), (parties,), (collaboration,), properties, payload = read_sequence(user, _USER_MESSAGE)
    message_info = parse_message_info(info)
    (sender,), (receiver,) = read_sequence(parties, _PARTY_INFO)
    from_party, from_type, from_role = _party(sender)
    to_party, to_type, to_role = _party(receiver)
    _, (service,), (action,), (conversation,) = read_sequence(collaboration, _COLLABORATION_INFO)
    return UserMessage(
        message_id=message_info.message_id,
        timestamp=message_info.timestamp,
        from_party=from_party,
        from_party_type=from_type,
        from_role=from_role,
        to_party=to_party,
        to_party_type=to_type,
        to_role=to_role,
        service=value(service),
        service_type=service.get("type"),
        action=value(action),
        conversation_id=value(conversation),
        properties=_properties(properties),
        parts=tuple(_part(part) for part in _parts(payload)),
        mpc=user.get("mpc"),
        ref_to_message_id=message_info.ref_to_message_id,
    )


def parse_message_info(element: Element) -> SignalInfo:
    """``eb:MessageInfo`` of a user message or a signal."""
    (timestamp,), (message_id,), reference = read_sequence(element, _MESSAGE_INFO)
    at = parse_time(value(timestamp))
    if at is None:
        raise malformed(timestamp, "not a time")
    return SignalInfo(value(message_id), at, value(reference[0]) if reference else None)


def message_id_of(messaging: Element) -> str | None:
    """The id of a message whose header may be broken otherwise, to name it in an error."""
    found = messaging.find(_MESSAGE_ID)
    return None if found is None or len(found) else (found.text or "").strip()[:255] or None


def _party(element: Element) -> tuple[str, str | None, str]:
    (party,), (role,) = read_sequence(element, _PARTY)
    return value(party), party.get("type"), value(role)


def _properties(containers: list[Element]) -> tuple[Property, ...]:
    found: dict[str, Property] = {}
    for container in containers:
        (entries,) = read_sequence(container, _PROPERTIES)
        for entry in entries:
            key = entry.get("name")
            if not key or key in found:
                raise malformed(entry, "has no name of its own")
            found[key] = Property(key, value(entry), entry.get("type"))
    return tuple(found.values())


def _parts(payload: list[Element]) -> list[Element]:
    return read_sequence(payload[0], _PAYLOAD_INFO)[0] if payload else []


def _part(element: Element) -> PartInfo:
    _, _, properties = read_sequence(element, _PART_INFO)
    return PartInfo(element.get("href", ""), _properties(properties))
