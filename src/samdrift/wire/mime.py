"""MIME for AS4: strict header fields, and multipart/related read as a stream and written in pieces.

An ambiguous header field is rejected: attachments can be swapped if two programs read it differently (RFC
2045 5.1, RFC 5322 2.2).

:class:`MultipartReader` receives bytes and returns events, with memory that does not grow with the
body; it does no I/O (RFC 2046 5.1). Only CRLF is accepted as a line end. After the closing delimiter
only white space is accepted, so that no second message can be hidden there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from samdrift.wire.errors import WireError, WireFault

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD = re.compile(rf"({_WORD}):[ \t]*(.*)", re.DOTALL)
_TYPE = re.compile(rf"\s*({_WORD}/{_WORD})\s*")
_PARAMETER = re.compile(rf';\s*({_WORD})\s*=\s*(?:({_WORD})|"((?:[^"\\\r\n]|\\[^\r\n])*)")\s*')
_UNQUOTED = re.compile(r"\\(.)")
_VISIBLE = re.compile(r"[\t\x20-\x7e]*")
_MAX_VALUE = 2048
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
Field = tuple[str, str]
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_CRLF = b"\r\n"
HEADER_END = _CRLF + _CRLF
_WHITE = b" \t\r\n"

_UNDECIDED = (b"", b"-", b"\r")
"""Bytes that may turn out to be a line end or the closing delimiter."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """A lower-case media type, and its parameters by lower-case name."""

    media_type: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, value: str) -> ContentType:
        """Parse a Content-Type value; raise :class:`WireError` (``MIME``) if it is malformed."""
        start = _TYPE.match(value) if len(value) <= _MAX_VALUE else None
        if start is None:
            raise _refused("not a media type")
        parameters: dict[str, str] = {}
        position = start.end()
        while position < len(value):
            parameter = _PARAMETER.match(value, position)
            if parameter is None:
                raise _refused("parameters are malformed")
            attribute = parameter[1].lower()
            if attribute in parameters:
                raise _refused("a parameter is given twice")
            parameters[attribute] = parameter[2] or _UNQUOTED.sub(r"\1", parameter[3])
            position = parameter.end()
        return cls(start[1].lower(), MappingProxyType(parameters))


def parse_fields(block: bytes) -> Mapping[str, str]:
    """Return the fields of one header block by lower-case name; folded lines are joined.

    Raises :class:`WireError` (``MIME``) for a duplicate field, a line that is not a field, or bytes
    outside printable ASCII.
    """
    fields: dict[str, str] = {}
    text = block.decode("latin-1").replace("\r\n ", " ").replace("\r\n\t", " ")
    for line in text.split("\r\n") if text else ():
        field = _FIELD.fullmatch(line)
        if field is None or not _VISIBLE.fullmatch(line):
            raise WireError(WireFault.MIME, "a header line is malformed", "part header")
        field_name = field[1].lower()
        if field_name in fields:
            raise WireError(WireFault.MIME, "a header field is given twice", "part header")
        fields[field_name] = field[2].strip()
    return MappingProxyType(fields)


def content_id(fields: Mapping[str, str]) -> str | None:
    """Return the Content-ID without its angle brackets (RFC 2392)."""
    value = fields.get("content-id")
    if value is not None and value.startswith("<") and value.endswith(">"):
        return value[1:-1]
    return value


def _refused(text: str) -> WireError:
    return WireError(WireFault.MIME, text, "Content-Type")


def opening(boundary: str, fields: Sequence[Field], *, first: bool = False) -> bytes:
    """Return the delimiter and header block of a part; its content follows directly (RFC 2046 5.1.1).

    Raises :class:`WireError` (``MIME``) for a value that is not printable ASCII on one line.
    """
    if not all(_PRINTABLE.fullmatch(value) for _, value in fields):
        raise WireError(WireFault.MIME, "a value that no header field can hold", "part header")
    lines = [f"--{boundary}", *(f"{field}: {value}" for field, value in fields), "", ""]
    return (b"" if first else b"\r\n") + "\r\n".join(lines).encode("ascii")


def closing(boundary: str) -> bytes:
    """Return the delimiter that ends the last part and the body."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class PartStart:
    """The header of the next part: fields by lower-case name."""

    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """A piece of the current part, as sent; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The end of the current part."""


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """The end of the input, after the closing delimiter."""


MimeEvent = PartStart | PartData | PartEnd | BodyEnd


class _State(Enum):
    PREAMBLE = auto()
    DELIMITER = auto()
    HEADER = auto()
    DATA = auto()
    EPILOGUE = auto()


