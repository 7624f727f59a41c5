"""Creation and removal of organisations' databases (decision record 0020), as the database's administrator.

Each is a copy of an empty database, the template, that is hardened once. A copy does not inherit the rights
to connect, and PostgreSQL lets every login connect to a new database. So it is created with connections
disabled until that right is revoked. A database cannot be created in a transaction. So its name is recorded
first, and every function here can be repeated if it was interrupted.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from samdrift.vault import logins, rights
from samdrift.vault.database.server import Database
from samdrift.vault.errors import DatabaseUnfit, VaultUnavailable
from samdrift.vault.logins import Connection
from samdrift.wire.identifiers import ParticipantIdentifier

_STATE = "SELECT datallowconn FROM pg_database WHERE datname = %s"
_UNUSED = """
SELECT name FROM registry.databases
WHERE name NOT IN (SELECT database FROM registry.registrations WHERE database IS NOT NULL)
"""
COPY: LiteralString = "CREATE DATABASE {} TEMPLATE {} ALLOW_CONNECTIONS false"
_MAY_MAKE = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = CURRENT_USER"


async def make_template(connection: Connection, database: Database) -> None:
    """Create the template if it is missing, and revoke public rights that no vault needs."""
    name = database.template
    if not await _rows(connection, _STATE, name):
        await _check_may_make(connection)
        await logins.run(connection, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
    await rights.close_databases(connection, [name])
    inside = await database.administrators_connection(name)
    try:
        await rights.harden(inside)
    finally:
        await inside.close()


async def reserved(connection: Connection, organisation: ParticipantIdentifier) -> str:
    """Return the name of the organisation's database, choosing and recording one if there is none yet."""
    name = "d" + secrets.token_hex(16)
    await _rows(
        connection,
        "INSERT INTO registry.databases VALUES (%s, %s) ON CONFLICT DO NOTHING",
        organisation.value,
        name,
    )
    question = "SELECT name FROM registry.databases WHERE organisation = %s"
    return str((await _rows(connection, question, organisation.value))[0][0])


async def make(connection: Connection, database: Database, name: str) -> None:
    """Create a database that only the administrator may connect to, or finish an interrupted creation.

    :class:`VaultUnavailable` while a session is connected to the template.
    """
    known = await _rows(connection, _STATE, name)
    if not known:
        try:
            await logins.run(connection, COPY, name, database.template)
        except psycopg.errors.ObjectInUse:
            raise VaultUnavailable("a session is connected to the template of databases") from None
    if known != [(True,)]:
        await logins.run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", name)
        await logins.run(connection, "ALTER DATABASE {} ALLOW_CONNECTIONS true", name)


async def drop(connection: Connection, name: str) -> None:
    """Drop a database, and end all sessions that are connected to it."""
    await logins.run(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


FORMER = "former"
"""Purpose that names the database an organisation had before it was restored (:func:`name_beside`)."""


async def name_beside(connection: Connection, purpose: str, organisation: str) -> str:
    """Return the name of an additional database for an organisation, always the same for a given purpose.

    It is derived from a random name, so it reveals no more than other names do, and a database left behind by
    a killed process is found again under it.
    """
    ((channel,),) = await _rows(connection, "SELECT channel FROM registry.installation")
    return "d" + hashlib.sha256(f"samdrift {purpose} {channel} {organisation}".encode()).hexdigest()[:32]


async def rename(connection: Connection, name: str, new: str) -> None:
    """Rename a database that has no connections; do nothing if it does not exist.

    :class:`VaultUnavailable` while a session is connected to it.
    """
    if not await _rows(connection, _STATE, name):
        return
    try:
        await logins.run(connection, "ALTER DATABASE {} RENAME TO {}", name, new)
    except psycopg.errors.ObjectInUse:
        raise VaultUnavailable("a session is connected to the database of an organisation") from None


async def drop_unused(connection: Connection) -> None:
    """Drop recorded databases that contain no vault: creating or removing their vaults was interrupted."""
    for (name,) in await _rows(connection, _UNUSED):
        await drop(connection, name)
        await _rows(connection, "DELETE FROM registry.databases WHERE name = %s", name)


async def _check_may_make(connection: Connection) -> None:
    if await _rows(connection, _MAY_MAKE) != [(True,)]:
        who = connection.info.user
        raise DatabaseUnfit(
            f"the database's administrator {who} may not create databases: as a superuser,"
            f" ALTER ROLE {sql.Identifier(who).as_string()} CREATEDB"
        )


async def _rows(connection: Connection, question: str, *values: object) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(question.encode(), values)
    return await cursor.fetchall() if cursor.description is not None else []
