"""Answers of the plugin, parsed as they arrive and converted to values.

A Domibus with MTOM enabled answers in MIME, with each payload in a part of its own; without MTOM, the payload
is in the SOAP message in Base64. :class:`AnswerReader` reads both, in memory that does not grow with the
payload: the SOAP message becomes a tree (:class:`Tree`), and its single payload is passed on.

The functions read the values of the plugin's contract from that tree; a tree with another structure raises
:class:`WireError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from lxml import etree

from samdrift.domibus.wire.types import ErrorEntry, IncomingMessage, MessageStatus, PluginFault
from samdrift.wire import xml
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import DOCUMENT_SCHEME, DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.mime import (
    BodyEnd,
    ContentType,
    MimeEvent,
    MultipartReader,
    PartData,
    PartEnd,
    PartStart,
    boundary_of,
    content_id,
)
from samdrift.wire.xml import Element, Namespace, XmlLimits, name
from samdrift.wire.xml.base64text import Decoder
from samdrift.wire.xml.stream import XmlStream

_HEADER: Final = name(Namespace.SOAP12, "Header")

_PAYLOAD: Final = [
    name(Namespace.SOAP12, "Envelope"),
    name(Namespace.SOAP12, "Body"),
    name(Namespace.DOMIBUS, "retrieveMessageResponse"),
    "payload",
    "value",
]
_INCLUDE: Final = [*_PAYLOAD, name(Namespace.XOP, "Include")]

_MOST_TEXT: Final = 4 << 20
"""Maximum number of characters of text and attributes that are kept, over all elements."""
_SOAP: Final = ("application/soap+xml", "application/xop+xml")
_ENCODINGS: Final = ("binary", "8bit", "7bit")

_LIMITS: Final = XmlLimits(max_bytes=220 << 20, max_markup=200_000)
"""Limits for an envelope of 160 MB in Base64, and for the markup of a long list of messages."""
_MOST_VALUE = 1024
_ACTION = f"{DOCUMENT_SCHEME}::"
_MOST_CODE = 40
_MAX_TEXT = 500
_MOST_ID = 255
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]+")
_CODE = re.compile(r"([A-Z_]+)[_:]([0-9]+)")


class AnswerReader:
    """A parser for the body of one answer; every error is a :class:`WireError`, and final."""

    def __init__(self, content_type: str) -> None:
        kind = ContentType.parse(content_type)
        self._mime: MultipartReader | None = None
        self._root_id: str | None = None
        if kind.media_type == "multipart/related":
            self._mime = MultipartReader(boundary_of(kind))
            self._root_id = _bare(kind.parameters.get("start"))
        elif kind.media_type not in _SOAP:
            raise WireError(WireFault.STRUCTURE, "the answer is not SOAP", "Content-Type")
        self._tree = Tree()
        self._stream = XmlStream(self._tree, _LIMITS)
        self._parts = 0
        self._root_read = False

    @property
    def header(self) -> Element | None:
        """Return the SOAP header once it is complete, which is before the payload."""
        return self._tree.header

    @property
    def envelope(self) -> Element:
        """Return the SOAP message without the payload, once the whole answer has been fed."""
        if self._tree.root is None:
            raise WireError(WireFault.STRUCTURE, "the answer is incomplete")
        return self._tree.root

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Parse the next bytes, ``b""`` at the end; yield pieces of the payload, which must all be read."""
        if self._mime is not None:
            yield from self._feed_mime(self._mime, data)
            return
        self._feed_root(data)
        if not data and self._tree.reference is not None:
            raise WireError(WireFault.STRUCTURE, "the payload is not in the answer")
        yield from self._tree.payload()

    def _feed_root(self, data: bytes) -> None:
        if data:
            self._stream.feed(data)
        else:
            self._stream.close()
            self._root_read = True

    def _feed_mime(self, mime: MultipartReader, data: bytes) -> Iterator[bytes]:
        mime.feed(data)
        while (event := mime.next_event()) is not None:
            yield from self._take(event)
            if isinstance(event, BodyEnd):
                return

    def _take(self, event: MimeEvent) -> Iterator[bytes]:
        match event:
            case PartStart():
                self._parts += 1
                self._start(event)
            case PartData(data) if self._root_read:
                yield data
            case PartData(data):
                self._feed_root(data)
                yield from self._tree.payload()
            case PartEnd() if not self._root_read:
                self._feed_root(b"")
                yield from self._tree.payload()
            case BodyEnd() if self._parts < (1 if self._tree.reference is None else 2):
                raise WireError(WireFault.STRUCTURE, "the payload is not in the answer")

    def _start(self, part: PartStart) -> None:
        fields = part.fields
        if fields.get("content-transfer-encoding", "binary").lower() not in _ENCODINGS:
            raise WireError(WireFault.MIME, "an encoding that is not supported", "part header")
        identifier = content_id(fields)
        if self._parts == 1:
            kind = ContentType.parse(fields.get("content-type", "")).media_type
            if kind not in _SOAP or self._root_id not in (None, identifier):
                raise WireError(WireFault.MIME, "the first part is not the SOAP message", "part header")
        elif self._parts > 2 or not _same(self._tree.reference, identifier):
            raise WireError(WireFault.MIME, "a part that the SOAP message does not refer to", "part header")


