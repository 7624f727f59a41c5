"""AS4 as somebody recorded it: SOAP or MIME, bare, with its content type or with the head of HTTP.

For diagnosis alone. What peers send over HTTP is read by :mod:`samdrift.wire.as4.reader`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.mime import (
    BodyEnd,
    ContentType,
    MultipartReader,
    PartData,
    PartEnd,
    PartStart,
    boundary_of,
    content_id,
)
from samdrift.wire.wssec import MEDIA_TYPE

_START_LINE = re.compile(rb"(?:HTTP/\d(?:\.\d)? (\d{3})[^\r\n]*|[A-Z]+ \S+ HTTP/\d(?:\.\d)?)\r?\n")
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:")
_MEDIA_TYPE = re.compile(rb"(?:multipart/related|application/soap\+xml)[^\r\n]*\r?\n", re.IGNORECASE)
_DELIMITER = re.compile(rb"\s*--([^\r\n]{1,70})\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_BOM = b"\xef\xbb\xbf"
_MAX_HEAD = 64 << 10
_MAX_MESSAGES = 64
_MAX_PARTS = 64
_ENCODINGS = ("binary", "8bit", "7bit")


@dataclass(frozen=True, slots=True)
class Captured:
    """One message: its SOAP part, and its attachments by Content-ID.

    Without ``multipart`` the attachments, if it had any, are not in the file.
    """

    soap: bytes
    attachments: Mapping[str, bytes]
    multipart: bool


def read_capture(data: bytes) -> tuple[Captured, ...]:
    """Return the messages of a capture, at least one; :class:`WireError` when it holds none.

    Several follow each other where what came over a connection was recorded.
    """
    messages = tuple(_message(content_type, body) for content_type, body in _bodies(data.removeprefix(_BOM)))
    if not messages:
        raise _unreadable("no message is in it")
    return messages


def _bodies(data: bytes) -> Iterator[tuple[str | None, bytes]]:
    """Return the content type of each message, where it is known, and its body."""
    start = data.lstrip()
    if _START_LINE.match(start):
        yield from _http(start)
    elif start.startswith(b"<"):
        yield None, start
    elif bare := _MEDIA_TYPE.match(start):
        yield bare[0].decode("latin-1").strip(), start[bare.end() :].lstrip(b"\r\n")
    elif delimiter := _DELIMITER.match(data):
        boundary = delimiter[1].decode("latin-1").rstrip()
        yield f'multipart/related; boundary="{boundary}"', start
    elif _FIELD.match(start):
        fields, body = _head(start)
        yield fields.get("content-type"), _unchunked(fields, body)[0]
    else:
        raise _unreadable("neither SOAP nor MIME, with or without the head of HTTP")


def _http(data: bytes) -> Iterator[tuple[str | None, bytes]]:
    """Return each HTTP message with a body; a request may be followed by its response."""
    count = 0
    while start := _START_LINE.match(data):
        count += 1
        if count > _MAX_MESSAGES:
            raise WireError(WireFault.TOO_LARGE, f"more than {_MAX_MESSAGES} messages", "capture")
        fields, rest = _head(data[start.end() :])
        interim = start[1] is not None and start[1].startswith(b"1")
        body, data = (b"", rest) if interim else _unchunked(fields, rest)
        if fields.get("content-encoding", "identity") != "identity":
            raise _unreadable("the body is compressed for HTTP")
        if body.strip():
            yield fields.get("content-type"), body
        data = data.lstrip()
    if data:
        raise _unreadable("something that is not HTTP follows a message")


def _head(data: bytes) -> tuple[dict[str, str], bytes]:
    """Return the header fields by name in lower case, and what follows the empty line."""
    if data.startswith((b"\r\n", b"\n")):
        return {}, data.lstrip(b"\r\n")
    end = _HEAD_END.search(data, 0, _MAX_HEAD)
    if end is None:
        raise _unreadable("the head of HTTP does not end")
    fields: dict[str, str] = {}
    text = re.sub(r"\r?\n[ \t]+", " ", data[: end.start()].decode("latin-1"))
    for line in re.split(r"\r?\n", text):
        name, colon, value = line.partition(":")
        if not colon:
            raise _unreadable("a line in the head of HTTP is malformed")
        fields.setdefault(name.strip().lower(), value.strip())
    return fields, data[end.end() :]


def _unchunked(fields: Mapping[str, str], data: bytes) -> tuple[bytes, bytes]:
    """Return the body that a head announces, and what follows it."""
    if "chunked" in fields.get("transfer-encoding", "").lower() and _CHUNK.match(data):
        return _joined_chunks(data)
    length = fields.get("content-length", "")
    if not length.isascii() or not length.isdigit():
        return data, b""
    size = int(length[:12])
    if len(data) < size:
        raise _unreadable("the body is shorter than its Content-Length")
    return data[:size], data[size:]


def _joined_chunks(data: bytes) -> tuple[bytes, bytes]:
    pieces: list[bytes] = []
    at = 0
    while chunk := _CHUNK.match(data, at):
        size = int(chunk[1], 16)
        piece = data[chunk.end() : chunk.end() + size]
        at = chunk.end() + size + 2
        if not size:
            return b"".join(pieces), data[at:]
        if len(piece) < size or data[at - 2 : at] != b"\r\n":
            break
        pieces.append(piece)
    raise _unreadable("the body in chunks is cut off")


def _message(content_type: str | None, body: bytes) -> Captured:
    """Split a body into the SOAP part and attachments."""
    if content_type is None:
        return Captured(body, {}, multipart=False)
    outer = ContentType.parse(content_type)
    if outer.media_type in (MEDIA_TYPE, "application/xml", "text/xml"):
        return Captured(body, {}, multipart=False)
    if outer.media_type != "multipart/related":
        raise _unreadable("its content type is neither SOAP 1.2 nor multipart/related")
    parts = list(_parts(boundary_of(outer), body))
    root = _root(parts, outer.parameters.get("start"))
    attachments = [(content_id(fields) or "", content) for fields, content in parts if content is not root]
    if len(dict(attachments)) != len(attachments):
        raise _unreadable("two attachments have one Content-ID")
    return Captured(root, dict(attachments), multipart=True)


def _parts(boundary: str, body: bytes) -> Iterator[tuple[Mapping[str, str], bytes]]:
    if b"\r\n--" not in body and b"\n--" in body:
        raise _unreadable("the line ends of MIME were changed on the way: each is CRLF")
    reader = MultipartReader(boundary)
    reader.feed(body)
    reader.feed(b"")
    fields: Mapping[str, str] = {}
    pieces: list[bytes] = []
    count = 0
    while not isinstance(event := reader.next_event(), BodyEnd):
        match event:
            case PartStart(found):
                fields, count = found, count + 1
                if count > _MAX_PARTS:
                    raise WireError(WireFault.TOO_LARGE, f"more than {_MAX_PARTS} parts", "MIME")
            case PartData(data):
                pieces.append(data)
            case PartEnd():
                if fields.get("content-transfer-encoding", "binary").lower() not in _ENCODINGS:
                    raise _unreadable("a part has a transfer encoding that AS4 does not use")
                yield fields, b"".join(pieces)
                pieces = []


def _root(parts: list[tuple[Mapping[str, str], bytes]], start: str | None) -> bytes:
    """Return the SOAP part: the one that ``start`` names, else the first (RFC 2387 3.2)."""
    if not parts:
        raise _unreadable("the MIME body has no parts")
    wanted = None if start is None else start.strip("<>")
    named = [content for fields, content in parts if wanted is not None and content_id(fields) == wanted]
    return named[0] if named else parts[0][1]


def _unreadable(message: str) -> WireError:
    return WireError(WireFault.MIME, message, "capture")
