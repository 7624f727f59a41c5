"""Schemas as rows: read in one snapshot for a backup, and stored again in an empty database.

A backup has only rows, in COPY's text format, which is the same for every version of PostgreSQL. Tables,
functions and rights are made by this program's own migrations, up to the versions of the rows, so a backup
brings no code into a database. Bodies that are too large for a row are in the object store, and not part of
the snapshot: see :func:`without_missing_bodies`.

All of this uses the administrator's connection, since a vault's login reaches only its own schema. That
connection opens nothing: what people wrote is as encrypted in a backup as it is in the database.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from samdrift.contracts.principals import Role
from samdrift.vault import databases
from samdrift.vault.database import migrations
from samdrift.vault.database.server import Database
from samdrift.vault.errors import DatabaseUnfit, VaultError, VaultRefused, VaultUnavailable
from samdrift.vault.inorder import Hosted
from samdrift.vault.logins import Connection
from samdrift.vault.portability.snapshot import BEGIN
from samdrift.vault.relocation import in_order, tables_of

_TEXT = (
    # The text of COPY must not depend on the server's settings.
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO'",
    "SET IntervalStyle = 'postgres'",
    "SET bytea_output = 'hex'",
    "SET extra_float_digits = 1",
)
_NOT_GRANTED = (
    "the database's administrator lacks a right that hardening grants: have a superuser run it again in"
    " every database (docs/database.md)"
)
_SEQUENCES = (
    "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'S' ORDER BY relname"
)
_REMOTE = "SELECT id FROM {}.bodies WHERE sealed IS NULL ORDER BY id"
_HAS_BODIES = "SELECT to_regclass(format('%%I.bodies', %s::text)) IS NOT NULL"
_LOG = "SELECT sequence, encode(hash, 'hex') FROM {}.log WHERE sequence > %s ORDER BY sequence LIMIT 5000"
_HOSTED = """
SELECT organisation, vault, role, schema, login, coalesce(database, current_database())
FROM registry.registrations WHERE state <> 'closing' ORDER BY organisation, role
"""
_AFTER_REGISTRY = (
    "UPDATE registry.registrations SET reader = NULL",
    "UPDATE registry.registrations SET state = 'suspended' WHERE state = 'active'",
    "UPDATE registry.installation SET reader = NULL",
)
_TRIES = 100
_BETWEEN_TRIES = 0.05
_MODULUS = 1 << 256


class CopyDiffers(VaultError):
    """A backup that does not fit the tables in which it is to be stored; ``text`` is the reason."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__()


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table with its columns, in the order in which its rows have them."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CopiedSchema:
    """A schema in a backup: what is needed to make its tables again, without their rows."""

    versions: Mapping[str, int]
    """Version of each part, by which its migrations are found."""
    tables: tuple[CopiedTable, ...]
    """Tables, each after those that it refers to."""
    sequences: Mapping[str, tuple[int, bool]]
    """Last value of each sequence, and whether it was used."""


class RowSum:
    """Number and digest of a table's rows.

    Rows have no order, so the digest is the sum of the rows' digests.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0
        self._rest = b""

    def take(self, text: bytes | memoryview) -> None:
        """Add a piece of COPY's text, which may end within a row."""
        *rows, self._rest = (self._rest + bytes(text)).split(b"\n")
        for row in rows:
            self._sum += int.from_bytes(hashlib.sha256(row).digest())
        self._sum %= _MODULUS
        self.rows += len(rows)

    @property
    def whole(self) -> bool:
        """Return whether the text added so far ends at the end of a row."""
        return not self._rest

    @property
    def digest(self) -> str:
        """Return the sum as 64 hexadecimal digits."""
        return f"{self._sum:064x}"


class Reading:
    """A database as it was at one moment, open for reading."""

    def __init__(self, connection: Connection, taken_at: datetime) -> None:
        self.taken_at = taken_at
        self._connection = connection

    async def schema(self, name: str) -> CopiedSchema:
        """Return the versions, tables and sequences of a schema."""
        with typed():
            tables = await tables_of(self._connection, name)
            ordered = await in_order(self._connection, name, tables)
            versions = sql.SQL("SELECT part, version FROM {}.versions").format(sql.Identifier(name))
            parts: dict[str, int] = dict(await (await self._connection.execute(versions)).fetchall())
            sequences = {}
            for (sequence,) in await _rows(self._connection, _SEQUENCES, name):
                state = sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(name, sequence))
                ((last, called),) = await (await self._connection.execute(state)).fetchall()
                sequences[sequence] = (last, called)
        return CopiedSchema(
            parts, tuple(CopiedTable(each, tuple(tables[each])) for each in ordered), sequences
        )

    async def rows(self, schema: str, table: CopiedTable) -> AsyncIterator[bytes]:
        """Yield the rows of a table as COPY's text."""
        with typed():
            async for piece in _copied_out(self._connection, schema, table):
                yield piece

    async def remote_bodies(self, schema: str) -> list[str]:
        """Return the ids of the bodies that are in the object store."""
        return await _remote_bodies(self._connection, schema)


