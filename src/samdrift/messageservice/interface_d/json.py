"""Reading of a JSON document as it arrives, within limits; only its values are kept.

White space and refused content never fill the memory. A document with a duplicate member is ambiguous and is
refused (RFC 8259 4). It is parsed in short steps, between which other requests get their turn, and checked
against the contract's shape while it is read, so that junk is refused as soon as it is recognised.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import ijson

from samdrift.messageservice.interface_d.contract import CREATE, Flag, Many, Members, Shape, Text
from samdrift.messageservice.interface_d.problems import NOTHING, Refused, broken
from samdrift.wire import sdkmessage

Value = Any
"""``None``, ``bool``, ``str``, ``float``, or a ``list`` or ``dict`` of such values."""

MAX_BYTES: Final = 48 << 20
"""Maximum size of a document: a 30 MB message, its base64 escaped as some libraries do, and a margin."""

MAX_VALUES: Final = 10_000
"""Maximum number of names and values in a document; a person or a reference has seven."""
MAX_STRAY: Final = 1_000
"""Maximum number of values that have no place in the contract."""
MAX_DEPTH: Final = 16
_STEP: Final = 1 << 10
_BLOCK: Final = 1 << 20
"""Minimum and maximum number of bytes parsed in one step.

The parser rescans an unfinished text from its beginning for each further block, so blocks grow while a text
does not end.
"""

_OF_NUMBERS: Final = b"0123456789+-.eE"


Step = Callable[[], AbstractAsyncContextManager[None]]
"""A context that waits for its turn to parse a block, and holds the turn while it lasts."""


async def read(stream: AsyncIterable[bytes], length: int | None = None, step: Step | None = None) -> Value:
    """Return the document in ``stream``; raise :class:`Refused` if it is invalid or too large.

    ``length`` is the declared length in bytes, if there is one.
    """
    if length is not None and length > MAX_BYTES:
        raise Refused([sdkmessage.too_long()])
    step = step or contextlib.nullcontext
    reader = _Reader()
    rest = bytearray()
    size = 0
    async for piece in stream:
        size += len(piece)
        if size > MAX_BYTES:
            raise Refused([sdkmessage.too_long()])
        rest += piece
        while len(rest) >= reader.step:
            block = bytes(rest[: reader.step])
            del rest[: reader.step]
            async with step():
                reader.feed(block)
    async with step():
        if rest:  # The parser treats empty input as the end of the document.
            reader.feed(bytes(rest))
        return reader.close()


class _Reader:
    def __init__(self) -> None:
        self.step = _STEP
        """Number of bytes to parse in the next step."""
        self._tree = _Tree()
        self._parser = ijson.basic_parse_coro(self._tree, use_float=True)

    def feed(self, block: bytes) -> None:
        if len(block) >= _BLOCK and not block.translate(None, _OF_NUMBERS):
            raise Refused([broken("A number is too long", NOTHING)])
        before = self._tree.events
        with _refusing():
            self._parser.send(block)
        self.step = _STEP if self._tree.events > before else min(2 * self.step, _BLOCK)

    def close(self) -> Value:
        with _refusing():
            self._parser.close()
        return self._tree.document


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (ijson.JSONError, ValueError):
        raise Refused([broken("The request is not JSON in UTF-8", NOTHING)]) from None


class _Tree:
    """Builds values from the parser's events, and counts those that have no place in the contract."""

    def __init__(self) -> None:
        self.document: Value = None
        self.events = 0
        self._open: list[dict[str, Value] | list[Value]] = []
        self._shapes: list[Shape | None] = []
        """Shapes of the open values; ``None`` inside one without a place in the contract."""
        self._names: list[str] = []
        self._values = 0
        self._stray = 0
        self._characters = 0

    def send(self, event: tuple[str, Value]) -> None:
        kind, value = event
        self.events += 1
        if kind == "map_key":
            self._name(value)
        elif kind in ("end_map", "end_array"):
            self._shapes.pop()
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
        shape = self._add(container)
        self._open.append(container)
        self._shapes.append(shape)
        if isinstance(container, dict):
            self._names.append("")

    def _add(self, value: Value) -> Shape | None:
        """Add the value to its parent; return its shape, or ``None`` if the contract has no place for it."""
        self._count(value)
        shape = self._shape()
        if not _fits(value, shape):
            shape = None
            self._stray += 1
            if self._stray > MAX_STRAY:
                text = f"More than {MAX_STRAY} values that the contract does not know"
                raise Refused([broken(text, NOTHING)])
        if not self._open:
            self.document = value
        elif isinstance(into := self._open[-1], dict):
            into[self._names[-1]] = value
        else:
            into.append(value)
        return shape

    def _shape(self) -> Shape | None:
        """Return the shape that the contract gives the next value, or ``None``."""
        if not self._open:
            return CREATE
        match self._shapes[-1]:
            case Members(known=known):
                return known.get(self._names[-1])
            case Many(each=each):
                return each
            case _:
                return None

    def _count(self, value: Value) -> None:
        """Count a value, and refuse more than a message may have (content-specification 4.3.3.3)."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise Refused([broken(f"More than {MAX_VALUES} values", NOTHING)])
        if isinstance(value, str):
            self._characters += len(value)
            if self._characters > sdkmessage.MAX_BYTES:
                raise Refused([sdkmessage.too_long()])


def _fits(value: Value, shape: Shape | None) -> bool:
    """Return whether a value is of the shape's kind; other rules are checked at the end of the document."""
    match shape:
        case Members():
            return isinstance(value, dict)
        case Many():
            return isinstance(value, list)
        case Text():
            return isinstance(value, str) or value is None
        case Flag():
            return isinstance(value, bool) or value is None
        case _:
            return False
