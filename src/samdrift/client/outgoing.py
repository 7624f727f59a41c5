"""A message to send, as the JSON that interface D takes: files are read while it is sent."""

from __future__ import annotations

import asyncio
import base64
import json
import mimetypes
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from samdrift.wire.identifiers import FUNCTIONAL_ADDRESS_ROOT

_PIECE = 3 << 18
"""Bytes of a file read at a time: a multiple of three, so that the pieces' base64 joins to the file's."""

DOCUMENT_ID = "SDK-Meddelande"

Source = Callable[[], AsyncIterator[bytes]]
"""Opens a file's content from its beginning; called once more where the message is sent again."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An identifier with its code system (``root``) and a text for people: a person, or a reference."""

    root: str
    extension: str
    label: str

    def members(self) -> dict[str, str]:
        return {"root": self.root, "extension": self.extension, "label": self.label}


@dataclass(frozen=True, slots=True)
class Correspondent:
    """An organisation and one of its functional addresses, with persons and references of its own.

    (api-mt-mk, "Meddelanden", 10 to 13)
    """

    organisation: str
    address: str
    label: str = ""
    persons: tuple[Labelled, ...] = ()
    references: tuple[Labelled, ...] = ()

    def attention(self) -> dict[str, object]:
        sub_organisation = {"root": FUNCTIONAL_ADDRESS_ROOT, "extension": self.address}
        if self.label:
            sub_organisation["label"] = self.label
        attention: dict[str, object] = {"subOrganization": sub_organisation}
        if self.persons:
            attention["attentionPerson"] = [person.members() for person in self.persons]
        if self.references:
            attention["referenceId"] = [reference.members() for reference in self.references]
        return attention


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to send; its type follows from its name if none is given."""

    name: str
    source: Source
    content_type: str = ""

    @classmethod
    def of_file(cls, path: Path, content_type: str = "") -> Attachment:
        """A file of the file system; :class:`OSError` while it is sent when it cannot be read."""
        return cls(path.name, lambda: _read(path), content_type)

    def head(self) -> dict[str, str]:
        guessed = mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        return {"fileName": self.name, "contentType": self.content_type or guessed}

    async def base64(self) -> AsyncIterator[bytes]:
        rest = b""
        async for piece in self.source():
            rest += piece
            whole = len(rest) - len(rest) % 3
            if whole:
                yield base64.b64encode(rest[:whole])
                rest = rest[whole:]
        yield base64.b64encode(rest)


@dataclass(frozen=True, slots=True)
class OutgoingDocument:
    """A document of a message: texts in Markdown, files, or both (content-specification 4.3.3)."""

    name: str = ""
    texts: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    id: str = DOCUMENT_ID
    index: str = "1"

    def members(self) -> dict[str, object]:
        given: dict[str, object] = {"documentName": self.name, "documentId": self.id, "index": self.index}
        if self.texts:
            given["contentTextBody"] = list(self.texts)
        return {name: value for name, value in given.items() if value}

    async def pieces(self) -> AsyncIterator[bytes]:
        yield _open(self.members(), 1)
        if self.attachments:
            yield b', "contentFiles": ['
            for number, attachment in enumerate(self.attachments):
                yield (b", " if number else b"") + _open(attachment.head(), 1) + b', "content": "'
                async for piece in attachment.base64():
                    yield piece
                yield b'"}'
            yield b"]"
        yield b"}"


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send: content, recipient and conversation.

    ``message_id`` is chosen by whoever sends, so that the same message can be sent
    again after an answer that never came, and still arrives once.

    Clauses: api-mt-mk 4.1 step 3.
    """

    message_id: str
    sender: Correspondent
    recipient: Correspondent
    label: str
    documents: tuple[OutgoingDocument, ...]
    confidentiality: bool = True
    conversation_id: str = ""
    ref_to_message_id: str = ""
    generating_system: tuple[str, str] | None = None
    """``root`` and ``extension`` of the system that writes the message."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The request body, piece by piece; what a source raises is raised unchanged."""
        head = _open({"data": {"type": "messages", "attributes": self._attributes()}}, 3)
        yield head + b', "digitalDocument": ['
        for number, document in enumerate(self.documents):
            if number:
                yield b", "
            async for piece in document.pieces():
                yield piece
        yield b"]}}}"

    def _attributes(self) -> dict[str, object]:
        given: dict[str, object] = {
            "messageId": self.message_id,
            "conversationId": self.conversation_id,
            "refToMessageId": self.ref_to_message_id,
        }
        if self.generating_system is not None:
            root, extension = self.generating_system
            given["generatingSystem"] = {"root": root, "extension": extension}
        return {
            **{key: value for key, value in given.items() if value},
            "confidentiality": self.confidentiality,
            "label": self.label,
            "sender": self.sender.organisation,
            "senderAttention": self.sender.attention(),
            "recipient": self.recipient.organisation,
            "recipientAttention": self.recipient.attention(),
        }


async def _read(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


def _open(document: Mapping[str, object], levels: int) -> bytes:
    """A JSON document without its last closing braces."""
    return json.dumps(document, ensure_ascii=False).encode()[:-levels]
