"""Reads any answer of the plugin as it streams in: the SOAP message whole, its payload in pieces.

A Domibus with MTOM switched on answers in MIME, each payload in a part of its
own; one without puts it into the SOAP message in base64. Both are read, in
memory that does not grow with the payload.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from samdrift.domibus.wire.tree import Tree
from samdrift.domibus.wire.types import IncomingMessage
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
from samdrift.wire.xml.stream import XmlStream

_SOAP: Final = ("application/soap+xml", "application/xop+xml")
_ENCODINGS: Final = ("binary", "8bit", "7bit")
_LIMITS: Final = XmlLimits(max_bytes=220 << 20, max_markup=200_000)
"""The bytes are those of an envelope of 160 MB in base64; the markup, that of a long list of messages."""


class AnswerReader:
    """Feed it the body of one answer; every refusal is a :class:`WireError`, and final."""

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
        """The SOAP header as soon as it is whole, which is before the payload."""
        return self._tree.header

    @property
    def envelope(self) -> Element:
        """The SOAP message without the payload; after the whole answer was fed."""
        if self._tree.root is None:
            raise WireError(WireFault.STRUCTURE, "the answer is not whole")
        return self._tree.root

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes, ``b""`` at the end; returns pieces of the payload, to be used up."""
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
    """Return whether ``cid:…`` means that part; CXF escapes the one, the other, or both (RFC 2392)."""
    if reference is None or identifier is None or not reference.startswith("cid:"):
        return False
    return unquote(reference.removeprefix("cid:")) == unquote(identifier)


_MOST_VALUE = 1024
_ACTION = f"{DOCUMENT_SCHEME}::"


def incoming_message(header: Element) -> IncomingMessage:
    """The one message that a SOAP header tells of; :class:`WireError` when it is not one of the profile's.

    Exactly one payload, sender and recipient by their identifiers
    (transport-profile-as4 2.3.1 p, q). The plugin's own schema is a loosened one, in any
    order, and no more of it is read than the answer needs. The meaning of the message
    depends on these values, so each must be there once.
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