@asynccontextmanager
async def snapshot(database: Database, where: str | None) -> AsyncIterator[Reading]:
    """Take a snapshot of an organisation's or the installation's database, and keep it during the context."""
    with typed():
        connection = await database.administrators_connection(where)
    try:
        with typed():
            for statement in (*_TEXT, *BEGIN):
                await connection.execute(statement.encode())
            ((now,),) = await _rows(connection, "SELECT now()")
        yield Reading(connection, now)
    finally:
        await connection.close()


@asynccontextmanager
async def without_missing_bodies(
    database: Database, where: str | None, keep: Callable[[Reading], Awaitable[bool]]
) -> AsyncIterator[Reading]:
    """Take a snapshot in which every body has been copied by ``keep``.

    ``keep`` copies the bodies of a snapshot that it does not have yet. It returns false if one was
    removed before it could be read, because its message was delivered or deleted meanwhile. Then another
    snapshot is taken, which no longer refers to that body; only the few bodies that are new since the
    previous one have to be copied. Raises :class:`VaultUnavailable` if that does not succeed after many
    attempts.
    """
    for _ in range(_TRIES):
        async with snapshot(database, where) as reading:
            if await keep(reading):
                yield reading
                return
        await asyncio.sleep(_BETWEEN_TRIES)
    raise VaultUnavailable("bodies are removed faster than they are copied")


class Storing:
    """A database in which rows of a backup are stored, in one transaction of the caller's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def make(
        self, name: str, copied: CopiedSchema, parts: Sequence[str], owner: str | None = None
    ) -> None:
        """Make the empty tables of a schema; :class:`CopyDiffers` if this program cannot make them.

        ``owner`` is an existing role; without one, the administrator owns the schema.
        """
        _check_versions(copied.versions, parts)
        with typed():
            create = sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}")
            who = sql.SQL("CURRENT_USER") if owner is None else sql.Identifier(owner)
            await self._connection.execute(create.format(sql.Identifier(name), who))
        await self.bring(name, copied, parts)

    async def bring(self, name: str, copied: CopiedSchema, parts: Sequence[str]) -> None:
        """Bring an existing schema to the versions of the backup's rows, and empty its tables."""
        _check_versions(copied.versions, parts)
        with typed():
            await migrations.migrate(self._connection, name, tuple(parts), until=copied.versions)
            tables = await tables_of(self._connection, name)
            if {each.name: set(each.columns) for each in copied.tables} != {
                table: set(columns) for table, columns in tables.items()
            }:
                raise CopyDiffers("the backup has tables other than those of its versions in this program")
            every = sql.SQL(", ").join(sql.Identifier(name, table) for table in tables)
            for table in tables:
                # The vault's triggers already ran where the rows were first stored.
                disable = sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.Identifier(name, table))
                await self._connection.execute(disable)
            await self._connection.execute(sql.SQL("TRUNCATE {}").format(every))

    @asynccontextmanager
    async def table(
        self, schema: str, table: CopiedTable
    ) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
        """Store the rows of a table; the context provides a function that accepts COPY's text."""
        into = sql.SQL("COPY {}.{} ({}) FROM STDIN").format(
            sql.Identifier(schema), sql.Identifier(table.name), _columns(table)
        )
        with typed():
            async with self._connection.cursor().copy(into) as copy:
                yield copy.write

    async def finish(self, schema: str, copied: CopiedSchema, parts: Sequence[str]) -> None:
        """Set the sequences, enable the vault's triggers again, and bring the schema up to date."""
        with typed():
            for name, (last, called) in copied.sequences.items():
                where = sql.Identifier(schema, name).as_string()
                await _rows(self._connection, "SELECT setval(%s::regclass, %s, %s)", where, last, called)
            for table in copied.tables:
                enable = sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER")
                await self._connection.execute(enable.format(sql.Identifier(schema, table.name)))
            await migrations.migrate(self._connection, schema, tuple(parts))

    async def remote_bodies(self, schema: str) -> list[str]:
        """Return the ids of bodies in the object store that the rows refer to."""
        return await _remote_bodies(self._connection, schema)

    async def sum(self, schema: str, table: CopiedTable) -> RowSum:
        """Return the sum of the rows of a table that was stored."""
        found = RowSum()
        with typed():
            async for piece in _copied_out(self._connection, schema, table):
                found.take(piece)
        return found


@asynccontextmanager
async def storing(connection: Connection) -> AsyncIterator[Storing]:
    """Store in one transaction, which is rolled back if the context ends with an error."""
    with typed():
        for statement in _TEXT:
            await connection.execute(statement.encode())
        async with connection.transaction():
            yield Storing(connection)