def _bare(identifier: str | None) -> str | None:
    return content_id({"content-id": identifier}) if identifier is not None else None


def _same(reference: str | None, identifier: str | None) -> bool:
    """Return whether ``cid:…`` refers to that part; CXF escapes either or both (RFC 2392)."""
    if reference is None or identifier is None or not reference.startswith("cid:"):
        return False
    return unquote(reference.removeprefix("cid:")) == unquote(identifier)


class Tree:
    """The SOAP message as a tree, built by a :class:`samdrift.wire.xml.stream.Listener`.

    Text is kept only in elements without children, since the contract has no mixed content.
    """

    def __init__(self) -> None:
        self.root: Element | None = None
        """The whole message, once it is complete."""
        self.header: Element | None = None
        """The SOAP header, once it is complete."""
        self.reference: str | None = None
        """Reference to the payload, if it is not in the message: ``cid:…``."""
        self._open: list[Element] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._kept = 0
        self._payload: Decoder | None = None
        self._in_payload = False
        self._inline = False
        self._pieces: list[bytes] = []

    def payload(self) -> list[bytes]:
        """Return the part of the payload that has arrived since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def start(self, tag: str, attributes: list[tuple[str, str]]) -> bool:
        self._keep(len(tag) + sum(len(key) + len(value) for key, value in attributes))
        self._open.append(self._element(tag, dict(attributes)))
        self._path.append(tag)
        self._text.clear()
        if self._path == _PAYLOAD:
            if self._payload is not None:
                raise WireError(WireFault.STRUCTURE, "more than one payload")
            self._payload = Decoder("payload")
            self._in_payload = True
        elif self._path == _INCLUDE:
            self.reference = self._open[-1].get("href", "")
        return True

    def text(self, data: str) -> None:
        if self._in_payload and self._payload is not None:
            self._decoded(self._payload.feed(data))
        else:
            self._keep(len(data))
            self._text.append(data)

    def end(self) -> None:
        element = self._open.pop()
        if self._path == _PAYLOAD and self._payload is not None:
            self._decoded(self._payload.close())
            self._in_payload = False
            if self._inline and self.reference is not None:
                raise WireError(WireFault.STRUCTURE, "a payload both inside and outside of the message")
        self._path.pop()
        if not len(element):
            _set_text(element, "".join(self._text))
        self._text.clear()
        if element.tag == _HEADER and len(self._open) == 1 and self.header is None:
            self.header = element
        if not self._open:
            self.root = element

    def _decoded(self, piece: bytes) -> None:
        if piece:
            self._inline = True
            self._pieces.append(piece)

    def _element(self, tag: str, attributes: dict[str, str]) -> Element:
        try:
            if self._open:
                return etree.SubElement(self._open[-1], tag, attributes)
            return etree.Element(tag, attributes)
        except ValueError:
            raise WireError(WireFault.NOT_XML, "a name or value that is not allowed") from None

    def _keep(self, length: int) -> None:
        self._kept += length
        if self._kept > _MOST_TEXT:
            raise WireError(WireFault.TOO_LARGE, f"more than {_MOST_TEXT} characters outside the payload")


def _set_text(element: Element, text: str) -> None:
    try:
        element.text = text
    except ValueError:
        raise WireError(WireFault.NOT_XML, "a name or value that is not allowed") from None


def incoming_message(header: Element) -> IncomingMessage:
    """Return the message that a SOAP header describes; raise :class:`WireError` if it violates the profile.

    It must have exactly one payload, and identify sender and recipient (transport-profile-as4 2.3.1 p, q).
    The plugin's own schema is looser and allows any order, and only what the answer needs is read. The
    meaning of the message depends on these values, so each must occur exactly once.
    """
    user = _one(_one(header, "Messaging"), "UserMessage")
    collaboration = _one(user, "CollaborationInfo")
    if len(_one(user, "PayloadInfo").findall(name(Namespace.EBMS3, "PartInfo"))) != 1:
        raise _malformed("not one payload")
    action = _value(_one(collaboration, "Action"))
    if not action.startswith(_ACTION):
        raise _malformed("an action that is not a document type")
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


def fault(envelope: Element) -> PluginFault | None:
    """Return the fault in an answer, or ``None``.

    The plugin's own code is in the detail; some faults, such as a wrong password, have only a reason.
    """
    body = _body(envelope)
    if body.tag != name(Namespace.SOAP12, "Fault"):
        return None
    detail = body.find(f"{name(Namespace.SOAP12, 'Detail')}/{name(Namespace.DOMIBUS, 'FaultDetail')}")
    reason = body.find(f"{name(Namespace.SOAP12, 'Reason')}/{name(Namespace.SOAP12, 'Text')}")
    told = _text(detail, "message") if detail is not None else ""
    return PluginFault(
        _code(_text(detail, "code")) if detail is not None else "",
        told or (_printable(reason) if reason is not None else ""),
    )


def submitted(envelope: Element) -> str:
    """Return the id of a message that was submitted."""
    return _message_id(_answer(envelope, "submitResponse"))


def marked(envelope: Element) -> str:
    """Return the id of a message that was marked as downloaded."""
    return _message_id(_answer(envelope, "markMessageAsDownloadedResponse"))


def pending(envelope: Element) -> tuple[str, ...]:
    """Return the ids of the waiting messages, in order of arrival."""
    return _message_ids(_answer(envelope, "listPendingMessagesResponse"))


def status(envelope: Element) -> MessageStatus:
    """Return the status of a message."""
    try:
        return MessageStatus(xml.text(_answer(envelope, "getStatusResponse")).strip())
    except ValueError:
        raise _malformed_answer("not a status that is known") from None


def errors(envelope: Element) -> tuple[ErrorEntry, ...]:
    """Return the errors of a message so far."""
    return tuple(
        ErrorEntry(
            _code(_text(item, "domibusErrorCode")),
            _text(item, "errorDetail"),
            _text(item, "timestamp"),
            _text(item, "mshRole") == "RECEIVING",
        )
        for item in _answer(envelope, "getMessageErrorsResponse").findall("item")
    )


def _answer(envelope: Element, local: str) -> Element:
    body = _body(envelope)
    if body.tag != name(Namespace.DOMIBUS, local):
        raise _malformed_answer("not the requested answer")
    return body


def _body(envelope: Element) -> Element:
    """Return the single child of the SOAP body."""
    bodies = envelope.findall(name(Namespace.SOAP12, "Body"))
    if envelope.tag != name(Namespace.SOAP12, "Envelope") or len(bodies) != 1 or len(bodies[0]) != 1:
        raise _malformed_answer("not a SOAP 1.2 message with one answer")
    return bodies[0][0]


def _message_id(answer: Element) -> str:
    ids = _message_ids(answer)
    if len(ids) != 1:
        raise _malformed_answer("not one message id")
    return ids[0]


def _message_ids(answer: Element) -> tuple[str, ...]:
    ids = tuple(xml.text(element).strip() for element in answer.findall("messageID"))
    if any(not one or len(one) > _MOST_ID or _UNPRINTABLE.search(one) for one in ids):
        raise _malformed_answer("not a message id")
    return ids


def _text(parent: Element, child: str) -> str:
    found = parent.find(child)
    return _printable(found) if found is not None else ""


def _printable(element: Element) -> str:
    """Return a peer's text limited in length and on one line, to be shown and logged."""
    return _UNPRINTABLE.sub(" ", xml.text(element)).strip()[:_MAX_TEXT]


def _code(text: str) -> str:
    """Return a code in a uniform spelling: the contract has ``EBMS_0005`` for ``EBMS:0005``."""
    found = _CODE.fullmatch(text)
    return f"{found[1]}:{found[2]}" if found else text[:_MOST_CODE]


def _malformed_answer(text: str) -> WireError:
    return WireError(WireFault.STRUCTURE, text, "answer")
