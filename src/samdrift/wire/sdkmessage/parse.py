"""Parsing of an SDK message into its types (content-specification 4.3)."""

from __future__ import annotations

from samdrift.wire import xml
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.sdkmessage.rules import MAX_BYTES, too_long, validate
from samdrift.wire.sdkmessage.schema import SCHEMA, tag
from samdrift.wire.sdkmessage.types import (
    Attention,
    Document,
    File,
    Ii,
    Party,
    Person,
    Reference,
    SdkMessage,
)
from samdrift.wire.xml import Element
from samdrift.wire.xml.schema import WHITESPACE, require_structure

_MESSAGE_ID = ("message", "messageHeader", "messageId")
_SENDER_ID = ("message", "messageHeader", "sender", "senderID", "extension")


def parse(data: bytes | Element) -> SdkMessage:
    """Parse the message in ``data``; raise :class:`WireError` if it violates the schema or has no label.

    Rules are checked by :func:`samdrift.wire.sdkmessage.validate`, which accepts the same tree. Elements of
    other namespaces are ignored.
    """
    root = xml.parse(data, xml.LARGE) if isinstance(data, bytes) else data
    require_structure(root, SCHEMA)
    message = _one(root, "message")
    header = _one(message, "messageHeader")
    return SdkMessage(
        created=_text(header, "creationDateTime"),
        message_id=_text(header, "messageId"),
        conversation_id=_text(header, "conversationId"),
        ref_to_message_id=_optional_text(header, "refToMessageId"),
        label=_text(header, "label"),
        confidentiality=_text(header, "confidentiality").strip(WHITESPACE) in ("true", "1"),
        generating_system=_optional_ii(header, "generatingSystem"),
        recipient=_party(_one(header, "recipient"), "recipientID"),
        sender=_party(_one(header, "sender"), "senderID"),
        documents=tuple(map(_document, _all(_one(message, "messageBody"), "documents"))),
    )


def origin(root: Element) -> tuple[str, str] | None:
    """Return the message id and the sender in a tree, if it is a message that has each exactly once.

    Nothing else is examined: the tree may be the result of a decryption, and not what its sender wrote.
    """
    found = [
        [xml.text(element) for element in root.iterfind("/".join(map(tag, path)))]
        for path in (_MESSAGE_ID, _SENDER_ID)
    ]
    if root.tag != SCHEMA.root or [len(texts) for texts in found] != [1, 1]:
        return None
    return found[0][0], found[1][0]


def read_tree(root: Element, size: int) -> tuple[tuple[Finding, ...], SdkMessage | None]:
    """Read like :func:`read`, from a message of ``size`` bytes that has already been parsed."""
    found = (too_long(),) if size > MAX_BYTES else validate(root)
    return found, None if found else parse(root)


def read(data: bytes) -> tuple[tuple[Finding, ...], SdkMessage | None]:
    """Return the findings of :func:`validate`, and the message if there are none."""
    if len(data) > MAX_BYTES:
        return validate(data), None
    return read_tree(xml.parse(data, xml.LARGE), len(data))


def _party(element: Element, identifier: str) -> Party:
    attention = _optional(element, "attention")
    return Party(
        _ii(_one(element, identifier)),
        _optional_text(element, "label"),
        None if attention is None else _attention(attention),
    )


def _attention(element: Element) -> Attention:
    sub_organisation = _one(element, "subOrganization")
    return Attention(
        _ii(_one(sub_organisation, "organizationId")),
        _optional_text(sub_organisation, "label"),
        tuple(map(_person, _all(element, "person"))),
        tuple(map(_reference, _all(element, "reference"))),
    )


def _person(element: Element) -> Person:
    return Person(_optional_ii(element, "personId"), _optional_text(element, "label"))


def _reference(element: Element) -> Reference:
    return Reference(_ii(_one(element, "referenceId")), _optional_text(element, "label"))


def _document(element: Element) -> Document:
    """Read one document of a message.

    Clauses: content-specification 4.3.3.3 sentence 1.
    """
    return Document(
        _text(element, "documentID"),
        _optional_text(element, "documentName"),
        _optional_text(element, "index"),
        tuple(map(_file, _all(element, "ContentFiles"))),
        tuple(_text(content, "characterSequence") for content in _all(element, "ContentText")),
    )


def _file(element: Element) -> File:
    return File(_text(element, "fileName"), _text(element, "contentType"), _text(element, "content"))


def _ii(element: Element) -> Ii:
    return Ii(_text(element, "root"), _text(element, "extension"))


def _optional_ii(parent: Element, local: str) -> Ii | None:
    element = _optional(parent, local)
    return None if element is None else _ii(element)


def _text(parent: Element, local: str) -> str:
    return xml.text(_one(parent, local))


def _optional_text(parent: Element, local: str) -> str | None:
    element = _optional(parent, local)
    return None if element is None else xml.text(element)


def _one(parent: Element, local: str) -> Element:
    element = _optional(parent, local)
    if element is None:
        raise WireError(WireFault.STRUCTURE, f"{local} is missing", xml.path(parent))
    return element


def _optional(parent: Element, local: str) -> Element | None:
    return next(parent.iterchildren(tag(local)), None)


def _all(parent: Element, local: str) -> list[Element]:
    return list(parent.iterchildren(tag(local)))
