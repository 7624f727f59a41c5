"""A message to send, written as JSON for interface D; its files are read while it is sent."""

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
"""Number of bytes read at a time: a multiple of three, so that the Base64 pieces can be joined."""

DOCUMENT_ID = "SDK-Meddelande"

Source = Callable[[], AsyncIterator[bytes]]
"""Function that opens a file's content at its beginning; called again if the message is sent again."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An identifier with its code system (``root``) and a label: a person or a reference."""

    root: str
    extension: str
    label: str

    def members(self) -> dict[str, str]:
        return {"root": self.root, "extension": self.extension, "label": self.label}


@dataclass(frozen=True, slots=True)
class Correspondent:
    """An organisation and one of its functional addresses, with its people and references.

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
    """A file to send; by default its type is derived from its name."""

    name: str
    source: Source
    content_type: str = ""

    @classmethod
    def of_file(cls, path: Path, content_type: str = "") -> Attachment:
        """Return an attachment for a file; if it cannot be read, sending raises :class:`OSError`."""
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

    The sender chooses ``message_id``, so that a message can be sent again when no answer was received, and
    still arrives only once.

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
    """``root`` and ``extension`` of the system that created the message."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the request body in pieces; errors of a source are passed on unchanged."""
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
    """Return a JSON document without its last ``levels`` closing braces."""
    return json.dumps(document, ensure_ascii=False).encode()[:-levels]
