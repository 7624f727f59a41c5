"""A JSON answer read as it arrives: files go to a sink in pieces, and list items are returned one by one.

A message has up to 30 MB of files, each a JSON string in Base64, and a service without paging answers with a
list of everything that it stores. Neither is ever held in memory as a whole. The parser (ijson) returns a
string only when it is complete, so file strings are taken out before the parser sees them.
"""

from __future__ import annotations

import binascii
import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Protocol

import ijson

from samdrift.client.errors import NotUnderstood, Unreadable

Value = Any
"""``None``, ``bool``, ``str``, ``float``, or ``list`` and ``dict`` of these."""

Path = tuple[str | int, ...]
"""Member names and list indexes, starting at the document."""

MAX_VALUES: Final = 100_000
"""Maximum number of names and values in one message, or in one item of a list."""
MAX_DEPTH: Final = 32
MAX_CHARACTERS: Final = 48 << 20
"""Maximum length of the text in one message or list item, except for files that are taken out."""

_IN_STRING: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_MAX_ESCAPE: Final = 6
_ESCAPE: Final = re.compile(rb'\\(?:u[0-9A-Fa-f]{4}|["\\/bfnrt])')
_WHITE_SPACE: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class FilePlace:
    """One file of a message: the index of its document, and its index in that, both from 0."""

    document: int
    file: int


class _State(Enum):
    BETWEEN = auto()
    STRING = auto()
    FILE = auto()


@dataclass(frozen=True, slots=True)
class FilePiece:
    """A piece of a file, or the file's end if ``data`` is ``None``."""

    place: FilePlace
    data: bytes | None


class FileSink(Protocol):
    """A receiver of a message's files while it is being read."""

    async def write(self, piece: FilePiece) -> None:
        """Accept a piece; pieces arrive in order, one file after the other."""


class JsonStream:
    """A message service's answer; ``feed`` returns the files in it, and ``close`` the document.

    Raises :class:`NotUnderstood` for anything that is not a JSON object, as another answer may be one, and
    :class:`Unreadable` for a message that another answer would not improve. Unpaired surrogates, which XML
    text cannot contain, are read as question marks.
    """

    def __init__(self, *, files: bool = False, items: bool = False) -> None:
        """Take the ``content`` of files out of a message with ``files``, or list items with ``items``."""
        self._tree = _Tree(items=items)
        self._files = files
        self._parser = ijson.basic_parse_coro(self._tree, use_float=True)
        self._state = _State.BETWEEN
        self._rest = b""
        self._file: _File | None = None

    @property
    def document(self) -> Value:
        """Return the document without the parts that were taken out; complete only after :meth:`close`."""
        return self._tree.document

    def items(self) -> list[Value]:
        """Return the complete list items that have not been returned yet."""
        found, self._tree.items = self._tree.items, []
        return found

    def feed(self, piece: bytes) -> Iterator[FilePiece]:
        """Parse the next piece, and yield the pieces of files in it."""
        piece, at = self._rest + piece, 0
        self._rest = b""
        while at < len(piece):
            match self._state:
                case _State.BETWEEN:
                    at = self._between(piece, at)
                case _State.STRING:
                    end = self._end_of_string(piece, at)
                    self._parse(piece[at:end])
                    at = self._closed(piece, end)
                case _State.FILE:
                    assert self._file is not None
                    end = self._end_of_string(piece, at)
                    if data := self._file.decoded(piece[at:end]):
                        yield FilePiece(self._file.place, data)
                    at = self._closed(piece, end)
                    if piece[end : end + 1] == b'"':
                        yield from self._file.ended()

    def feed_all(self, piece: bytes) -> None:
        """Parse the next piece of an answer whose files remain in the document."""
        for _ in self.feed(piece):
            raise AssertionError("a file was taken out")

    def close(self) -> Value:
        """End the document and return it."""
        if self._state is not _State.BETWEEN:
            raise _not_json()
        with _typed():
            self._parser.close()
        return self._tree.document

    def _between(self, piece: bytes, at: int) -> int:
        quote = piece.find(b'"', at)
        end = len(piece) if quote < 0 else quote
        self._parse(piece[at:end])
        if quote < 0:
            return end
        place = self._tree.file_place() if self._files else None
        if place is None:
            self._state = _State.STRING
            self._parse(b'"')
        elif self._file is not None and place == self._file.place:
            raise _said_twice()
        else:
            self._state, self._file = _State.FILE, _File(place)
            self._tree.leave_next_out()
            self._parse(b'""')
        return quote + 1

    def _end_of_string(self, piece: bytes, at: int) -> int:
        """Return the end of the string or of the part of it here; a split escape waits for its rest."""
        found = _IN_STRING.match(piece, at)
        assert found is not None
        end = found.end()
        if end < len(piece) and piece[end : end + 1] == b"\\":
            self._rest = piece[end:]
        return end

    def _closed(self, piece: bytes, end: int) -> int:
        """Continue after the closing quotation mark, if it is here; otherwise the piece has been read."""
        if piece[end : end + 1] != b'"':
            return len(piece)
        if self._state is _State.STRING:
            self._parse(b'"')
        self._state = _State.BETWEEN
        return end + 1

    def _parse(self, block: bytes) -> None:
        if block:
            with _typed():
                self._parser.send(block)


