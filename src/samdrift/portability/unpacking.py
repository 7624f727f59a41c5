"""Unpacking of an export into a folder for people, without any installation.

The export is read once: it is checked as for an import, and written at the same time to a temporary folder,
which gets its name only if all checks succeed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import pyrage
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.attestation.agefile import decrypting
from samdrift.attestation.archive import new_folder
from samdrift.contracts.messages import Direction
from samdrift.portability import layout, readable
from samdrift.portability.checking import Checking
from samdrift.portability.manifest import Manifest
from samdrift.portability.messagefolder import MessageFolder, new, write
from samdrift.portability.reading import Statement, walk
from samdrift.portability.readme import UNPACKED
from samdrift.vault.portability import parts
from samdrift.vault.portability.parts import Facts, Part

TABLE_FILE: Final = "index.csv"
_MESSAGES: Final = "messages"
_STRAY: Final = "receipts"
"""Folder for receipts of messages that are not in the export."""
_PLAIN: Final = re.compile(r"[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The result of unpacking."""

    statement: Statement
    attachments: int
    unreadable: int
    """Number of messages that are present only as XML because they could not be parsed."""

    @property
    def manifest(self) -> Manifest:
        return self.statement.manifest


async def unpack(
    file: Path,
    keys: Sequence[pyrage.x25519.Identity],
    out: Path,
    signer: str | None,
    digest: str | None = None,
) -> Unpacked:
    """Unpack ``file`` into the new folder ``out``; :class:`MoveError`, and no folder, if it is unusable.

    Without ``signer``, the signature must be valid for the certificate in the file.
    """
    with new_folder(out) as folder:
        unpacking = _Unpacking(folder)
        async with decrypting(file, keys) as source:
            statement = await walk(source, unpacking)
        unpacking.end(statement, signer or statement.signer)
        statement.check_digest(digest)
    return Unpacked(statement, unpacking.attachments, unpacking.unreadable)


class _Unpacking:
    """A visitor that writes everything, and passes it on to be checked."""

    def __init__(self, folder: Path) -> None:
        self.checking = Checking()
        self.attachments = 0
        self.unreadable = 0
        self._folder = folder
        self._part: Part | None = None
        write(folder / TABLE_FILE, [readable.table_head()])

    async def document(self, name: str, data: bytes) -> None:
        await self.checking.document(name, data)
        write(self._folder / name, [UNPACKED.encode() if name == layout.README_FILE else data])

    async def page(self, part: Part, records: Sequence[layout.Record]) -> None:
        await self.checking.page(part, records)
        self._part = part
        if part is parts.MESSAGES:
            for record in records:
                if not record.files:
                    self._finish(self._message(record))
        elif part is not parts.RECEIPTS:
            _append(self._folder / f"{layout.title(part)}.jsonl", layout.write_page(records))

    async def content(self, record: layout.Record, name: str, pieces: AsyncIterator[bytes]) -> None:
        if self._part is parts.MESSAGES:
            message = self._message(record)
            await self._checked(record, name, message.write(pieces))
            self._finish(message)
        elif self._part is parts.RECEIPTS:
            path = self._receipt(record.facts)
            await self._checked(record, name, _written(path, pieces))
        else:
            await self._checked(record, name, _written(self._folder / record.files[name].name, pieces))

    async def gone(self, record: layout.Record, name: str) -> None:
        await self.checking.gone(record, name)
        if self._part is parts.MESSAGES:
            message = self._message(record)
            message.content = "gone"
            self._finish(message)
        else:
            write(self._folder / (record.files[name].name + layout.GONE), [])

    async def page_end(self, digest: str) -> None:
        await self.checking.page_end(digest)

    def end(self, statement: Statement, signer: str) -> None:
        """Complete the checks, and write the manifest and its signature."""
        self.checking.end(statement, signer)
        write(self._folder / layout.MANIFEST_FILE, [statement.encoded])
        write(self._folder / layout.SIGNATURE_FILE, [statement.signature])
        write(self._folder / layout.SIGNER_FILE, [statement.certificate.public_bytes(Encoding.PEM)])

    async def _checked(self, record: layout.Record, name: str, written: AsyncGenerator[bytes, None]) -> None:
        """Check a file while it is written, to its end."""
        async with contextlib.aclosing(written):
            await self.checking.content(record, name, written)
            async for _ in written:
                pass

    def _message(self, record: layout.Record) -> MessageFolder:
        return MessageFolder(self._path(record.facts["direction"], record.facts["id"]), record.facts)

    def _path(self, direction: str, message_id: str) -> Path:
        return self._folder / _MESSAGES / f"{direction}-{_plain(message_id)}"

    def _finish(self, message: MessageFolder) -> None:
        message.finish()
        self.attachments += sum(len(each["attachments"]) for each in message.documents)
        self.unreadable += message.content == "unreadable"
        folder = message.path.relative_to(self._folder).as_posix()
        line = readable.table_line(message.facts, message.documents, message.content, folder)
        _append(self._folder / TABLE_FILE, line)

    def _receipt(self, facts: Facts) -> Path:
        """Return the path for a message receipt, next to its message if possible, and write its facts."""
        of = Direction.IN if facts["direction"] == Direction.OUT else Direction.OUT
        folder = self._path(of, facts["message"])
        path = (folder if folder.is_dir() else self._folder / _STRAY) / f"receipt-{_plain(facts['id'])}.xml"
        write(path.with_suffix(".json"), [layout.document(facts)])
        if folder.is_dir():
            _append(folder / "message.txt", readable.receipt(facts, path.name).encode())
        return path


async def _written(path: Path, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    with new(path) as file:
        async for piece in pieces:
            file.write(piece)
            yield piece


def _append(path: Path, data: bytes) -> None:
    if not path.exists():
        write(path, [data])
        return
    with path.open("ab") as file:
        file.write(data)


def _plain(name: str) -> str:
    """Return an id for use in a file name; one that is not plain lower case is replaced by its digest."""
    return name if _PLAIN.fullmatch(name) else f"sha256-{sha256(name.encode()).hexdigest()}"
