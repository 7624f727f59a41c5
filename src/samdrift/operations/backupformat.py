"""One file of a backup: what an organisation has in the database and the object store, or the registry.

An archive of plain tar in age. First the bodies from the object store, in pieces; then how the tables were
made, and their rows, as COPY's text in pieces of gzip; last, numbers and digests of all of it. So a person
with the key gets at everything with ``age``, ``tar``, ``zcat`` and ``psql`` alone. Neither the writer nor the
reader holds more than a piece in memory.
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
"""The place of the registry among roles: that of no organisation."""

_BEGINNING = "backup.json"
_SCHEMAS = "schemas.json"
_CONTENTS = "contents.json"
_BODIES = "bodies"
_ROWS = "rows"
_PIECE = 1 << 20
_LARGEST_DOCUMENT = 1 << 24
_LIMITS = ExpansionLimits(max_bytes=1 << 31, max_ratio=2000, free_bytes=1 << 20)
"""A piece is a megabyte, or one row that is larger: PostgreSQL's largest value has a gigabyte."""


class BackupFault(StrEnum):
    """The kind of fault."""

    NOT_A_BACKUP = "not-a-backup"
    DAMAGED = "damaged"
    """It is cut short, or not what was written."""
    SIGNATURE = "signature"
    """This installation has not signed it."""
    KEY = "key"
    """It was encrypted for another key of age."""
    VERSION = "version"
    OCCUPIED = "occupied"
    """There is something else already where it is to be restored."""
    ABSENT = "absent"
    """The organisation is not in it, or not here."""
    LOCKED = "locked"
    """It takes the organisation's own officer."""


class BackupError(Unusable):
    """One line for the person at the backup: what is wrong, where, and what to do."""

    def __init__(self, fault: BackupFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


def damaged(what: str) -> BackupError:
    """Return the error for a file that is not what was written."""
    return BackupError(BackupFault.DAMAGED, f"{what}: use another backup")


@dataclass(frozen=True, slots=True)
class CopiedVault:
    """A vault in a backup, or the registry."""

    role: str
    vault: str
    """Its id; empty for the registry."""
    schema: CopiedSchema


@dataclass(frozen=True, slots=True)
class Beginning:
    """The subject of a file of a backup: whose it is, of when, and which vaults it has."""

    organisation: str
    """Empty for the registry."""
    taken_at: datetime
    vaults: tuple[CopiedVault, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Number and digest of something, as it was written."""

    count: int
    digest: str


@dataclass(frozen=True, slots=True)
class Contents:
    """Numbers and digests of what a file has."""

    tables: Mapping[str, Sum]
    """By role and table, with a stroke between them."""
    bodies: Sum

    @property
    def rows(self) -> int:
        """Return the number of rows in all tables."""
        return sum(each.count for each in self.tables.values())


class Taker(Protocol):
    """A receiver of the parts of a file, in the order in which they come."""

    async def body(self, role: str, body: str, pieces: AsyncIterator[bytes]) -> None:
        """Take a body from the object store, as encrypted as it is there."""

    async def begin(self, beginning: Beginning) -> None:
        """Make room for the rows."""

    async def table(self, role: str, table: CopiedTable, pieces: AsyncIterator[bytes]) -> None:
        """Take the rows of a table, as COPY's text."""


class Looking:
    """A taker that reads everything and keeps nothing."""

    async def body(self, role: str, body: str, pieces: AsyncIterator[bytes]) -> None:
        async for _ in pieces:
            pass

    async def begin(self, beginning: Beginning) -> None:
        pass

    async def table(self, role: str, table: CopiedTable, pieces: AsyncIterator[bytes]) -> None:
        async for _ in pieces:
            pass


class BodySum:
    """Number and digest of bodies, whatever their order; each with its place and its content."""

    def __init__(self) -> None:
        self._sum = RowSum()

    def add(self, role: str, body: str, digest: str) -> None:
        """Add a body by the SHA-256 of its stored form."""
        self._sum.take(f"{role}/{body} {digest}\n".encode())

    @property
    def value(self) -> Sum:
        return Sum(self._sum.rows, self._sum.digest)


class BackupWriter:
    """Writes one file, part after part."""

    def __init__(self, sink: Writing, organisation: str, made_at: datetime) -> None:
        self._archive = ArchiveWriter(sink, int(made_at.timestamp()))
        self._organisation = organisation
        self._tables: dict[str, Sum] = {}
        self._bodies = BodySum()

    async def begin(self) -> None:
        """Write what the file is of."""
        await self._document(
            _BEGINNING, {"format": FORMAT, "version": VERSION, "organisation": self._organisation}
        )

    async def body(self, role: str, body: str, pieces: AsyncIterator[bytes]) -> bool:
        """Write a body; false where it is removed, perhaps while it is read: what was read of it stays."""
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
        return there

    async def schemas(self, taken_at: datetime, vaults: Sequence[CopiedVault]) -> None:
        """Write how the tables were made."""
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
        """Write numbers and digests of all that was written."""
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
    """Read one file to its end; :class:`BackupError` or :class:`MoveError` where it is not what was written.

    What was taken may only be used once this has returned.
    """
    try:
        return await _Reader(source, take).read()
    except (KeyError, TypeError, ValueError, AttributeError):
        raise damaged("a file of the backup has a part that cannot be read") from None


class _Reader:
    """A file of a backup on its way in."""

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
            raise BackupError(BackupFault.NOT_A_BACKUP, "the file is not one of a backup")
        if first["version"] != VERSION:
            text = "the backup is of another version of samdrift than this one can read"
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
            raise damaged("a file of the backup does not have what it says that it has")
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
            raise damaged("a file of the backup has its parts in another order")

    async def _document(self, name: str) -> dict[str, Any]:
        if self._member is None or self._member.name != name:
            raise damaged(f"a file of the backup lacks {name}")
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
