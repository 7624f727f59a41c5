"""How `samdrift client` shows messages of interface D, and what it makes of one that is answered."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from samdrift.client.mailbox import Document
from samdrift.client.outgoing import Correspondent, OutgoingMessage
from samdrift.config.errors import Unusable

_LABEL = 256
"""The most characters of a label (content-specification 4.3.2)."""
_LONGEST_NAME = 200
"""Bytes of the name of a stored file; file systems have 255, and a number may come into it."""


def line(message: Document) -> str:
    """A message in a list: id, status, time, from whom to whom, and its heading."""
    given = _attributes(message)
    return "  ".join(
        [
            str(given.get("messageId", "")),
            f"{given.get('messageStatus', '')!s:22}",
            str(given.get("creationDateTime", "")),
            f"{_who(given, 'sender')} -> {_who(given, 'recipient')}",
            str(given.get("label", "")),
        ]
    )


def page(message: Document) -> Iterator[str]:
    """A whole message as lines."""
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


def stored(message: Document, folder: Path) -> Iterator[Path]:
    """Store the attached files. Names are the sender's: only their last part counts; nothing is replaced."""
    for document in _list(_attributes(message), "digitalDocument"):
        for file in map(_object, _list(document, "contentFiles")):
            try:
                data = base64.b64decode(str(file.get("content", "")), validate=True)
            except ValueError:  # binascii.Error is one; characters beyond ASCII are another.
                raise Unusable("an attached file is not base64") from None
            yield _store(folder, _harmless(str(file.get("fileName", ""))), data)


def event(data: str) -> dict[str, Any]:
    """The data of an event, which should be a JSON object."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {"data": data}


def answering(message: OutgoingMessage, original: Document) -> OutgoingMessage:
    """``message`` as an answer to ``original``: to its sender, in its conversation, under its label."""
    given = _attributes(original)
    return replace(
        message,
        recipient=Correspondent(str(given.get("sender", "")), _address(given, "sender")),
        label=message.label or f"Sv: {given.get('label', '')}"[:_LABEL],
        conversation_id=str(given.get("conversationId", "")),
        ref_to_message_id=str(given.get("messageId", "")),
    )


def _store(folder: Path, name: str, data: bytes) -> Path:
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    for number in range(1, 1000):
        path = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        return path
    raise Unusable("the folder has too many files of the same name")


def _harmless(name: str) -> str:
    last = PureWindowsPath(PurePosixPath(name).name).name
    kept = PurePosixPath("".join(each for each in last if each.isprintable()).strip().lstrip(".") or "file")
    suffix = _cut(kept.suffix, _LONGEST_NAME // 2)
    return _cut(kept.stem, _LONGEST_NAME - len(suffix.encode())) + suffix


def _cut(text: str, most: int) -> str:
    """As much of it as has so many bytes."""
    return text.encode()[:most].decode("utf-8", "ignore")


def _attributes(message: Document) -> Mapping[str, Any]:
    return _object(message.get("attributes"))


def _object(value: object) -> Mapping[str, Any]:
    """An object of the service's, empty where it should be one and is not."""
    return value if isinstance(value, Mapping) else {}


def _who(given: Mapping[str, Any], side: str) -> str:
    return f"{given.get(side, '')} {_address(given, side)}".strip()


def _address(given: Mapping[str, Any], side: str) -> str:
    unit = _object(_object(given.get(f"{side}Attention")).get("subOrganization"))
    return str(unit.get("extension", ""))


def _list(given: Any, key: str) -> list[Any]:
    found = _object(given).get(key)
    return found if isinstance(found, list) else []
