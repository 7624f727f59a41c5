"""The documents of a stored message, read in a stream: pure.

Texts and attachments are handed on as they come, so that no file is ever held
whole. The rest are names, which are held, and bounded.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import LARGE, Namespace
from samdrift.wire.xml.stream import XmlStream

_OWN: Final = f"{{{Namespace.SDK_MESSAGE}}}"
_ROOT: Final = "messagePayload"
_BODY: Final = [_ROOT, "message", "messageBody"]
_DOCUMENT_NAMES: Final = ("documentID", "documentName", "index")
_FILE_NAMES: Final = ("fileName", "contentType")
_MOST_NAMES: Final = 4 << 20
"""Characters of all names in a message."""

Members = dict[str, Any]


class Output(Protocol):
    """Takes one text, or the base64 of one attachment."""

    def write(self, text: str) -> None: ...

    def close(self) -> Any:
        """It was all; what the message's facts say of it."""


class Outputs(Protocol):
    """Where contents go."""

    def text(self) -> Output: ...

    def attachment(self, name: str) -> Output: ...


class Contents:
    """Reads a message; :class:`WireError` when it is none."""

    def __init__(self, outputs: Outputs) -> None:
        self.documents: list[Members] = []
        """The members of each document: names as in the message, and the files that texts and attachments
        became.
        """
        self._outputs = outputs
        self._stream = XmlStream(self, LARGE)
        self._path: list[str] = []
        self._name: list[str] | None = None
        self._output: Output | None = None
        self._characters = 0

    def feed(self, data: bytes) -> None:
        """The next bytes of the message."""
        self._stream.feed(data)

    def close(self) -> None:
        """The message ended."""
        self._stream.close()

    def start(self, tag: str, attributes: object) -> bool:
        if self._name is not None or self._output is not None:
            raise WireError(WireFault.STRUCTURE, "markup where only text may be", "/".join(self._path))
        self._path.append(tag.removeprefix(_OWN) if tag.startswith(_OWN) else "")
        if self._path[0] != _ROOT:
            raise WireError(WireFault.STRUCTURE, "no SDK message", "start")
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