@asynccontextmanager
async def registry_storing(database: Database) -> AsyncIterator[Storing]:
    """Store the registry's rows in the installation's database, in place of its own.

    When the context ends, the active vaults are suspended, since their databases are still to be
    restored, and no worker has a login any more.
    """
    connection = await database.administrators_connection()
    try:
        async with storing(connection) as stored:
            yield stored
            with typed():
                for statement in _AFTER_REGISTRY:
                    await connection.execute(statement.encode())
    finally:
        await connection.close()


@asynccontextmanager
async def temporary_database(
    database: Database, purpose: str, organisation: str
) -> AsyncIterator[tuple[str, Connection]]:
    """Create a database for the administrator alone, which is dropped whenever the context ends.

    The context provides its name and a connection to it. A database that a killed process left behind is
    dropped first.
    """
    beside = await database.administrators_connection()
    try:
        with typed():
            name = await databases.name_beside(beside, purpose, organisation)
            await databases.drop(beside, name)
            try:
                await databases.make(beside, database, name)
                inside = await database.administrators_connection(name)
                try:
                    yield name, inside
                finally:
                    await inside.close()
            finally:
                await _dropped(database, beside, name)
    finally:
        await beside.close()


async def _dropped(database: Database, beside: Connection, name: str) -> None:
    """Drop a database, over another connection if the first one has ended meanwhile."""
    if not beside.closed:
        await databases.drop(beside, name)
        return
    again = await database.administrators_connection()
    try:
        await databases.drop(again, name)
    finally:
        await again.close()


async def hosted_by_organisation(database: Database) -> dict[str, list[Hosted]]:
    """Return the vaults of each organisation that is not being closed, from the registry."""
    connection = await database.administrators_connection()
    try:
        with typed():
            rows = await _rows(connection, _HOSTED)
    finally:
        await connection.close()
    found: dict[str, list[Hosted]] = {}
    for organisation, vault, role, *rest in rows:
        found.setdefault(organisation, []).append(Hosted(vault, Role(role), *rest))
    return found


async def log_of(connection: Connection, schema: str) -> AsyncIterator[tuple[int, str]]:
    """Yield number and hash of each entry of a log, including those disposed of."""
    after = 0
    question = sql.SQL(_LOG).format(sql.Identifier(schema))
    with typed():
        while found := await (await connection.execute(question, (after,))).fetchall():
            for sequence, digest in found:
                yield sequence, digest
            after = found[-1][0]


async def numbered(
    database: Database, where: str, schema: str, table: str, after: int
) -> list[tuple[int, bytes]]:
    """Return the rows of a table of numbered, sealed statements after a number, from a vault's database."""
    question = sql.SQL("SELECT number, sealed FROM {} WHERE number > %s ORDER BY number").format(
        sql.Identifier(schema, table)
    )
    connection = await database.administrators_connection(where)
    try:
        with typed():
            return await (await connection.execute(question, (after,))).fetchall()
    finally:
        await connection.close()


async def _remote_bodies(connection: Connection, schema: str) -> list[str]:
    with typed():
        if await _rows(connection, _HAS_BODIES, schema) != [(True,)]:
            return []
        question = sql.SQL(_REMOTE).format(sql.Identifier(schema))
        return [body for (body,) in await (await connection.execute(question)).fetchall()]


def _check_versions(versions: Mapping[str, int], parts: Sequence[str]) -> None:
    unknown = {part for part in versions if part not in parts and not part.endswith(migrations.REACHED)}
    newer = {part for part in parts if versions.get(part, 0) > migrations.versions(part)}
    if unknown or newer or versions.get(migrations.FORM_ROW, 0) > migrations.FORM:
        raise CopyDiffers(
            "the backup was made by a newer version of samdrift: use that version or a later one"
        )


async def _copied_out(connection: Connection, schema: str, table: CopiedTable) -> AsyncIterator[bytes]:
    out = sql.SQL("COPY {}.{} ({}) TO STDOUT").format(
        sql.Identifier(schema), sql.Identifier(table.name), _columns(table)
    )
    async with connection.cursor().copy(out) as leaving:
        async for piece in leaving:
            yield bytes(piece)


def _columns(table: CopiedTable) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, table.columns))


@contextmanager
def typed() -> Iterator[None]:
    """Turn the server's errors, which may quote values in their texts, into the vault's own."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise VaultUnavailable(_cause(error)) from None
    except psycopg.errors.InsufficientPrivilege:
        raise DatabaseUnfit(_NOT_GRANTED) from None
    except psycopg.Error as error:
        raise VaultRefused(error.sqlstate) from None


def _cause(error: psycopg.OperationalError) -> str:
    """Return the kind of failure, as the server names it, without its text."""
    return f"database: {type(error).__name__}" if error.sqlstate else "database: the connection was lost"


async def _rows(connection: Connection, question: str, *values: object) -> list[tuple[Any, ...]]:
    return await (await connection.execute(question.encode(), values)).fetchall()
