"""Display of interface D's messages for `samdrift client`, and construction of replies to them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from samdrift.client.jsonstream import FilePiece, FilePlace
from samdrift.client.mailbox import Document
from samdrift.client.outgoing import Correspondent, OutgoingMessage
from samdrift.config.errors import Unusable

_LABEL = 256
"""Maximum number of characters in a label (content-specification 4.3.2)."""
_LONGEST_NAME = 200
"""Maximum bytes in the name of a stored file; file systems allow 255, and a number may be added."""


HEADERS = ("message", "status", "created", "from and to", "label")
"""Headers of the columns from :func:`cells`."""


def cells(message: Document) -> tuple[str, ...]:
    """Return a message as a table row: id, status, time, sender and recipient, and label."""
    given = _attributes(message)
    return (
        str(given.get("messageId", "")),
        str(given.get("messageStatus", "")),
        str(given.get("creationDateTime", "")),
        f"{_who(given, 'sender')} -> {_who(given, 'recipient')}",
        str(given.get("label", "")),
    )


def page(message: Document) -> Iterator[str]:
    """Yield the lines of a complete message."""
    given = _attributes(message)
    for name, value in (
        ("Id", given.get("messageId")),
        ("Conversation", given.get("conversationId")),
        ("Answers", given.get("refToMessageId")),
        ("Created", given.get("creationDateTime")),
        ("Status", given.get("messageStatus")),
        ("From", _who(given, "sender")),
        ("To", _who(given, "recipient")),
        ("Confidential", "yes" if given.get("confidentiality") else "no"),
        ("Label", given.get("label")),
    ):
        if value:
            yield f"{name + ':':14}{value}"
    for document in _list(given, "digitalDocument"):
        for text in _list(document, "contentTextBody"):
            yield from ("", *str(text).splitlines())
        for file in _list(document, "contentFiles"):
            named = _object(file)
            yield f"{'File:':14}{named.get('fileName')} ({named.get('contentType')})"
    for issue in _list(given.get("events"), "eventIssues"):
        told = [_object(issue).get(key) for key in ("dateTime", "typeCode", "title", "detail", "in")]
        yield f"{'Event:':14}" + "  ".join(str(each) for each in told if each not in (None, "", "NA"))


class StoredFiles:
    """Folder in which attached files are stored while the message is read, and then named.

    Names come from the sender, so only their last part is used, and no file is replaced. On exit from the
    context, files without a name are removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[FilePlace, Path] = {}

    def __enter__(self) -> None:
        return None

    def __exit__(self, *raised: object) -> None:
        for part in self._parts.values():
            part.unlink(missing_ok=True)

    async def write(self, piece: FilePiece) -> None:
        part = self._parts.get(piece.place)
        if part is None:
            part = self._parts[piece.place] = self._folder / f".{uuid.uuid4()}.part"
            part.touch(mode=0o600, exist_ok=False)
        if piece.data:
            with part.open("ab") as file:
                file.write(piece.data)

    def named(self, message: Document) -> Iterator[Path]:
        """Move the files to the names that ``message`` contains, and yield their paths."""
        documents = _list(_attributes(message), "digitalDocument")
        for document, given in enumerate(documents):
            for file, head in enumerate(_list(given, "contentFiles")):
                part = self._parts.pop(FilePlace(document, file), None)
                if part is not None:
                    name = _harmless(str(_object(head).get("fileName", "")))
                    yield _move(part, self._folder, name)


def event(data: str) -> dict[str, Any]:
    """Return the data of an event, which should be a JSON object; other data is wrapped in one."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {"data": data}


def answering(message: OutgoingMessage, original: Document) -> OutgoingMessage:
    """Return ``message`` as a reply to ``original``: to its sender, in its conversation, with its label."""
    given = _attributes(original)
    return replace(
        message,
        recipient=Correspondent(str(given.get("sender", "")), _address(given, "sender")),
        label=message.label or f"Sv: {given.get('label', '')}"[:_LABEL],
        conversation_id=str(given.get("conversationId", "")),
        ref_to_message_id=str(given.get("messageId", "")),
    )


def _move(part: Path, folder: Path, name: str) -> Path:
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    for number in range(1, 1000):
        path = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
        try:
            path.hardlink_to(part)
        except FileExistsError:
            continue
        part.unlink()
        return path
    raise Unusable("the folder has too many files of the same name")


def _harmless(name: str) -> str:
    last = PureWindowsPath(PurePosixPath(name).name).name
    kept = PurePosixPath("".join(each for each in last if each.isprintable()).strip().lstrip(".") or "file")
    suffix = _cut(kept.suffix, _LONGEST_NAME // 2)
    return _cut(kept.stem, _LONGEST_NAME - len(suffix.encode())) + suffix


def _cut(text: str, most: int) -> str:
    """Return the longest beginning of a text that fits into a number of bytes."""
    return text.encode()[:most].decode("utf-8", "ignore")


def _attributes(message: Document) -> Mapping[str, Any]:
    return _object(message.get("attributes"))


def _object(value: object) -> Mapping[str, Any]:
    """Return an object from the service, or an empty one if the value is not an object."""
    return value if isinstance(value, Mapping) else {}


def _who(given: Mapping[str, Any], side: str) -> str:
    return f"{given.get(side, '')} {_address(given, side)}".strip()


def _address(given: Mapping[str, Any], side: str) -> str:
    unit = _object(_object(given.get(f"{side}Attention")).get("subOrganization"))
    return str(unit.get("extension", ""))


def _list(given: Any, key: str) -> list[Any]:
    found = _object(given).get(key)
    return found if isinstance(found, list) else []
