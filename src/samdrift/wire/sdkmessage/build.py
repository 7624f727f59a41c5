"""Writes an SDK message, in the schema's order (content-specification 4.3).

What a sender is asked of beyond what a receiver rejects is asked here: the
sender's own functional address, and numbered documents when there are several.

The base64 of files never enters the tree: a mark stands for it there, and it is
written in place of the mark, so that 30 MB are copied once.
"""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from lxml import etree

from samdrift.wire import xml
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.schema.check import require_structure
from samdrift.wire.sdkmessage.rules import OUTGOING_RULES, is_file_content
from samdrift.wire.sdkmessage.schema import SCHEMA, tag
from samdrift.wire.sdkmessage.types import Attention, Document, File, Ii, Party, SdkMessage
from samdrift.wire.sdkmessage.validate import MAX_BYTES, broken_rules
from samdrift.wire.xml import Element

_MARK: Final = "AAAA"
"""Stands for the content of a file in the tree. Is base64, so that the rules hold of it."""

_MARKED: Final = f"<tns:content>{_MARK}</tns:content>".encode()
"""As it is serialised. No text can look like that: its ``<`` would be escaped."""

_BEFORE, _AFTER = _MARKED.split(_MARK.encode())
_STEP: Final = 1 << 20


def build(message: SdkMessage) -> bytes:
    """The message as UTF-8 XML, valid by construction.

    :class:`WireError` for what would break the schema or a rule, with the path of
    the element; ``TOO_LARGE`` over 30 MB (content-specification 4.3.3.3 content).
    """
    try:
        root = _payload(message)
    except ValueError:
        raise WireError(WireFault.STRUCTURE, "a character that XML does not allow", "message") from None
    require_structure(root, SCHEMA)
    elements = list(root.iter("*"))
    for broken in chain(broken_rules(elements), OUTGOING_RULES.broken(elements)):
        raise WireError(WireFault.STRUCTURE, broken.rule.text, xml.path(broken.element))
    markup = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    contents = [file.content for document in message.documents for file in document.files]
    if len(markup) + sum(len(content) - len(_MARK) for content in contents) > MAX_BYTES:
        raise WireError(WireFault.TOO_LARGE, f"larger than {MAX_BYTES} bytes")
    return _with_contents(markup, contents)


def _with_contents(markup: bytes, contents: list[str]) -> bytes:
    first, *rest = markup.split(_MARKED)
    data = io.BytesIO()
    data.write(first)
    for content, following in zip(contents, rest, strict=True):
        data.write(_BEFORE)
        for start in range(0, len(content), _STEP):
            data.write(content[start : start + _STEP].encode("ascii"))
        data.write(_AFTER)
        data.write(following)
    return data.getvalue()


def file_from_bytes(name: str, content_type: str, data: bytes) -> File:
    """An attachment with this content (content-specification 4.3.3.3, RFC 4648)."""
    return File(name, content_type, base64.b64encode(data).decode("ascii"))


def new_timestamp(at: datetime) -> str:
    """``at``, which has a time zone, in UTC with three fraction digits (content-specification 4.3.2)."""
    if at.tzinfo is None:
        raise ValueError("a time stamp needs a time zone")
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _payload(message: SdkMessage) -> Element:
    root = etree.Element(SCHEMA.root, nsmap={"tns": SCHEMA.namespace})
    envelope = _add(root, "message")
    header = _add(envelope, "messageHeader")
    _add(header, "creationDateTime", message.created)
    _add(header, "messageId", message.message_id)
    _add(header, "conversationId", message.conversation_id)
    _add_text(header, "refToMessageId", message.ref_to_message_id)
    _add(header, "label", message.label)
    _add(header, "confidentiality", "true" if message.confidentiality else "false")
    _add_ii(header, "generatingSystem", message.generating_system)
    _add_party(header, "recipient", "recipientID", message.recipient)
    _add_party(header, "sender", "senderID", message.sender)
    body = _add(envelope, "messageBody")
    for document in message.documents:
        _add_document(body, document)
    return root


def _add_party(header: Element, local: str, identifier: str, party: Party) -> None:
    element = _add(header, local)
    _add_ii(element, identifier, party.id)
    _add_text(element, "label", party.label)
    if party.attention is not None:
        _add_attention(element, party.attention)


def _add_attention(party: Element, attention: Attention) -> None:
    element = _add(party, "attention")
    for person in attention.persons:
        person_element = _add(element, "person")
        _add_ii(person_element, "personId", person.id)
        _add_text(person_element, "label", person.label)
    sub_organisation = _add(element, "subOrganization")
    _add_ii(sub_organisation, "organizationId", attention.sub_organisation)
    _add_text(sub_organisation, "label", attention.sub_organisation_label)
    for reference in attention.references:
        reference_element = _add(element, "reference")
        _add_ii(reference_element, "referenceId", reference.id)
        _add_text(reference_element, "label", reference.label)


def _add_document(body: Element, document: Document) -> None:
    element = _add(body, "documents")
    _add(element, "documentID", document.id)
    _add_text(element, "documentName", document.name)
    _add_text(element, "index", document.index)
    for file in document.files:
        file_element = _add(element, "ContentFiles")
        _add(file_element, "fileName", file.name)
        _add(file_element, "contentType", file.content_type)
        _add(file_element, "content", _MARK if is_file_content(file.content) else file.content)
    for text in document.texts:
        _add(_add(element, "ContentText"), "characterSequence", text)


def _add_ii(parent: Element, local: str, identifier: Ii | None) -> None:
    if identifier is not None:
        element = _add(parent, local)
        _add(element, "root", identifier.root)
        _add(element, "extension", identifier.extension)


def _add_text(parent: Element, local: str, text: str | None) -> None:
    if text is not None:
        _add(parent, local, text)


def _add(parent: Element, local: str, text: str | None = None) -> Element:
    element = etree.SubElement(parent, tag(local))
    element.text = text
    return element
