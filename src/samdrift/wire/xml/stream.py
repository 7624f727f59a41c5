"""XML as a stream, in bounded memory, under the rules of :mod:`samdrift.wire.xml.reader`.

It is for documents that are too large to be held in memory: envelopes of 100 MB at an access point, and
documents that contain one in base64. No document type declaration, no encoding but UTF-8, and limits on
bytes, markup, depth and attributes.
"""

from __future__ import annotations

from typing import Protocol
from xml.parsers import expat

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml.reader import MAX_ATTRIBUTES, XmlLimits

_MAX_TOKEN = 256 << 10
"""Maximum bytes of one piece of markup (a tag, a comment) that is not yet complete."""

_TEXT = 64 << 10
"""Maximum number of characters of text in one call."""

_UTF16_MARKS = (0x00, 0xFE, 0xFF)
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\n"
"""Base64 and white space, which are plain character data inside an element and need no parsing."""


class Listener(Protocol):
    """Receiver of elements and text in document order; names are expanded, as lxml writes them."""

    def start(self, tag: str, attributes: list[tuple[str, str]]) -> bool:
        """Begin an element; return false to skip text up to the next end of an element."""

    def text(self, data: str) -> None:
        """Receive text of the innermost open element."""

    def end(self) -> None:
        """End the innermost open element."""


class XmlStream:
    """A parser that is fed in pieces; malformed XML, or too much of it, raises :class:`WireError`.

    Exceptions from the listener propagate. The stream cannot be used after an error.
    """

    def __init__(self, listener: Listener, limits: XmlLimits) -> None:
        self._listener = listener
        self._limits = limits
        self._fed = 0
        self._passed_over = 0
        self._head = b""
        self._markup = 0
        self._depth = 0
        self._parser = expat.ParserCreate("UTF-8", "}")
        self._parser.buffer_text = True
        self._parser.buffer_size = _TEXT
        self._parser.XmlDeclHandler = self._declaration
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = listener.text

    def feed(self, chunk: bytes) -> None:
        """Parse the next bytes of the document."""
        self._fed += len(chunk)
        if self._fed > self._limits.max_bytes:
            raise WireError(WireFault.TOO_LARGE, f"larger than {self._limits.max_bytes} bytes")
        if self._means_nothing(chunk):
            self._passed_over += len(chunk)
            return
        self._markup += chunk.count(b"<")
        if self._markup > self._limits.max_markup:
            raise WireError(WireFault.TOO_LARGE, f"more than {self._limits.max_markup} pieces of markup")
        self._refuse_utf16(chunk)
        self._parse(chunk, last=False)
        if self._waiting > _MAX_TOKEN:
            raise WireError(WireFault.TOO_LARGE, f"markup larger than {_MAX_TOKEN} bytes")

    def close(self) -> None:
        """End the document."""
        self._parse(b"", last=True)

    @property
    def _waiting(self) -> int:
        """Number of bytes that the parser holds back until it can interpret them."""
        return self._fed - self._passed_over - self._parser.CurrentByteIndex

    def _means_nothing(self, chunk: bytes) -> bool:
        """Return whether the parser may skip ``chunk``: plain text that is not wanted, outside any markup.

        An envelope of 100 MB is nearly all ciphertext; searching it for anything else takes a fifth of the
        time that parsing it takes.
        """
        unwanted = self._parser.CharacterDataHandler is None
        return unwanted and self._waiting == len(chunk) and not chunk.translate(None, _PLAIN)

    def _refuse_utf16(self, chunk: bytes) -> None:
        """Reject UTF-16 by the first two bytes, because expat would accept it despite being set to UTF-8."""
        if len(self._head) < 2:
            self._head = (self._head + chunk[:2])[:2]
            if any(byte in self._head for byte in _UTF16_MARKS):
                raise WireError(WireFault.FORBIDDEN_XML, "an encoding other than UTF-8", "start")

    def _parse(self, data: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError:
            where = f"byte {self._parser.ErrorByteIndex + self._passed_over}"
            raise WireError(WireFault.NOT_XML, "not well-formed XML", where) from None

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.upper() not in ("UTF-8", "US-ASCII"):
            raise WireError(WireFault.FORBIDDEN_XML, "an encoding other than UTF-8", "XML declaration")

    def _doctype(self, *declared: object) -> None:
        raise WireError(WireFault.FORBIDDEN_XML, "document type declarations are not accepted", "DOCTYPE")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self._limits.max_depth:
            raise WireError(WireFault.TOO_DEEP, f"nested deeper than {self._limits.max_depth} elements")
        if len(attributes) > MAX_ATTRIBUTES:
            raise WireError(WireFault.TOO_LARGE, f"an element with more than {MAX_ATTRIBUTES} attributes")
        named = [(_expanded(key), attributes[key]) for key in attributes] if attributes else []
        if not self._listener.start(_expanded(tag), named):
            self._parser.CharacterDataHandler = None  # the text may be megabytes of ciphertext

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._listener.end()
        self._parser.CharacterDataHandler = self._listener.text


def _expanded(name: str) -> str:
    """Return the name as lxml writes it; expat puts the namespace and a ``}`` before the local name."""
    return "{" + name if "}" in name else name