class _File:
    """The content of a file, decoded from the inside of a JSON string in Base64."""

    def __init__(self, place: FilePlace) -> None:
        self.place = place
        self._escape = b""
        self._quantum = b""
        self._padded = False

    def decoded(self, text: bytes) -> bytes:
        text = self._unescaped(self._escape + text).translate(None, _WHITE_SPACE)
        if not text:
            return b""
        if self._padded:
            raise self._broken()
        text = self._quantum + text
        whole = len(text) - len(text) % 4
        self._quantum = text[whole:]
        self._padded = text[:whole].endswith(b"=")
        try:
            return binascii.a2b_base64(text[:whole], strict_mode=True)
        except binascii.Error:
            raise self._broken() from None

    def ended(self) -> Iterator[FilePiece]:
        if self._escape or self._quantum:
            raise self._broken()
        yield FilePiece(self.place, None)

    def _unescaped(self, text: bytes) -> bytes:
        """Return the text without JSON escapes, which some libraries use for ``/`` and ``+``."""
        self._escape = b""
        if b"\\" not in text:
            return text
        last = text.rfind(b"\\")
        if len(text) - last < _MAX_ESCAPE and not _ESCAPE.match(text, last):
            text, self._escape = text[:last], text[last:]
        try:
            unescaped: str = json.loads(b'"' + text + b'"')
            return unescaped.encode("ascii")
        except ValueError:
            raise self._broken() from None

    def _broken(self) -> Unreadable:
        place = f"digitalDocument/{self.place.document}/contentFiles/{self.place.file}"
        return Unreadable(f"an attached file is not Base64 ({place})")


class _Tree:
    """A receiver of the parser's events that builds values within limits."""

    def __init__(self, *, items: bool) -> None:
        self.document: Value = None
        self.items: list[Value] = []
        self._given_out = items
        self._open: list[dict[str, Value] | list[Value]] = []
        self._path: list[str | int] = []
        """Name or index, per open value, of what comes next in it."""
        self._named = False
        """True after a member's name and before its value."""
        self._left_out = False
        self._values = 0
        self._characters = 0

    def leave_next_out(self) -> None:
        """Leave the next value and its name out of the document."""
        self._left_out = True

    def file_place(self) -> FilePlace | None:
        """Return the file whose content comes next, or ``None``."""
        if not self._named:
            return None
        match self._path:
            case [
                "data",
                "attributes",
                "digitalDocument",
                int(document),
                "contentFiles",
                int(file),
                "content",
            ]:
                return FilePlace(document, file)
            case _:
                return None

    def send(self, event: tuple[str, Value]) -> None:
        kind, value = event
        if kind == "map_key":
            self._count(value)
            if value in self._open[-1]:
                raise _said_twice()
            self._path[-1], self._named = value, True
        elif kind in ("end_map", "end_array"):
            ended = self._open.pop()
            self._path.pop()
            self._after(ended)
        elif kind in ("start_map", "start_array"):
            self._begin({} if kind == "start_map" else [])
        else:
            self._add(value)
            self._after(value)

    def _begin(self, container: dict[str, Value] | list[Value]) -> None:
        if len(self._open) == MAX_DEPTH:
            raise Unreadable(f"values are nested deeper than {MAX_DEPTH}")
        self._add(container)
        self._open.append(container)
        self._path.append("" if isinstance(container, dict) else 0)

    def _add(self, value: Value) -> None:
        self._count(value)
        self._named = False
        if self._left_out:
            self._left_out = False
        elif not self._open:
            if not isinstance(value, dict):
                raise _not_json()
            self.document = value
        elif isinstance(into := self._open[-1], list):
            into.append(value)
        else:
            into[str(self._path[-1])] = value

    def _after(self, value: Value) -> None:
        """Note that a value is complete, and take out a list item that it ends."""
        if not self._path or isinstance(self._path[-1], str):
            return
        self._path[-1] += 1
        if self._given_out and len(self._path) == 2 and self._path[0] == "data":
            into = self._open[-1]
            assert isinstance(into, list)
            into.clear()
            self.items.append(value)
            self._values = self._characters = 0

    def _count(self, value: Value) -> None:
        self._values += 1
        if isinstance(value, str):
            self._characters += len(value)
        if self._values > MAX_VALUES or self._characters > MAX_CHARACTERS:
            raise Unreadable("a message has more than any message may")


@contextlib.contextmanager
def _typed() -> Iterator[None]:
    """Convert errors of the parser to :class:`NotUnderstood`."""
    try:
        yield
    except (ijson.JSONError, ValueError):
        raise _not_json() from None


def _said_twice() -> Unreadable:
    return Unreadable("an object of the message has a member twice")


def _not_json() -> NotUnderstood:
    return NotUnderstood("the message service answered with something other than a JSON object in UTF-8")
