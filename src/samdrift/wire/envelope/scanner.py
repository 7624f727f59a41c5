"""Reads an envelope's header from a stream, with bounded memory, and checks the envelope on the way.

For access points: they hand on envelopes of 100 MB and more that they cannot
decrypt, and must know sender, recipient, document and process, and that the
envelope follows the profile (component-accesspoint 3.1.4 a, 3.1.6, 3.2.2 a).
"""

from __future__ import annotations

from xml.parsers import expat

from samdrift.wire.envelope.checker import Checker
from samdrift.wire.envelope.header import EnvelopeHeader
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import LARGE, XmlLimits

_MAX_TOKEN = 256 << 10
"""Most bytes of one piece of markup (a tag, a comment) that may be waiting for its end."""

_UTF16_MARKS = (0x00, 0xFE, 0xFF)
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\n"
"""Base64 and white space: character data wherever an element is open, with nothing to check in it."""


class HeaderScanner:
    """Feed it the envelope's bytes in pieces; what breaks the profile raises :class:`WireError`.

    Says of an envelope what :func:`samdrift.wire.envelope.validate` says of it,
    through the same checker. After an error the scanner is of no further use.
    """

    def __init__(self, limits: XmlLimits = LARGE) -> None:
        self._limits = limits
        self._checker = Checker()
        self._fed = 0
        self._passed_over = 0
        self._head = b""
        self._markup = 0
        self._depth = 0
        self._parser = expat.ParserCreate("UTF-8", "}")
        self._parser.XmlDeclHandler = self._declaration
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._checker.text

    @property
    def header(self) -> EnvelopeHeader | None:
        """The header as soon as the payload has begun; preliminary until :meth:`close`."""
        return self._checker.header

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the envelope."""
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

    def close(self) -> EnvelopeHeader:
        """The envelope ended; its header."""
        self._parse(b"", last=True)
        self._checker.finish()
        self._raise_finding()
        if self._checker.header is None:
            raise AssertionError("an envelope without findings has a header")
        return self._checker.header

    @property
    def _waiting(self) -> int:
        """How many bytes the parser holds back until it knows what they are: the beginning of markup."""
        return self._fed - self._passed_over - self._parser.CurrentByteIndex

    def _means_nothing(self, chunk: bytes) -> bool:
        """Whether the parser would read over ``chunk``: plain text, in a payload, with no markup begun.

        An envelope of 100 MB is nearly all ciphertext; looking for anything else in
        it takes a fifth of the time that parsing it takes.
        """
        in_payload = self._parser.CharacterDataHandler is None
        return in_payload and self._waiting == len(chunk) and not chunk.translate(None, _PLAIN)

    def _refuse_utf16(self, chunk: bytes) -> None:
        """By the first two bytes, as expat would recognise it although it was told UTF-8."""
        if len(self._head) < 2:
            self._head = (self._head + chunk[:2])[:2]
            if any(byte in self._head for byte in _UTF16_MARKS):
                raise WireError(WireFault.FORBIDDEN_XML, "another encoding than UTF-8", "start")

    def _parse(self, data: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError:
            where = f"byte {self._parser.ErrorByteIndex + self._passed_over}"
            raise WireError(WireFault.NOT_XML, "not well-formed XML", where) from None

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.upper() not in ("UTF-8", "US-ASCII"):
            raise WireError(WireFault.FORBIDDEN_XML, "another encoding than UTF-8", "XML declaration")

    def _doctype(self, *declared: object) -> None:
        raise WireError(WireFault.FORBIDDEN_XML, "document type declarations are not accepted", "DOCTYPE")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self._limits.max_depth:
            raise WireError(WireFault.TOO_DEEP, f"nested deeper than {self._limits.max_depth} elements")
        wanted = self._checker.start(
            _expanded(tag), [(_expanded(key), attributes[key]) for key in attributes]
        )
        self._raise_finding()
        if not wanted:
            self._parser.CharacterDataHandler = None  # megabytes of ciphertext would be handed over

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._checker.end()
        self._raise_finding()
        self._parser.CharacterDataHandler = self._checker.text

    def _raise_finding(self) -> None:
        for finding in self._checker.findings:
            raise WireError(WireFault.STRUCTURE, finding.text, finding.path)


def _expanded(name: str) -> str:
    """The name as lxml writes it; expat gives the namespace and a ``}`` before the local name."""
    namespace, separator, local = name.rpartition("}")
    return f"{{{namespace}}}{local}" if separator else name
