"""One file of a backup: an organisation's data from the database and the object store, or the registry.

The file is a plain tar archive encrypted with age. It contains the bodies from the object store, in pieces;
then the table definitions and the rows, as gzip pieces of COPY text; and finally counts and digests of
everything. A person with the key can read all of it with ``age``, ``tar``, ``zcat`` and ``psql`` alone.
Writer and reader hold at most one piece in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from samdrift.attestation.archive import ArchiveReader, ArchiveWriter, Member, Reading, Writing
from samdrift.attestation.signatures import time_of
from samdrift.config.errors import Unusable
from samdrift.vault.errors import SealBroken
from samdrift.vault.portability.copies import CopiedSchema, CopiedTable, RowSum
from samdrift.wire.errors import WireError
from samdrift.wire.gzip import Decompressor, ExpansionLimits, Gzip

FORMAT = "samdrift backup"
VERSION = 1
REGISTRY = "registry"
"""Name that stands for the registry where vaults have a role."""

_BEGINNING = "backup.json"
_SCHEMAS = "schemas.json"
_CONTENTS = "contents.json"
_BODIES = "bodies"
_ROWS = "rows"
_PIECE = 1 << 20
_LARGEST_DOCUMENT = 1 << 24
_LIMITS = ExpansionLimits(max_bytes=1 << 31, max_ratio=2000, free_bytes=1 << 20)
"""Limits for one piece: a megabyte, or one larger row, as PostgreSQL's values can have up to a gigabyte."""


class BackupFault(StrEnum):
    """The kind of fault in handling a backup."""

    NOT_A_BACKUP = "not-a-backup"
    DAMAGED = "damaged"
    """The backup is cut short, or differs from what was written."""
    SIGNATURE = "signature"
    """The backup is not signed by this installation."""
    KEY = "key"
    """The backup was encrypted for another age key."""
    VERSION = "version"
    OCCUPIED = "occupied"
    """The target of the restore is already in use."""
    ABSENT = "absent"
    """The organisation is not in the backup, or not hosted here."""
    LOCKED = "locked"
    """The organisation's own officer is needed."""
    SUSPENDED = "suspended"
    """The restore failed, and the organisation could not be resumed."""