def boundary_of(content_type: ContentType) -> str:
    """Return the boundary parameter; raise :class:`WireError` (``MIME``) if it is absent or malformed."""
    boundary = content_type.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise WireError(WireFault.MIME, "no usable boundary", "Content-Type")
    return boundary


def fields_size(header: bytes | bytearray, end: int) -> int:
    """Return the number of bytes of the fields in a part header that begins with a line end.

    ``end`` is the place of :data:`HEADER_END`, or -1 if it has not arrived. Up to three bytes of it may have;
    they do not count, so that the result does not depend on how the header is cut into pieces.
    """
    return (end if end >= 0 else len(header) - len(HEADER_END) + 1) - len(_CRLF)


class MultipartReader:
    """A reader that splits a multipart body into parts; ``max_preamble`` and ``max_header`` are in bytes.

    ``max_header`` counts the fields of a part header, without the line ends before and after them.
    """

    def __init__(self, boundary: str, *, max_preamble: int = 4096, max_header: int = 8192) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._max_preamble = max_preamble
        self._max_header = max_header
        self._buffer = bytearray(_CRLF)  # so that a delimiter at the very start follows a line end
        self._state = _State.PREAMBLE
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Receive the next bytes; ``b""`` marks the end of the input."""
        if not data:
            self._ended = True
        self._buffer += data

    def next_event(self) -> MimeEvent | None:
        """Return the next event, ``None`` if more bytes are needed; raise :class:`WireError` on bad input."""
        event = self._step()
        if event is None and self._ended:
            raise WireError(WireFault.MIME, "the body ends too early")
        return event

    def _step(self) -> MimeEvent | None:
        match self._state:
            case _State.PREAMBLE:
                return self._preamble()
            case _State.DELIMITER:
                return self._after_delimiter()
            case _State.HEADER:
                return self._header()
            case _State.DATA:
                return self._data()
            case _State.EPILOGUE:
                return self._epilogue()

    def _preamble(self) -> MimeEvent | None:
        found = self._buffer.find(self._delimiter)
        if (found if found >= 0 else len(self._buffer) - len(self._delimiter)) > self._max_preamble:
            raise WireError(WireFault.MIME, "the first part does not begin in time", "preamble")
        return self._enter_delimiter(found) if found >= 0 else None

    def _enter_delimiter(self, position: int) -> MimeEvent | None:
        del self._buffer[: position + len(self._delimiter)]
        self._state = _State.DELIMITER
        return self._after_delimiter()

    def _after_delimiter(self) -> MimeEvent | None:
        """Distinguish a delimiter from the closing one; white space may precede the line end."""
        if self._buffer.startswith(b"--"):
            del self._buffer[:2]
            self._state = _State.EPILOGUE
            return self._epilogue()
        head = bytes(self._buffer[: self._max_header])
        rest = head.lstrip(b" \t")
        if rest.startswith(_CRLF):
            del self._buffer[: len(head) - len(rest)]
            self._state = _State.HEADER
            return self._header()
        if rest not in _UNDECIDED or len(head) == self._max_header:
            raise WireError(WireFault.MIME, "a boundary is not followed by a line end", "delimiter")
        return None

    def _header(self) -> MimeEvent | None:
        """Read the header once it is complete; the buffer starts with the CRLF of the delimiter's line."""
        end = self._buffer.find(HEADER_END)
        if fields_size(self._buffer, end) > self._max_header:
            raise WireError(WireFault.MIME, f"larger than {self._max_header} bytes", "part header")
        if end < 0:
            return None
        block = bytes(self._buffer[2:end])
        del self._buffer[: end + len(HEADER_END)]
        self._state = _State.DATA
        return PartStart(parse_fields(block))

    def _data(self) -> MimeEvent | None:
        found = self._buffer.find(self._delimiter)
        if found == 0:
            del self._buffer[: len(self._delimiter)]
            self._state = _State.DELIMITER
            return PartEnd()
        size = found if found > 0 else len(self._buffer) - len(self._delimiter) + 1
        if size <= 0:
            return None
        with memoryview(self._buffer) as view:
            piece = bytes(view[:size])
        del self._buffer[:size]
        return PartData(piece)

    def _epilogue(self) -> MimeEvent | None:
        if self._buffer.strip(_WHITE) or len(self._buffer) > self._max_preamble:
            raise WireError(WireFault.MIME, "something follows the last part", "epilogue")
        return BodyEnd() if self._ended else None
