"""A SOAP message as a tree, built from a stream; the text of its one payload passes by."""

from __future__ import annotations

from typing import Final

from lxml import etree

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, name
from samdrift.wire.xml.base64text import Decoder

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
"""Characters of text and attributes that are kept, over all elements."""


class Tree:
    """Implements :class:`samdrift.wire.xml.stream.Listener`.

    Only what is in elements without children is kept as text: the contract
    mixes nothing.
    """

    def __init__(self) -> None:
        self.root: Element | None = None
        """The whole message, once it has ended."""
        self.header: Element | None = None
        """The SOAP header, once it has ended."""
        self.reference: str | None = None
        """Where the payload is, when it is not in the message: ``cid:…``."""
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
            raise WireError(WireFault.TOO_LARGE, f"more than {_MOST_TEXT} characters beside the payload")


def _set_text(element: Element, text: str) -> None:
    try:
        element.text = text
    except ValueError:
        raise WireError(WireFault.NOT_XML, "a name or value that is not allowed") from None
