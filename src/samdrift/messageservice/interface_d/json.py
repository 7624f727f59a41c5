"""Reads a JSON document as it arrives, within bounds: nothing is kept but what the document says.

White space, and what is refused, never fill the memory. A document that says a
member twice says two things at once and is refused (RFC 8259 4).
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any, Final

import ijson

from samdrift.messageservice.interface_d.problems import NOTHING, Refused, broken
from samdrift.wire import sdkmessage

Value = Any
"""``None``, ``bool``, ``str``, ``float``, ``list`` and ``dict`` of such."""

MAX_BYTES: Final = 48 << 20
"""Of a document: a message of 30 MB whose base64 was escaped as some libraries do, and room beside it."""

MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 16
_BLOCK: Final = 1 << 20
"""Bytes parsed at once. The parser looks at a text from its beginning for each block that it goes over."""

_OF_NUMBERS: Final = b"0123456789+-.eE"


async def read(stream: AsyncIterable[bytes], length: int | None = None) -> Value:
    """The document in ``stream``, which says that it has ``length`` bytes; :class:`Refused` otherwise."""
    if length is not None and length > MAX_BYTES:
        raise Refused([sdkmessage.too_long()])
    reader = _Reader()
    block = bytearray()
    size = 0
    async for piece in stream:
        size += len(piece)
        if size > MAX_BYTES:
            raise Refused([sdkmessage.too_long()])
        block += piece
        if len(block) >= _BLOCK:
            reader.feed(bytes(block))
            block.clear()
    reader.feed(bytes(block))
    return reader.close()


class _Reader:
    def __init__(self) -> None:
        self._tree = _Tree()
        self._parser = ijson.basic_parse_coro(self._tree, use_float=True)

    def feed(self, block: bytes) -> None:
        if len(block) >= _BLOCK and not block.translate(None, _OF_NUMBERS):
            raise Refused([broken("A number is longer than any number", NOTHING)])
        try:
            self._parser.send(block)
        except (ijson.JSONError, ValueError):
            raise Refused([broken("The request is not JSON in UTF-8", NOTHING)]) from None

    def close(self) -> Value:
        try:
            self._parser.close()
        except (ijson.JSONError, ValueError):
            raise Refused([broken("The request is not JSON in UTF-8", NOTHING)]) from None
        return self._tree.document


class _Tree:
    """Takes what the parser finds and makes values of it."""

    def __init__(self) -> None:
        self.document: Value = None
        self._open: list[dict[str, Value] | list[Value]] = []
        self._names: list[str] = []
        self._values = 0
        self._characters = 0

    def send(self, event: tuple[str, Value]) -> None:
        kind, value = event
        if kind == "map_key":
            self._name(value)
        elif kind in ("end_map", "end_array"):
            if isinstance(self._open.pop(), dict):
                self._names.pop()
        elif kind in ("start_map", "start_array"):
            self._begin({} if kind == "start_map" else [])
        else:
            self._add(value)

    def _name(self, name: str) -> None:
        if name in self._open[-1]:
            raise Refused([broken("An object has a member twice", NOTHING)])
        self._count(name)
        self._names[-1] = name

    def _begin(self, container: dict[str, Value] | list[Value]) -> None:
        if len(self._open) == MAX_DEPTH:
            raise Refused([broken(f"Values are nested deeper than {MAX_DEPTH}", NOTHING)])
        self._add(container)
        self._open.append(container)
        if isinstance(container, dict):
            self._names.append("")

    def _add(self, value: Value) -> None:
        self._count(value)
        if not self._open:
            self.document = value
        elif isinstance(into := self._open[-1], dict):
            into[self._names[-1]] = value
        else:
            into.append(value)

    def _count(self, value: Value) -> None:
        """No message that can be sent says as much (content-specification 4.3.3.3)."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise Refused([broken(f"More than {MAX_VALUES} values", NOTHING)])
        if isinstance(value, str):
            self._characters += len(value)
            if self._characters > sdkmessage.MAX_BYTES:
                raise Refused([sdkmessage.too_long()])
