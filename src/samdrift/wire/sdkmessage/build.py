"""Writing of SDK messages, in the schema's order (content-specification 4.3).

Some rules apply to senders although recipients do not reject their violation, and are checked here: the
sender's own functional address, and numbered documents if there are several.

The base64 of files never enters the tree: a placeholder represents it there, and it is written in place of
the placeholder, so that 30 MB are copied only once.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from lxml import etree

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.sdkmessage.rules import (
    MAX_BYTES,
    OUTGOING_RULES,
    broken_rules,
    is_file_content,
    too_long,
)
from samdrift.wire.sdkmessage.schema import SCHEMA, tag
from samdrift.wire.sdkmessage.types import Attention, Document, File, Ii, Party, Person, Reference, SdkMessage
from samdrift.wire.xml import Element
from samdrift.wire.xml.schema import MAX_FINDINGS, finding, violations

_MARK: Final = "AAAA"
"""Represents the content of a file in the tree. It is base64, so that the rules accept it."""

_MARKED: Final = f"<tns:content>{_MARK}</tns:content>".encode()
"""The placeholder in serialised form. No text can look like it, because its ``<`` would be escaped."""

_BEFORE, _AFTER = _MARKED.split(_MARK.encode())
_STEP: Final = 1 << 20


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """A message that was checked and is ready to be written: its markup without files, and the findings."""

    findings: tuple[Finding, ...]
    """Reasons why it must not be sent, with the codes that its receipt would have; () if it may be."""
    size: int
    """Size of the whole message in bytes."""
    markup: bytes
    contents: tuple[str, ...]

    def write(self) -> bytes:
        """Return the message as UTF-8 XML."""
        return _with_contents(self.markup, self.contents)


def prepare(message: SdkMessage) -> Prepared:
    """Check an outgoing message against the rules of :func:`validate` and those for senders."""
    contents = tuple(file.content for document in message.documents for file in document.files)
    try:
        root = _payload(message)
    except WireError as error:
        return Prepared((Finding(Reason.SCHEMA, Detail.STRUCTURE, error.text, error.where),), 0, b"", ())
    elements = list(root.iter("*"))
    broken = chain(broken_rules(elements), OUTGOING_RULES.broken(elements))
    found = [*violations(root, SCHEMA), *(finding(one, SCHEMA) for one in broken)]
    markup = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    size = len(markup) + sum(len(content) - len(_MARK) for content in contents)
    if size > MAX_BYTES:
        found.append(too_long())
    return Prepared(tuple(found[:MAX_FINDINGS]), size, markup, contents)


def build(message: SdkMessage) -> bytes:
    """Write the message as UTF-8 XML, valid by construction.

    Raises :class:`WireError` for violations of the schema or a rule, with the path of the element;
    ``TOO_LARGE`` over 30 MB (content-specification 4.3.3.3 content).
    """
    prepared = prepare(message)
    for found in prepared.findings:
        fault = WireFault.TOO_LARGE if found.detail == Detail.TOO_LONG else WireFault.STRUCTURE
        raise WireError(fault, found.text, found.path)
    return prepared.write()


def _with_contents(markup: bytes, contents: Sequence[str]) -> bytes:
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
    """Create an attachment with this content (content-specification 4.3.3.3, RFC 4648)."""
    return File(name, content_type, base64.b64encode(data).decode("ascii"))


def new_timestamp(at: datetime) -> str:
    """Format ``at``, which must be aware, in UTC with three fraction digits (content-specification 4.3.2).

    Clauses: api-mt-mk message sentence 6; content-specification 4.3.2 sentence 1.
    """
    if at.tzinfo is None:
        raise ValueError("a time stamp needs a time zone")
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def instant(timestamp: str) -> datetime:
    """Return the time of a valid timestamp; 24:00 is the start of the next day."""
    at = datetime.fromisoformat(timestamp.replace("T24:", "T00:"))
    try:
        return at + timedelta(days="T24:" in timestamp)
    except OverflowError:  # the last day that datetime can represent
        return at


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
        _add_person(element, person)
    sub_organisation = _add(element, "subOrganization")
    _add_ii(sub_organisation, "organizationId", attention.sub_organisation)
    _add_text(sub_organisation, "label", attention.sub_organisation_label)
    for reference in attention.references:
        _add_reference(element, reference)


def _add_person(attention: Element, person: Person) -> None:
    element = _add(attention, "person")
    _add_ii(element, "personId", person.id)
    _add_text(element, "label", person.label)


def _add_reference(attention: Element, reference: Reference) -> None:
    element = _add(attention, "reference")
    _add_ii(element, "referenceId", reference.id)
    _add_text(element, "label", reference.label)


def _add_document(body: Element, document: Document) -> None:
    element = _add(body, "documents")
    _add(element, "documentID", document.id)
    _add_text(element, "documentName", document.name)
    _add_text(element, "index", document.index)
    for file in document.files:
        _add_file(element, file)
    for text in document.texts:
        _add(_add(element, "ContentText"), "characterSequence", text)


def _add_file(document: Element, file: File) -> None:
    element = _add(document, "ContentFiles")
    _add(element, "fileName", file.name)
    _add(element, "contentType", file.content_type)
    _add(element, "content", _MARK if is_file_content(file.content) else file.content)


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
    try:
        element.text = text
    except ValueError:
        where = xml.path(element)
        raise WireError(WireFault.STRUCTURE, "holds a character that XML does not allow", where) from None
    return element


# --- sizes of parts, before a message is built --------------------------------------------------------------


def text_size(text: str) -> int:
    """Return the number of bytes that a text takes in a message, where XML escapes some characters."""
    escaped = 4 * (text.count("&") + text.count("\r")) + 3 * (text.count("<") + text.count(">"))
    return len(text.encode("utf-8", "surrogatepass")) + escaped


def file_size(name: str, content_type: str, size: int) -> int:
    """Return the number of bytes that a file of ``size`` bytes takes in a message, in Base64."""
    return _FILE_MARKUP + text_size(name) + text_size(content_type) + (size + 2) // 3 * 4


def person_size(person: Person) -> int:
    """Return the number of bytes that a person takes in a message, at most."""
    return _PERSON_MARKUP + _ii_size(person.id) + text_size(person.label or "")


def reference_size(reference: Reference) -> int:
    """Return the number of bytes that a reference takes in a message, at most."""
    return _REFERENCE_MARKUP + _ii_size(reference.id) + text_size(reference.label or "")


def _ii_size(identifier: Ii | None) -> int:
    return text_size(identifier.root) + text_size(identifier.extension) if identifier is not None else 0


def _markup_size(add: Callable[[Element], None]) -> int:
    """Return the number of bytes of the markup that ``add`` writes, without that of its parent."""
    root = etree.Element(SCHEMA.root, nsmap={"tns": SCHEMA.namespace})
    add(root)
    once = len(etree.tostring(root))
    add(root)
    return len(etree.tostring(root)) - once


_NO_ID: Final = Ii("", "")
_FILE_MARKUP: Final = _markup_size(lambda parent: _add_file(parent, File("", "", "")))
_PERSON_MARKUP: Final = _markup_size(lambda parent: _add_person(parent, Person(_NO_ID, "")))
_REFERENCE_MARKUP: Final = _markup_size(lambda parent: _add_reference(parent, Reference(_NO_ID, "")))
