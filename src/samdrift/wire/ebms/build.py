"""``eb:Messaging`` headers from frozen values (ebms3-core 5.2, 6.2; as4-profile 5.1.8)."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from samdrift.wire.ebms.errors import EbmsError
from samdrift.wire.ebms.structure import eb
from samdrift.wire.ebms.times import format_time
from samdrift.wire.ebms.types import PartInfo, Property, SignalInfo, UserMessage
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, name

_MESSAGING_PREFIXES = {"eb": Namespace.EBMS3, "S12": Namespace.SOAP12, "wsu": Namespace.WSU}
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def build_user_message(message: UserMessage, wsu_id: str) -> Element:
    """``eb:Messaging`` with one user message, identified as ``wsu_id`` for the signature."""
    messaging = _messaging(wsu_id)
    attributes = {"mpc": message.mpc} if message.mpc is not None else {}
    user = etree.SubElement(messaging, eb("UserMessage"), attributes)
    _message_info(user, SignalInfo(message.message_id, message.timestamp, message.ref_to_message_id))
    parties = etree.SubElement(user, eb("PartyInfo"))
    _party(parties, "From", message.from_party, message.from_party_type, message.from_role)
    _party(parties, "To", message.to_party, message.to_party_type, message.to_role)
    collaboration = etree.SubElement(user, eb("CollaborationInfo"))
    _typed(collaboration, "Service", message.service, message.service_type)
    _typed(collaboration, "Action", message.action)
    _typed(collaboration, "ConversationId", message.conversation_id)
    _properties(user, "MessageProperties", message.properties)
    _payload_info(user, message.parts)
    return messaging


def build_receipt(info: SignalInfo, proof: Iterable[Element], wsu_id: str) -> Element:
    """``eb:Messaging`` with one receipt whose only child is NonRepudiationInformation.

    Exactly one child, since Domibus insists on it; each of ``proof`` is a ``ds:Reference``
    of the message that is acknowledged.
    """
    messaging = _messaging(wsu_id)
    signal = etree.SubElement(messaging, eb("SignalMessage"))
    _message_info(signal, info)
    receipt = etree.SubElement(signal, eb("Receipt"))
    information = etree.SubElement(
        receipt,
        name(Namespace.EBBP_SIGNALS, "NonRepudiationInformation"),
        nsmap={"ebbp": Namespace.EBBP_SIGNALS},
    )
    for reference in proof:
        part = etree.SubElement(information, name(Namespace.EBBP_SIGNALS, "MessagePartNRInformation"))
        part.append(reference)
    return messaging


def build_errors(info: SignalInfo, errors: Iterable[EbmsError], wsu_id: str) -> Element:
    """``eb:Messaging`` with an error signal (ebms3-core 6.2)."""
    messaging = _messaging(wsu_id)
    signal = etree.SubElement(messaging, eb("SignalMessage"))
    _message_info(signal, info)
    for error in errors:
        attributes = {
            "category": error.category,
            "errorCode": str(error.code),
            "origin": "ebMS",
            "refToMessageInError": error.ref_to_message_id,
            "severity": error.severity,
            "shortDescription": error.short_description,
        }
        element = etree.SubElement(
            signal, eb("Error"), {key: text for key, text in attributes.items() if text}
        )
        if error.description:
            _typed(element, "Description", error.description).set(_XML_LANG, "en")
        if error.detail:
            _typed(element, "ErrorDetail", error.detail)
    return messaging


def _messaging(wsu_id: str) -> Element:
    messaging = etree.Element(eb("Messaging"), nsmap=_MESSAGING_PREFIXES)
    messaging.set(name(Namespace.SOAP12, "mustUnderstand"), "true")
    messaging.set(name(Namespace.WSU, "Id"), wsu_id)
    return messaging


def _message_info(parent: Element, info: SignalInfo) -> None:
    element = etree.SubElement(parent, eb("MessageInfo"))
    _typed(element, "Timestamp", format_time(info.timestamp))
    _typed(element, "MessageId", info.message_id)
    if info.ref_to_message_id is not None:
        _typed(element, "RefToMessageId", info.ref_to_message_id)


def _party(parent: Element, local: str, party: str, party_type: str | None, role: str) -> None:
    element = etree.SubElement(parent, eb(local))
    _typed(element, "PartyId", party, party_type)
    _typed(element, "Role", role)


def _properties(parent: Element, local: str, properties: tuple[Property, ...]) -> None:
    if not properties:
        return
    element = etree.SubElement(parent, eb(local))
    for entry in properties:
        _typed(element, "Property", entry.value, entry.type).set("name", entry.name)


def _payload_info(parent: Element, parts: tuple[PartInfo, ...]) -> None:
    element = etree.SubElement(parent, eb("PayloadInfo"))
    for part in parts:
        _properties(
            etree.SubElement(element, eb("PartInfo"), href=part.href), "PartProperties", part.properties
        )


def _typed(parent: Element, local: str, text: str, type_: str | None = None) -> Element:
    """Append a text element; :class:`WireError` (``STRUCTURE``) when XML cannot hold the text."""
    element = etree.SubElement(parent, eb(local))
    try:
        element.text = text
        if type_ is not None:
            element.set("type", type_)
    except ValueError:
        raise WireError(WireFault.STRUCTURE, "holds characters that XML cannot", local) from None
    return element
