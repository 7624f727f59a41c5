"""Header fields of MIME parts and HTTP bodies, read strictly (RFC 2045 5.1, RFC 5322 2.2); part frames.

A field that could be read in two ways is refused: which of two readings another program
took is how attachments get swapped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from samdrift.wire.errors import WireError, WireFault

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD = re.compile(rf"({_WORD}):[ \t]*(.*)", re.DOTALL)
_TYPE = re.compile(rf"\s*({_WORD}/{_WORD})\s*")
_PARAMETER = re.compile(rf';\s*({_WORD})\s*=\s*(?:({_WORD})|"((?:[^"\\\r\n]|\\[^\r\n])*)")\s*')
_UNQUOTED = re.compile(r"\\(.)")
_VISIBLE = re.compile(r"[\t\x20-\x7e]*")
_MAX_VALUE = 2048


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type in lower case and its parameters by name in lower case."""

    media_type: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, value: str) -> ContentType:
        """Read a Content-Type value; :class:`WireError` (``MIME``) when it has another form."""
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
    """The fields of one header block by name in lower case; folded lines are joined.

    :class:`WireError` (``MIME``) for a field twice, a line that is no field, or bytes
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
    """The Content-ID without its angle brackets (RFC 2392)."""
    value = fields.get("content-id")
    if value is not None and value.startswith("<") and value.endswith(">"):
        return value[1:-1]
    return value


def _refused(text: str) -> WireError:
    return WireError(WireFault.MIME, text, "Content-Type")


_PRINTABLE = re.compile(r"[\x20-\x7e]*")

Field = tuple[str, str]


def opening(boundary: str, fields: Sequence[Field], *, first: bool = False) -> bytes:
    """The delimiter and the header block of a part; its content follows directly (RFC 2046 5.1.1).

    :class:`WireError` (``MIME``) for a value that is not printable ASCII on one line.
    """
    if not all(_PRINTABLE.fullmatch(value) for _, value in fields):
        raise WireError(WireFault.MIME, "a value that no header field can hold", "part header")
    lines = [f"--{boundary}", *(f"{field}: {value}" for field, value in fields), "", ""]
    return (b"" if first else b"\r\n") + "\r\n".join(lines).encode("ascii")


def closing(boundary: str) -> bytes:
    """The delimiter that ends the last part and the body."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")
