"""A message to send, as the JSON that interface D takes: read from files while it is sent."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from samdrift.wire.identifiers import FUNCTIONAL_ADDRESS_ROOT

_PIECE = 3 << 18
"""Bytes of a file at once; a multiple of three, so that the base64 of the pieces is that of the whole."""


@dataclass(frozen=True, slots=True)
class Correspondent:
    """An organisation and one of its functional addresses (api-mt-mk, "Meddelanden", 10 to 13)."""

    organisation: str
    address: str
    label: str = ""

    def attention(self) -> dict[str, object]:
        sub_organisation = {"root": FUNCTIONAL_ADDRESS_ROOT, "extension": self.address}
        if self.label:
            sub_organisation["label"] = self.label
        return {"subOrganization": sub_organisation}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to send; its type is told from its name when none is given."""

    path: Path
    content_type: str = ""

    def head(self) -> dict[str, str]:
        guessed = mimetypes.guess_type(self.path.name)[0] or "application/octet-stream"
        return {"fileName": self.path.name, "contentType": self.content_type or guessed}

    def base64(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield base64.b64encode(piece)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send: content, recipient and conversation.

    ``message_id`` is chosen by who sends, so that the same message can be sent
    again after an answer that never came, and still arrives once.

    Clauses: api-mt-mk 4.1 step 3.
    """

    message_id: str
    sender: Correspondent
    recipient: Correspondent
    label: str
    text: str
    attachments: tuple[Attachment, ...] = ()
    confidentiality: bool = True
    conversation_id: str = ""
    ref_to_message_id: str = ""

    def pieces(self) -> Iterator[bytes]:
        """The request body, piece by piece; :class:`OSError` when a file cannot be read."""
        document: dict[str, object] = {
            "documentName": self.label,
            "documentId": "SDK-Meddelande",
            "index": "1",
        }
        if self.text:
            document["contentTextBody"] = [self.text]
        head = _open({"data": {"type": "messages", "attributes": self._attributes()}}, 3)
        yield head + b', "digitalDocument": [' + _open(document, 1)
        if self.attachments:
            yield b', "contentFiles": ['
            for number, attachment in enumerate(self.attachments):
                yield (b", " if number else b"") + _open(attachment.head(), 1) + b', "content": "'
                yield from attachment.base64()
                yield b'"}'
            yield b"]"
        yield b"}]}}}"

    def _attributes(self) -> dict[str, object]:
        given = {
            "messageId": self.message_id,
            "conversationId": self.conversation_id,
            "refToMessageId": self.ref_to_message_id,
        }
        return {
            **{key: value for key, value in given.items() if value},
            "confidentiality": self.confidentiality,
            "label": self.label,
            "sender": self.sender.organisation,
            "senderAttention": self.sender.attention(),
            "recipient": self.recipient.organisation,
            "recipientAttention": self.recipient.attention(),
        }


def _open(document: Mapping[str, object], levels: int) -> bytes:
    """A JSON document without its last closing braces."""
    return json.dumps(document, ensure_ascii=False).encode()[:-levels]
