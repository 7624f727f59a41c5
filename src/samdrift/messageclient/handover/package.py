"""The package of a hand-over: a ZIP file that is created while it is sent, and is never on a disk here.

Only the PDF, which is typeset before the first byte is sent, is in memory as a whole; messages are read a few
at a time. The manifest comes last, with the digest of every other file.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from samdrift.client.errors import InterfaceError, NotOffered
from samdrift.contracts.errors import Temporary
from samdrift.messageclient import content
from samdrift.messageclient.handover.content import Content, HandOver
from samdrift.messageclient.mail import Document, Identifier, Message, Part, Party
from samdrift.web.hostile import safe_name

FORMAT = "samdrift hand-over"
VERSION = 1
MANIFEST = "manifest.json"
PDF = "meddelanden.pdf"
_ZONE = ZoneInfo("Europe/Stockholm")
_PIECE = 1 << 16


@dataclass(slots=True)
class _Out:
    """Buffer for bytes of the ZIP file that have not been sent yet."""

    held: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> int:
        self.held.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing, because writes are kept until they are taken."""

    def taken(self) -> bytes:
        data = b"".join(self.held)
        self.held.clear()
        return data


class Archive:
    """A ZIP file in pieces. Each of its files is written by iterating over the result of :meth:`add`."""

    def __init__(self, at: datetime) -> None:
        self._out = _Out()
        self._zip = zipfile.ZipFile(self._out, "w")  # type: ignore[call-overload]  # Only write() is needed.
        self._at = at.astimezone(_ZONE).timetuple()[:6]
        self.files: dict[str, dict[str, Any]] = {}
        """Size and digest of each file that has been written."""

    async def add(
        self, name: str, pieces: AsyncIterable[bytes], *, packed: bool = False
    ) -> AsyncIterator[bytes]:
        """Yield the bytes for a new file; ``packed`` compresses it, which is useful only for texts."""
        info = zipfile.ZipInfo(name, self._at)
        info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        info.external_attr = 0o600 << 16
        digest, size = hashlib.sha256(), 0
        with self._zip.open(info, "w") as file:
            async for piece in pieces:
                digest.update(piece)
                size += len(piece)
                file.write(piece)
                yield self._out.taken()
        self.files[name] = {"size": size, "sha256": digest.hexdigest()}
        yield self._out.taken()

    def end(self) -> bytes:
        """Return the remaining bytes, with the table of contents."""
        self._zip.close()
        return self._out.taken()


async def digests(one: Content) -> dict[str, str]:
    """Return the SHA-256 of each file of a message, which the PDF lists before the files are sent."""
    found = {}
    for file, pieces in one.files.items():
        digest = hashlib.sha256()
        async for piece in pieces:
            digest.update(piece)
        found[file] = digest.hexdigest()
    return found


async def package(handover: HandOver, pdf: bytes | None, readme: str) -> AsyncIterator[bytes]:
    """Yield the package; an outage in the middle of a file breaks it off."""
    archive = Archive(handover.at)
    writing = _Writing(handover, archive)
    async for piece in archive.add("LÄS MIG.txt", _whole(readme.encode()), packed=True):
        yield piece
    if pdf is not None:
        async for piece in archive.add(PDF, _whole(pdf)):
            yield piece
    number = 0
    async for one in handover.contents:
        number += 1
        async for piece in writing.message(number, one):
            yield piece
    manifest = json.dumps(writing.manifest(), ensure_ascii=False, indent=2) + "\n"
    async for piece in archive.add(MANIFEST, _whole(manifest.encode("utf-8", "replace")), packed=True):
        yield piece
    yield archive.end()