class BackupError(Unusable):
    """A message of one line for the person handling a backup: what is wrong, where, and what to do."""

    def __init__(self, fault: BackupFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


def damaged(what: str) -> BackupError:
    """Return the error for a file that differs from what was written."""
    return BackupError(BackupFault.DAMAGED, f"{what}: use another backup")


@dataclass(frozen=True, slots=True)
class CopiedVault:
    """A vault in a backup, or the registry."""

    role: str
    vault: str
    """Id of the vault; empty for the registry."""
    schema: CopiedSchema


@dataclass(frozen=True, slots=True)
class Beginning:
    """The description of a backup file: its organisation, its time and its vaults."""

    organisation: str
    """Participant identifier; empty for the registry."""
    taken_at: datetime
    vaults: tuple[CopiedVault, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Number and digest of rows or bodies, as they were written."""

    count: int
    digest: str


@dataclass(frozen=True, slots=True)
class Contents:
    """Counts and digests of the contents of a file."""

    tables: Mapping[str, Sum]
    """The sum of each table, by role and table name separated by a slash."""
    bodies: Sum

    @property
    def rows(self) -> int:
        """Return the number of rows in all tables."""
        return sum(each.count for each in self.tables.values())


class Taker(Protocol):
    """A receiver of the parts of a file, in the order in which they are stored."""

    async def body(self, role: str, body: str, pieces: AsyncIterator[bytes]) -> None:
        """Accept a body from the object store, still encrypted."""

    async def begin(self, beginning: Beginning) -> None:
        """Create the tables for the rows."""

    async def table(self, role: str, table: CopiedTable, pieces: AsyncIterator[bytes]) -> None:
        """Accept the rows of a table, as COPY text."""


class Looking:
    """A receiver that reads everything and stores nothing."""

    async def body(self, role: str, body: str, pieces: AsyncIterator[bytes]) -> None:
        async for _ in pieces:
            pass

    async def begin(self, beginning: Beginning) -> None:
        pass

    async def table(self, role: str, table: CopiedTable, pieces: AsyncIterator[bytes]) -> None:
        async for _ in pieces:
            pass


class BodySum:
    """Number and digest of bodies, independent of their order; covers the place and the content of each."""

    def __init__(self) -> None:
        self._sum = RowSum()

    def add(self, role: str, body: str, digest: str) -> None:
        """Add a body by the SHA-256 of its stored form."""
        self._sum.take(f"{role}/{body} {digest}\n".encode())

    @property
    def value(self) -> Sum:
        return Sum(self._sum.rows, self._sum.digest)


class BackupWriter:
    """A writer of one backup file, part by part."""

    def __init__(self, sink: Writing, organisation: str, made_at: datetime) -> None:
        self._archive = ArchiveWriter(sink, int(made_at.timestamp()))
        self._organisation = organisation
        self._tables: dict[str, Sum] = {}
        self._bodies = BodySum()

    async def begin(self) -> None:
        """Write the header, which names the organisation."""
        await self._document(
            _BEGINNING, {"format": FORMAT, "version": VERSION, "organisation": self._organisation}
        )

    async def body(self, role: str, body: str, pieces: AsyncIterator[bytes]) -> bool:
        """Write a body; return false when it is or gets removed. Pieces already read remain in the file.

        An empty object counts as removed: a body is never empty, since it is encrypted.
        """
        digest, number, there = hashlib.sha256(), 0, True
        try:
            async for piece in pieces:
                digest.update(piece)
                await self._archive.add(_numbered(_BODIES, role, body, number), piece)
                number += 1
        except SealBroken:
            there = False
        if number:
            self._bodies.add(role, body, digest.hexdigest())
        return there and number > 0

    async def schemas(self, taken_at: datetime, vaults: Sequence[CopiedVault]) -> None:
        """Write the definitions of the tables."""
        document = {"taken_at": taken_at.isoformat(), "vaults": [_described(each) for each in vaults]}
        await self._document(_SCHEMAS, document)

    async def table(self, role: str, table: CopiedTable, pieces: AsyncIterator[bytes]) -> None:
        """Write the rows of a table."""
        total, held, number = RowSum(), bytearray(), 0
        async for piece in pieces:
            total.take(piece)
            held += piece
            if len(held) >= _PIECE:
                await self._archive.add(_numbered(_ROWS, role, table.name, number), _compressed(held))
                held, number = bytearray(), number + 1
        if held:
            await self._archive.add(_numbered(_ROWS, role, table.name, number), _compressed(held))
        self._tables[f"{role}/{table.name}"] = Sum(total.rows, total.digest)

    async def end(self) -> Contents:
        """Write the counts and digests of everything that was written."""
        contents = Contents(self._tables, self._bodies.value)
        await self._document(
            _CONTENTS,
            {
                "tables": {name: [each.count, each.digest] for name, each in contents.tables.items()},
                "bodies": [contents.bodies.count, contents.bodies.digest],
            },
        )
        await self._archive.end()
        return contents

    async def _document(self, name: str, document: Mapping[str, Any]) -> None:
        await self._archive.add(name, json.dumps(document, indent=1).encode())


async def read_backup(source: Reading, take: Taker) -> tuple[Beginning, Contents]:
    """Read one file to its end; raise :class:`BackupError` or :class:`MoveError` when it is damaged.

    What the receiver has accepted may be used only after this has returned.
    """
    try:
        return await _Reader(source, take).read()
    except (KeyError, TypeError, ValueError, AttributeError):
        raise damaged("a backup file has a part that cannot be read") from None


class _Reader:
    """A backup file while it is being read."""

    def __init__(self, source: Reading, take: Taker) -> None:
        self._archive = ArchiveReader(source)
        self._take = take
        self._member: Member | None = None
        self._bodies = BodySum()
        self._tables: dict[str, Sum] = {}

    async def read(self) -> tuple[Beginning, Contents]:
        await self._next()
        first = await self._document(_BEGINNING)
        if first["format"] != FORMAT:
            raise BackupError(BackupFault.NOT_A_BACKUP, "the file is not part of a backup")
        if first["version"] != VERSION:
            text = "the backup is from a version of samdrift that this one cannot read"
            raise BackupError(BackupFault.VERSION, text)
        while (name := self._name())[0] == _BODIES:
            await self._body(name[1], name[2])
        second = await self._document(_SCHEMAS)
        vaults = tuple(_vault(each) for each in second["vaults"])
        beginning = Beginning(str(first["organisation"]), time_of(second["taken_at"]), vaults)
        await self._take.begin(beginning)
        for vault in vaults:
            for table in vault.schema.tables:
                await self._rows(vault.role, table)
        contents = _contents(await self._document(_CONTENTS))
        if self._member is not None or contents != Contents(self._tables, self._bodies.value):
            raise damaged("a backup file does not match its own table of contents")
        return beginning, contents

    async def _body(self, role: str, body: str) -> None:
        digest = hashlib.sha256()

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in self._pieces(_BODIES, role, body):
                digest.update(piece)
                yield piece

        await self._take.body(role, body, pieces())
        self._bodies.add(role, body, digest.hexdigest())

    async def _rows(self, role: str, table: CopiedTable) -> None:
        total = RowSum()

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in self._expanded(role, table):
                total.take(piece)
                yield piece

        await self._take.table(role, table, pieces())
        if not total.whole:
            raise damaged("a table in the backup ends within a row")
        self._tables[f"{role}/{table.name}"] = Sum(total.rows, total.digest)

    async def _expanded(self, role: str, table: CopiedTable) -> AsyncIterator[bytes]:
        number = 0
        while self._member is not None and self._member.name == _numbered(_ROWS, role, table.name, number):
            expand = Decompressor(_LIMITS)
            try:
                async for piece in self._archive.pieces(self._member):
                    for text in expand.feed(piece):
                        yield text
                expand.finish()
            except WireError:
                raise damaged("a table in the backup cannot be expanded") from None
            await self._next()
            number += 1

    async def _pieces(self, kind: str, role: str, body: str) -> AsyncIterator[bytes]:
        number = 0
        while self._member is not None and self._member.name == _numbered(kind, role, body, number):
            async for piece in self._archive.pieces(self._member):
                yield piece
            await self._next()
            number += 1
        if not number:
            raise damaged("a backup file has its parts in the wrong order")

    async def _document(self, name: str) -> dict[str, Any]:
        if self._member is None or self._member.name != name:
            raise damaged(f"a backup file lacks {name}")
        document = json.loads(await self._archive.whole(self._member, _LARGEST_DOCUMENT))
        await self._next()
        if not isinstance(document, dict):
            raise TypeError
        return document

    def _name(self) -> list[str]:
        return self._member.name.split("/") if self._member is not None else [""]

    async def _next(self) -> None:
        self._member = await self._archive.next()


def _numbered(kind: str, role: str, name: str, number: int) -> str:
    return f"{kind}/{role}/{name}/{number:08d}"


def _compressed(text: bytes | bytearray) -> bytes:
    gzip = Gzip()
    return gzip.feed(bytes(text)) + gzip.finish()


def _described(vault: CopiedVault) -> dict[str, Any]:
    copied = vault.schema
    return {
        "role": vault.role,
        "vault": vault.vault,
        "versions": dict(copied.versions),
        "tables": [[each.name, list(each.columns)] for each in copied.tables],
        "sequences": {name: list(state) for name, state in copied.sequences.items()},
    }


def _vault(said: Mapping[str, Any]) -> CopiedVault:
    return CopiedVault(
        str(said["role"]),
        str(said["vault"]),
        CopiedSchema(
            {str(part): int(version) for part, version in said["versions"].items()},
            tuple(CopiedTable(str(name), tuple(map(str, columns))) for name, columns in said["tables"]),
            {str(name): (int(last), bool(called)) for name, (last, called) in said["sequences"].items()},
        ),
    )


def _contents(said: Mapping[str, Any]) -> Contents:
    tables = {str(name): Sum(int(count), str(digest)) for name, (count, digest) in said["tables"].items()}
    count, digest = said["bodies"]
    return Contents(tables, Sum(int(count), str(digest)))
