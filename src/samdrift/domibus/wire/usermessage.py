"""The header of a message that was retrieved: ``eb:Messaging`` as the plugin writes it.

Its own schema, a loosened one: any order, and no more than the answer needs.
What the message means hangs on these values, so each must stand there once.
"""

from __future__ import annotations

from samdrift.domibus.wire.types import IncomingMessage
from samdrift.wire import xml
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import DOCUMENT_SCHEME, DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.xml import Element, Namespace, name

_MOST_VALUE = 1024
_ACTION = f"{DOCUMENT_SCHEME}::"


def incoming_message(header: Element) -> IncomingMessage:
    """The one message that a SOAP header tells of; :class:`WireError` when it is not one of the profile's.

    Exactly one payload, sender and recipient by their identifiers
    (transport-profile-as4 2.3.1 p, q).
    """
    user = _one(_one(header, "Messaging"), "UserMessage")
    collaboration = _one(user, "CollaborationInfo")
    if len(_one(user, "PayloadInfo").findall(name(Namespace.EBMS3, "PartInfo"))) != 1:
        raise _malformed("not one payload")
    action = _value(_one(collaboration, "Action"))
    if not action.startswith(_ACTION):
        raise _malformed("an action that is no document type")
    return IncomingMessage(
        message_id=_value(_one(_one(user, "MessageInfo"), "MessageId")),
        conversation_id=_value(_one(collaboration, "ConversationId")),
        peer=_value(_one(_one(_one(user, "PartyInfo"), "From"), "PartyId")),
        sender=_organisation(user, "originalSender"),
        recipient=_organisation(user, "finalRecipient"),
        document=DocumentIdentifier(action.removeprefix(_ACTION)),
    )


def _organisation(user: Element, key: str) -> ParticipantIdentifier:
    properties = _one(user, "MessageProperties").findall(name(Namespace.EBMS3, "Property"))
    found = [each for each in properties if each.get("name") == key]
    if len(found) != 1:
        raise _malformed(f"not one property {key}")
    return ParticipantIdentifier.parse(_value(found[0]))


def _one(parent: Element, local: str) -> Element:
    found = parent.findall(name(Namespace.EBMS3, local))
    if len(found) != 1:
        raise _malformed(f"not one {local}")
    return found[0]


def _value(element: Element) -> str:
    text = xml.text(element).strip()
    if not text or len(text) > _MOST_VALUE or not text.isprintable():
        raise _malformed("a value is missing or malformed")
    return text


def _malformed(text: str) -> WireError:
    return WireError(WireFault.STRUCTURE, text, "Messaging")