class _Writing:
    def __init__(self, handover: HandOver, archive: Archive) -> None:
        self._handover = handover
        self._archive = archive
        self._messages: list[dict[str, Any]] = []

    async def message(self, number: int, one: Content) -> AsyncIterator[bytes]:
        """Yield the bytes for all parts of a message that are included in the package."""
        handover, message, folder = self._handover, one.message, f"meddelande-{number}"
        files: dict[str, str] = {}
        for document in message.documents:
            for file in document.files if Part.FILES in handover.parts else ():
                name = f"{folder}/filer/{len(files) + 1}-{safe_name(file.name)}"
                files[file.id] = name
                async for piece in self._archive.add(name, one.files[file.id]):
                    yield piece
        said = {"meddelande": f"{folder}/meddelande.json"}
        if one.raw is not None:
            async for piece in self._archive.add(said["meddelande"], one.raw, packed=True):
                yield piece
        else:
            text = json.dumps(message_content(message, files), ensure_ascii=False, indent=2) + "\n"
            content_of = _whole(text.encode("utf-8", "replace"))
            async for piece in self._archive.add(said["meddelande"], content_of, packed=True):
                yield piece
        missing: dict[str, str] = {}
        async for piece in self._proofs(message, folder, said, missing):
            yield piece
        self._messages.append(
            {
                "messageId": message.message_id,
                "conversationId": message.conversation_id,
                "direction": message.direction.value,
                "at": message.at.isoformat(),
                "confidential": message.confidential,
                "status": message.delivery.status if message.delivery else None,
                "parts": said,
                "files": list(files.values()),
                "missing": missing,
                "seen_by": [
                    {
                        "person": each.person.name or each.person.id,
                        "act": each.act.value,
                        "first_at": each.first_at.isoformat(),
                        "last_at": each.last_at.isoformat(),
                    }
                    for each in handover.readings.get(message.id, ())
                ],
            }
        )

    async def _proofs(
        self, message: Message, folder: str, said: dict[str, str], missing: dict[str, str]
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from the message service: evidence with the original, or only the original."""
        wanted = self._handover.parts & {Part.EVIDENCE, Part.ORIGINAL}
        proofs, remote = self._handover.proofs, self._handover.remote.get(message.id)
        if not wanted:
            return
        if proofs is None or remote is None:
            missing.update(dict.fromkeys(sorted(wanted), "no message service has this message"))
            return
        original = Part.ORIGINAL in wanted
        try:
            pieces = await _begun(proofs.evidence(remote, original=original))
        except (InterfaceError, Temporary) as failure:
            missing.update(dict.fromkeys(sorted(wanted), _why(failure)))
            if not original:
                return
        else:
            said |= dict.fromkeys(sorted(wanted), name := f"{folder}/kvittenser.tar")
            async for piece in self._archive.add(name, pieces):
                yield piece
            return
        try:
            pieces = await _begun(proofs.raw(remote))
        except (InterfaceError, Temporary) as failure:
            missing[Part.ORIGINAL] = _why(failure)
            return
        del missing[Part.ORIGINAL]
        said[Part.ORIGINAL] = name = f"{folder}/original.json"
        async for piece in self._archive.add(name, pieces, packed=True):
            yield piece

    def manifest(self) -> dict[str, Any]:
        """Return the manifest: the package's contents and their origin."""
        handover, conversation = self._handover, self._handover.conversation
        registered = conversation.registered
        return {
            "format": FORMAT,
            "version": VERSION,
            "made_at": handover.at.isoformat(),
            "made_by": handover.person.name or handover.person.id,
            "organisation": handover.organisation,
            "address": handover.address,
            "subject": conversation.subject,
            "confidential": conversation.confidential,
            "registered": registered and {"number": registered.number, "at": registered.at.isoformat()},
            "notes": [
                {"author": note.author.name, "at": note.at.isoformat(), "text": note.text}
                for note in conversation.notes
            ],
            "messages": self._messages,
            "files": self._archive.files,
        }


def message_content(message: Message, files: Mapping[str, str]) -> dict[str, Any]:
    """Return a message as stored by this client, with interface D's names (api-mt-mk, Meddelanden)."""
    return {
        "messageId": message.message_id,
        "conversationId": message.conversation_id,
        "creationDateTime": message.dated_at and message.dated_at.isoformat(),
        "label": message.subject,
        "confidentiality": message.confidential,
        "sender": message.sender.organisation,
        "senderAttention": _attention(message.sender),
        "recipient": message.recipient.organisation,
        "recipientAttention": _attention(message.recipient),
        "digitalDocument": [_document(each, files) for each in message.documents],
        "events": content.delivery_content("", message.delivery.events)["events"] if message.delivery else [],
    }


def _attention(party: Party) -> dict[str, Any]:
    return {
        "subOrganization": {"extension": party.address, "label": party.address_name},
        "attentionPerson": _identifiers(party.persons),
        "referenceId": _identifiers(party.references),
    }


def _identifiers(found: tuple[Identifier, ...]) -> list[dict[str, str]]:
    return [{"root": one.root, "extension": one.extension, "label": one.label} for one in found]


def _document(document: Document, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "documentName": document.name,
        "contentTextBody": list(document.plain),
        "contentFiles": [
            {
                "fileName": file.name,
                "contentType": file.media_type,
                "size": file.size,
                "in": files.get(file.id, ""),
            }
            for file in document.files
        ],
    }


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Wait for the first piece, so that a failure is noticed before anything is written."""
    first = await anext(pieces, b"")

    async def all_of_it() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_it()


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), _PIECE):
        yield data[at : at + _PIECE]


def _why(failure: Exception) -> str:
    """Return the reason why a part is missing, without any text from the message service."""
    if isinstance(failure, NotOffered):
        return str(failure)
    return failure.for_logs if isinstance(failure, InterfaceError) else str(failure)
