"""The requests in the plugin's contract: one function for each operation that we use."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from samdrift.domibus.wire.types import OutgoingMessage
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.mime import closing, opening
from samdrift.wire.profile import AS4_1_0 as PROFILE
from samdrift.wire.xml import Element, Namespace, name

_PREFIXES = {"soap": Namespace.SOAP12, "eb": Namespace.EBMS3, "ws": Namespace.DOMIBUS}
_PAYLOAD = f"cid:{PROFILE.payload_content_id}"


def submit(message: OutgoingMessage) -> bytes:
    """Return ``submitMessage``; the envelope itself is in another MIME part (:func:`framing`).

    ``To`` is omitted: Domibus looks up the party and address in SMP by ``finalRecipient`` and its type.
    Service, action and the rest are those of transport-profile-as4 2.3.1 a-c, p, q, as in the processing mode
    that DIGG publishes for Domibus.
    """
    envelope, body = _envelope()
    header = etree.Element(name(Namespace.SOAP12, "Header"))
    envelope.insert(0, header)
    user = _eb(_eb(header, "Messaging"), "UserMessage")
    _eb(_eb(user, "MessageInfo"), "MessageId", message.message_id)
    sender = _eb(_eb(user, "PartyInfo"), "From")
    _eb(sender, "PartyId", message.party, type=PROFILE.party_type)
    _eb(sender, "Role", PROFILE.initiator_role)
    collaboration = _eb(user, "CollaborationInfo")
    _eb(collaboration, "Service", message.process.value, type=message.process.scheme)
    _eb(collaboration, "Action", message.document.action)
    _eb(collaboration, "ConversationId", message.conversation_id)
    properties = _eb(user, "MessageProperties")
    for key, organisation in (("originalSender", message.sender), ("finalRecipient", message.recipient)):
        _eb(properties, "Property", organisation.value, name=key, type=PROFILE.property_type)
    part = _eb(_eb(user, "PayloadInfo"), "PartInfo", href=_PAYLOAD)
    _eb(_eb(part, "PartProperties"), "Property", PROFILE.payload_mime_type, name="MimeType")
    request = etree.SubElement(body, name(Namespace.DOMIBUS, "submitRequest"))
    payload = etree.SubElement(request, "payload", payloadId=_PAYLOAD, contentType=PROFILE.payload_mime_type)
    value = etree.SubElement(payload, "value")
    etree.SubElement(
        value, name(Namespace.XOP, "Include"), href=f"cid:{CONTENT_ID}", nsmap={"xop": Namespace.XOP}
    )
    return _bytes(envelope)


def list_pending(recipient: str = "") -> bytes:
    """Return ``listPendingMessages``, for one final recipient if it is given.

    For a plugin user, Domibus lists the messages of the user's organisation, and logs a warning if a
    recipient is given as well.
    """
    filters = {"finalRecipient": recipient} if recipient else {}
    return _plain("listPendingMessagesRequest", **filters)


def retrieve(message_id: str) -> bytes:
    """Return a ``retrieveMessage`` that leaves the message in place, so that it can be retrieved again."""
    return _plain("retrieveMessageRequest", {"markAsDownloaded": "false"}, messageID=message_id)


def mark_downloaded(message_id: str) -> bytes:
    """Return ``markMessageAsDownloaded``: we have stored the message, and it is no longer listed."""
    return _plain("markMessageAsDownloadedRequest", messageID=message_id)


def ask_status(message_id: str) -> bytes:
    """Return ``getStatusWithAccessPointRole`` for a submitted message.

    The role is given because a message between two organisations at one Domibus exists there twice.
    """
    return _plain("statusRequestWithAccessPointRole", messageID=message_id, accessPointRole="SENDING")


def ask_errors(message_id: str) -> bytes:
    """Return ``getMessageErrors`` for all errors of a message.

    They include those that the other access point signalled, which Domibus stores under the role of a
    receiver.
    """
    return _plain("getErrorsRequest", messageID=message_id)


def ask_own_errors(message_id: str) -> bytes:
    """Return ``getMessageErrorsWithAccessPointRole``, for a message that exists there twice."""
    return _plain("getErrorsRequestWithAccessPointRole", messageID=message_id, accessPointRole="SENDING")


def _plain(request: str, attributes: dict[str, str] | None = None, /, **children: str) -> bytes:
    envelope, body = _envelope()
    element = etree.SubElement(body, name(Namespace.DOMIBUS, request), attributes or {})
    for child, value in children.items():
        _set(etree.SubElement(element, child), value)
    return _bytes(envelope)


def _envelope() -> tuple[Element, Element]:
    envelope = etree.Element(name(Namespace.SOAP12, "Envelope"), nsmap=_PREFIXES)
    return envelope, etree.SubElement(envelope, name(Namespace.SOAP12, "Body"))


def _eb(parent: Element, local: str, text: str = "", /, **attributes: str) -> Element:
    element = etree.SubElement(parent, name(Namespace.EBMS3, local), attributes)
    _set(element, text)
    return element


def _set(element: Element, text: str) -> None:
    try:
        element.text = text or None
    except ValueError:
        raise WireError(WireFault.STRUCTURE, "a value that XML cannot hold") from None


def _bytes(envelope: Element) -> bytes:
    return etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)


CONTENT_ID = "message"
"""Content id of the part with the envelope."""

_ROOT_ID = "request"
_SOAP = "application/soap+xml"
_XOP = "application/xop+xml"


@dataclass(frozen=True, slots=True)
class Framing:
    """The bytes before and after the envelope in the body of a request."""

    content_type: str
    before: bytes
    after: bytes


def framing(soap: bytes, boundary: str) -> Framing:
    """Return the framing for a request; ``boundary`` must be random enough not to occur in the envelope."""
    root = [
        ("Content-Type", f'{_XOP}; charset=UTF-8; type="{_SOAP}"'),
        ("Content-Transfer-Encoding", "binary"),
        ("Content-ID", f"<{_ROOT_ID}>"),
    ]
    envelope = [
        ("Content-Type", "text/xml"),
        ("Content-Transfer-Encoding", "binary"),
        ("Content-ID", f"<{CONTENT_ID}>"),
    ]
    return Framing(
        f'multipart/related; type="{_XOP}"; boundary="{boundary}"; start="<{_ROOT_ID}>"; '
        f'start-info="{_SOAP}"',
        opening(boundary, root, first=True) + soap + opening(boundary, envelope),
        closing(boundary),
    )
