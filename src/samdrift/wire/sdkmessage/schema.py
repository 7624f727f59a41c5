"""The elements of an SDK message, their order and number (content-specification 4.3, its schema 3.0).

Clauses: content-specification 4.3.2 answer 1, 4.3.2.1 answer 3, 4.3.2.2 answer 4, 4.3.2.3 answer 1, answer 5,
4.3.3.3 sentence 2.
"""

from __future__ import annotations

from samdrift.wire import xml
from samdrift.wire.xml import Namespace
from samdrift.wire.xml.schema import BOOLEAN, DATE_TIME, TEXT, Particle, Schema, Sequence, Simple, limited

MAX_LABEL = 256
"""Maximum characters in a label, and in the identifier of a reference (content-specification 4.3.2)."""

_LABEL = limited(MAX_LABEL)


def tag(local: str) -> str:
    """Return the expanded name of an element of the format."""
    return xml.name(Namespace.SDK_MESSAGE, local)


def _sequence(type_name: str, *particles: Particle, extensible: bool = True) -> Sequence:
    return Sequence(tag(type_name), particles, extensible)


def _one(local: str, declared: Sequence | Simple) -> Particle:
    return Particle(tag(local), declared)


def _optional(local: str, declared: Sequence | Simple) -> Particle:
    return Particle(tag(local), declared, minimum=0)


def _any_number(local: str, declared: Sequence | Simple, minimum: int = 0) -> Particle:
    return Particle(tag(local), declared, minimum, maximum=None)


_II = _sequence("IIType", _one("root", TEXT), _one("extension", TEXT), extensible=False)
_PERSON = _sequence("AttentionPersonType", _optional("personId", _II), _optional("label", _LABEL))
_SUB_ORGANISATION = _sequence("subOrganizationType", _one("organizationId", _II), _optional("label", _LABEL))
_REFERENCE = _sequence("ReferenceType", _one("referenceId", _II), _optional("label", _LABEL))
_ATTENTION = _sequence(
    "AttentionDataType",
    _any_number("person", _PERSON),
    _one("subOrganization", _SUB_ORGANISATION),
    _any_number("reference", _REFERENCE),
)
_RECIPIENT = _sequence(
    "RecipientType", _one("recipientID", _II), _optional("label", _LABEL), _one("attention", _ATTENTION)
)
_SENDER = _sequence(
    "SenderType", _one("senderID", _II), _optional("label", _LABEL), _optional("attention", _ATTENTION)
)
_HEADER = _sequence(
    "MessageHeaderType",
    _one("creationDateTime", DATE_TIME),
    _one("messageId", TEXT),
    _one("conversationId", TEXT),
    _optional("refToMessageId", TEXT),
    _optional("label", TEXT),
    _one("confidentiality", BOOLEAN),
    _optional("generatingSystem", _II),
    _one("recipient", _RECIPIENT),
    _one("sender", _SENDER),
)
_FILE = _sequence("ContentAsBase64", _one("fileName", TEXT), _one("contentType", TEXT), _one("content", TEXT))
_TEXT = _sequence("contentAsText", _one("characterSequence", TEXT))
_DOCUMENT = _sequence(
    "DigitalDocumentType",
    _one("documentID", TEXT),
    _optional("documentName", TEXT),
    _optional("index", TEXT),
    _any_number("ContentFiles", _FILE),
    _any_number("ContentText", _TEXT),
)
_BODY = _sequence("MessageBodyType", _any_number("documents", _DOCUMENT, minimum=1))
_MESSAGE = _sequence("MessageType", _one("messageHeader", _HEADER), _one("messageBody", _BODY))

SCHEMA = Schema(
    Namespace.SDK_MESSAGE,
    tag("messagePayload"),
    _sequence("MessagePayloadType", _one("message", _MESSAGE), extensible=False),
)
