"""The folder that a message is unpacked into, written while the message is read.

``message.xml`` is the message byte for byte, ``message.json`` its facts, and
``message.txt`` is for people. Texts and attachments are files of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from samdrift.attestation.archive import damaged
from samdrift.portability import readable
from samdrift.portability.contents import Contents, Members
from samdrift.portability.layout import document
from samdrift.portability.safenames import Names
from samdrift.vault.portability.parts import Facts
from samdrift.wire.errors import WireError
from samdrift.wire.xml.base64text import Decoder

_TEXTS, _ATTACHMENTS = "texts", "attachments"
_PIECE: Final = 1 << 16


def new(path: Path) -> BinaryIO:
    """A file that was not there, for its owner alone; its folder is made."""
    _make(path.parent)
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise damaged(f"something in {path.parent.name} comes twice") from None


def _make(folder: Path) -> None:
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700)


def write(path: Path, pieces: Iterable[bytes]) -> None:
    """Such a file, whole."""
    with new(path) as file:
        file.writelines(pieces)


class MessageFolder:
    """One message on its way into its folder."""

    def __init__(self, path: Path, facts: Facts) -> None:
        self.path = path
        self.facts = facts
        self.documents: list[Members] = []
        self.content = "none"
        self._names = Names()
        self._texts = 0
        self._open: list[BinaryIO] = []
        if path.exists():
            raise damaged("a message comes twice")
        _make(path)

    async def write(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Write the message and its contents, and give on what was read."""
        contents = Contents(self)
        reading = True
        try:
            with new(self.path / "message.xml") as file:
                async for piece in pieces:
                    file.write(piece)
                    reading = reading and self._read(contents, piece)
                    yield piece
            if reading and self._read(contents, None):
                self.documents, self.content = contents.documents, "read"
        finally:
            self._close()

    def _read(self, contents: Contents, piece: bytes | None) -> bool:
        """Return whether it is an SDK message so far. Nothing is unpacked of one that is not."""
        try:
            contents.close() if piece is None else contents.feed(piece)
        except WireError:
            self._close()
            for name in (_TEXTS, _ATTACHMENTS):
                shutil.rmtree(self.path / name, ignore_errors=True)
            self.content = "unreadable"
            return False
        return True

    def finish(self) -> None:
        """Write what people and programs read of the message."""
        facts = self.facts | {"attributes": _parsed(self.facts["attributes"])}
        members = facts | {"content": self.content, "documents": self.documents}
        write(self.path / "message.json", [document(members)])
        write(self.path / "message.txt", (line.encode() for line in self._lines()))

    def text(self) -> _Text:
        self._texts += 1
        return _Text(f"{_TEXTS}/{self._texts}.txt", self._new(f"{_TEXTS}/{self._texts}.txt"))

    def attachment(self, name: str) -> _Attachment:
        file = f"{_ATTACHMENTS}/{self._names.new(name)}"
        return _Attachment(file, self._new(file))

    def _new(self, name: str) -> BinaryIO:
        self._close()
        self._open.append(new(self.path / name))
        return self._open[-1]

    def _close(self) -> None:
        while self._open:
            self._open.pop().close()

    def _lines(self) -> Iterator[str]:
        yield readable.head(self.facts, self.content)
        for each in self.documents:
            for name in each["texts"]:
                yield readable.title("Text")
                with (self.path / name).open(encoding="utf-8", newline="") as text:
                    while piece := text.read(_PIECE):
                        yield readable.shown(piece)
                yield "\n"
        if any(each["attachments"] for each in self.documents):
            yield readable.title("Bilagor")
            yield from readable.attachments(self.documents)
        if self.facts["events"]:
            yield readable.title("Händelser")
            yield from readable.history(self.facts)


class _Text:
    def __init__(self, name: str, file: BinaryIO) -> None:
        self._name = name
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text.encode())

    def close(self) -> str:
        self._file.close()
        return self._name


class _Attachment:
    """Decodes as it comes; :class:`WireError` when it is not base64."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self._name = name
        self._file = file
        self._decoder = Decoder("content")
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, text: str) -> None:
        self._add(self._decoder.feed(text))

    def close(self) -> Members:
        self._add(self._decoder.close())
        self._file.close()
        return {"file": self._name, "bytes": self._bytes, "sha256": self._digest.hexdigest()}

    def _add(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)


def _parsed(attributes: str | None) -> Any:
    """Return the attributes of a message, without its documents, as an object."""
    try:
        return json.loads(attributes or "null")
    except (ValueError, RecursionError):
        return attributes
