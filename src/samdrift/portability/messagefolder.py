"""The folder that a message is unpacked into, written while the message is read.

``message.xml`` is the message byte for byte, ``message.json`` contains its facts, and ``message.txt`` is for
people. Texts and attachments are separate files, written as they are read (:class:`Contents`), so that no
file is ever in memory as a whole; only names are, and their size is limited.

An attachment has a name that its sender chose. It is changed to a name that every file system accepts, that
contains no path, and that no other file in its folder has, even without regard to case (:class:`Names`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, Protocol

from samdrift.attestation.archive import damaged
from samdrift.portability import readable
from samdrift.portability.layout import document
from samdrift.vault.portability.parts import Facts
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import LARGE, Namespace
from samdrift.wire.xml.base64text import Decoder
from samdrift.wire.xml.stream import XmlStream

_OWN: Final = f"{{{Namespace.SDK_MESSAGE}}}"
_ROOT: Final = "messagePayload"
_BODY: Final = [_ROOT, "message", "messageBody"]
_DOCUMENT_NAMES: Final = ("documentID", "documentName", "index")
_FILE_NAMES: Final = ("fileName", "contentType")

_MOST_NAMES: Final = 4 << 20
"""Maximum number of characters in all names of a message."""

Members = dict[str, Any]
_UNNAMED: Final = "bilaga"
_MOST_BYTES: Final = 120
_MOST_READ: Final = 400
"""Number of characters read from each end of a name: ordering combining marks takes quadratic time."""
_MOST_ENDING: Final = 16
_FORBIDDEN: Final = re.compile(r'[<>:"|?*]')
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
_TEXTS, _ATTACHMENTS = "texts", "attachments"
_PIECE: Final = 1 << 16


def new(path: Path) -> BinaryIO:
    """Open a new file for its owner only, creating its folder; fails if the file exists."""
    _make(path.parent)
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise damaged(f"something in {path.parent.name} is repeated") from None


def _make(folder: Path) -> None:
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700)


def write(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a new file with all of its content."""
    with new(path) as file:
        file.writelines(pieces)


class MessageFolder:
    """A message that is being unpacked into its folder."""

    def __init__(self, path: Path, facts: Facts) -> None:
        self.path = path
        self.facts = facts
        self.documents: list[Members] = []
        self.content = "none"
        self._names = Names()
        self._texts = 0
        self._open: list[BinaryIO] = []
        if path.exists():
            raise damaged("a message occurs twice")
        _make(path)

    async def write(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the message's pieces while writing it and its contents to the folder."""
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
        """Return whether the message is still a valid SDK message; if not, remove its unpacked files."""
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
        """Write the files for people and programs, after the message has been read."""
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
    """An attachment, decoded while it is read; :class:`WireError` if it is not base64."""

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


class Output(Protocol):
    """Receiver of one text, or of the base64 of one attachment."""

    def write(self, text: str) -> None: ...

    def close(self) -> Any:
        """Finish the content, and return its entry in the message's facts."""


class Outputs(Protocol):
    """Receiver of the contents of a message."""

    def text(self) -> Output: ...

    def attachment(self, name: str) -> Output: ...


class Contents:
    """Parser of a message that passes on its contents; :class:`WireError` if it is not an SDK message."""

    def __init__(self, outputs: Outputs) -> None:
        self.documents: list[Members] = []
        """Members of each document: names as in the message, and the files with texts and attachments."""
        self._outputs = outputs
        self._stream = XmlStream(self, LARGE)
        self._path: list[str] = []
        self._name: list[str] | None = None
        self._output: Output | None = None
        self._characters = 0

    def feed(self, data: bytes) -> None:
        """Parse the next bytes of the message."""
        self._stream.feed(data)

    def close(self) -> None:
        """Finish parsing at the end of the message."""
        self._stream.close()

    def start(self, tag: str, attributes: object) -> bool:
        if self._name is not None or self._output is not None:
            raise WireError(WireFault.STRUCTURE, "markup where only text may be", "/".join(self._path))
        self._path.append(tag.removeprefix(_OWN) if tag.startswith(_OWN) else "")
        if self._path[0] != _ROOT:
            raise WireError(WireFault.STRUCTURE, "not an SDK message", "start")
        if self._path[:3] == _BODY:
            self._begin(self._path[3:])
        return True

    def text(self, data: str) -> None:
        if self._output is not None:
            self._output.write(data)
        elif self._name is not None:
            self._characters += len(data)
            if self._characters > _MOST_NAMES:
                raise WireError(WireFault.TOO_LARGE, f"names of more than {_MOST_NAMES} characters")
            self._name.append(data)

    def end(self) -> None:
        local = self._path.pop()
        if self._output is not None:
            output, self._output = self._output, None
            if local == "content":
                self._file.update(output.close())
            else:
                self.documents[-1]["texts"].append(output.close())
        elif self._name is not None:
            members = self._file if self._path[-1] == "ContentFiles" else self.documents[-1]
            members[local], self._name = "".join(self._name), None

    @property
    def _file(self) -> Members:
        file: Members = self.documents[-1]["attachments"][-1]
        return file

    def _begin(self, path: list[str]) -> None:
        match path:
            case ["documents"]:
                self.documents.append({"texts": [], "attachments": []})
            case ["documents", "ContentFiles"]:
                self.documents[-1]["attachments"].append({})
            case ["documents", "ContentFiles", "content"]:
                if "file" in self._file:
                    raise WireError(WireFault.STRUCTURE, "a second content of a file", "/".join(self._path))
                self._output = self._outputs.attachment(self._file.get("fileName", ""))
            case ["documents", "ContentText", "characterSequence"]:
                self._output = self._outputs.text()
            case ["documents", "ContentFiles", name] if name in _FILE_NAMES:
                self._name = []
            case ["documents", name] if name in _DOCUMENT_NAMES:
                self._name = []


def safe_name(original: str) -> str:
    """Return the last part of a name without anything that is special to a file system or a terminal."""
    last = re.split(r"[/\\]", original.rstrip("/\\ "))[-1]
    if len(last) > 2 * _MOST_READ:
        last = last[:_MOST_READ] + last[-_MOST_READ:]
    last = unicodedata.normalize("NFC", last)
    visible = "".join(each if each.isprintable() else "_" for each in last)
    name = _FORBIDDEN.sub("_", visible).rstrip(" .").lstrip(" .-~")
    if _DEVICE.match(name):
        name = f"_{name}"
    return _shortened(name or _UNNAMED, "")


class Names:
    """The file names in use in one folder."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}

    def new(self, original: str) -> str:
        """Return a safe name that is not in use yet; the second of the same name gets the number 2."""
        name = chosen = safe_name(original)
        number = self._last.get(_alike(name), 1)
        while _alike(chosen) in self._taken:
            number += 1
            chosen = _shortened(name, f" ({number})")
        self._last[_alike(name)] = number
        self._taken.add(_alike(chosen))
        return chosen


def _alike(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _shortened(name: str, more: str) -> str:
    """Return ``name`` with ``more`` before its file extension, within a limit of bytes."""
    ending = PurePosixPath(name).suffix
    if len(ending.encode()) > _MOST_ENDING:
        ending = ""
    room = _MOST_BYTES - len((more + ending).encode())
    stem = name.removesuffix(ending).encode()[:room].decode(errors="ignore").rstrip(" .")
    return f"{stem}{more}{ending}"
