"""The documents of a stored message as JSON, written in pieces so that no file is ever held whole.

A stored message has been validated (:mod:`samdrift.wire.sdkmessage`), so that its elements are in the order
of its schema, which is the order of the JSON.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from samdrift.wire import xml
from samdrift.wire.xml import Namespace

_TEXTS: Final = {
    "documentID": "documentId",
    "documentName": "documentName",
    "index": "index",
    "fileName": "fileName",
    "contentType": "contentType",
    "content": "content",
}
_OWN: Final = f"{{{Namespace.SDK_MESSAGE}}}"


async def documents(pieces: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Yield the ``digitalDocument`` list of a message as JSON, from XML that arrives in ``pieces``.

    Nothing is yielded before the first of ``pieces`` has arrived.
    """
    writer = _Writer()
    parser = xml.stream_parser(writer)
    opening = "["
    async for piece in pieces:
        parser.feed(piece)
        if written := writer.taken():
            yield opening + written
            opening = ""
    parser.close()
    yield f"{opening}{writer.taken()}]"


class _Writer:
    """A target for an XML parser that writes the elements as JSON."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._path: list[str] = []
        self._in_text = False
        self._lists: list[str] = []
        """The list that is being written in the current document, if any."""
        self._first = True
        self._documents = 0

    def taken(self) -> str:
        """Return what was written since the last call."""
        written = "".join(self._written)
        self._written.clear()
        return written

    def start(self, tag: str, attributes: object) -> None:
        name = tag.removeprefix(_OWN) if tag.startswith(_OWN) else ""
        self._path.append(name)
        if self._path[:3] != ["messagePayload", "message", "messageBody"]:
            return
        if self._path[3:] == ["documents"]:
            self._write("," if self._documents else "", "{")
            self._documents += 1
            self._first = True
        elif self._path[3:] == ["documents", "ContentFiles"]:
            self._item("contentFiles", "{")
            self._first = True
        elif self._path[3:] == ["documents", "ContentText", "characterSequence"]:
            self._item("contentTextBody", '"')
            self._in_text = True
        elif self._is_text():
            self._member(_TEXTS[name], '"')
            self._in_text = True

    def data(self, text: str) -> None:
        if self._in_text:
            self._write(json.dumps(text, ensure_ascii=False)[1:-1])

    def end(self, tag: str) -> None:
        if self._in_text and (self._is_text() or self._path[-1] == "characterSequence"):
            self._write('"')
            self._in_text = False
        elif self._path[3:] == ["documents", "ContentFiles"]:
            self._write("}")
        elif self._path[3:] == ["documents"]:
            self._close_list()
            self._write("}")
        self._path.pop()

    def close(self) -> None:
        """Finish parsing; nothing is left to write."""

    def _is_text(self) -> bool:
        above = self._path[3:-1]
        return self._path[-1] in _TEXTS and above in (["documents"], ["documents", "ContentFiles"])

    def _member(self, name: str, begin: str) -> None:
        self._write("" if self._first else ",", f'"{name}":', begin)
        self._first = False

    def _item(self, name: str, begin: str) -> None:
        """Begin an item of the list ``name``, and the list itself if it is not open yet."""
        if self._lists == [name]:
            self._write(",", begin)
            return
        self._close_list()
        self._lists = [name]
        self._member(name, f"[{begin}")

    def _close_list(self) -> None:
        if self._lists:
            self._write("]")
        self._lists = []
        self._first = False

    def _write(self, *pieces: str) -> None:
        self._written += pieces
