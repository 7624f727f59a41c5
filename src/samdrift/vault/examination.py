"""Read-only facts about the vaults' database, for an operator who wants to check it.

A start repairs what it can, and refuses to run if other problems remain. So changes that an operator makes
while everything is running first become visible here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psycopg

from samdrift.keystore.interface import KeyStore
from samdrift.vault.database.capacity import ROOM
from samdrift.vault.database.cluster import OLDEST, check_server
from samdrift.vault.database.server import Database, databases_of
from samdrift.vault.errors import DatabaseUnfit
from samdrift.vault.inorder import out_of_order
from samdrift.vault.logins import Connection
from samdrift.vault.reach import examine
from samdrift.vault.settings import VaultSettings

# The installation's database, its template, and those of organisations. A missing access list is the default
# one, which lets every role connect. An entry that begins with "=" names no role and applies to all.
_EVERYBODY_CONNECTS = """
SELECT bool_or(datacl IS NULL OR EXISTS (SELECT FROM unnest(datacl) AS entry WHERE entry::text LIKE '=%'))
FROM pg_database
WHERE datname IN (current_database(), current_database() || '_template') OR datname ~ '^d[0-9a-f]{32}$'
"""
_EVERYBODY_READS = """
SELECT count(*) FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
    AND EXISTS (SELECT FROM unnest(relacl) AS entry WHERE entry::text LIKE '=%r%/%')
"""
_LOSES = """
SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS name
WHERE current_setting(name) = 'off'
"""
_STANDBY_WAITED_FOR = """
SELECT current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') <> 'local'
"""
_USED = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The state of the database."""

    version: int
    """The major version of PostgreSQL."""
    unfit: str
    """Reason that vaults must not be in it: its version, or rules that do not require a password."""
    everybody_connects: bool
    readable_catalogs: int
    """Number of catalogue tables that every login can read, a right that hardening revokes."""
    disordered: int | None
    """Number of vaults whose tables or rights are not as required; ``None`` if there is no registry yet."""
    excess: tuple[str, ...]
    """Logins that are more than they should be, with what; empty if there is no registry yet."""
    connections: int
    room: int
    """Number of connections that the server allows for logins like ours."""
    loses: tuple[str, ...]
    """Settings that are off, so that a crash may lose committed data."""
    failover_loses: bool
    """True if the URL names a standby that may lack committed transactions when it takes over."""

    @property
    def outdated(self) -> bool:
        return self.version < OLDEST


def made(settings: VaultSettings) -> bool:
    """Return whether the database may exist: an embedded one has a data folder once it has been set up."""
    return not isinstance(settings.database, Path) or (settings.database / "data").exists()


async def examine_database(settings: VaultSettings, keys: KeyStore) -> DatabaseFacts:
    """Log in as the administrator and examine the database; an embedded server is started if necessary.

    Raises a :class:`~samdrift.vault.errors.VaultError` if the database cannot be reached or used.
    """
    database = await Database.start(settings, keys)
    try:
        connection = await database.administrators_connection()
        try:
            return await _facts(connection, database, settings.database_logins)
        finally:
            await connection.close()
    finally:
        await database.stop()


async def _facts(connection: Connection, database: Database, vouched: Collection[str]) -> DatabaseFacts:
    unfit = ""
    try:
        await check_server(connection, database.name)
    except DatabaseUnfit as error:
        unfit = str(error.text)
    disordered = await _disordered(connection, database)
    return DatabaseFacts(
        connection.info.server_version // 10_000,
        unfit,
        bool(await _value(connection, _EVERYBODY_CONNECTS)),
        int(await _value(connection, _EVERYBODY_READS)),
        disordered,
        () if disordered is None else await _excess(connection, database, vouched),
        int(await _value(connection, _USED)),
        int(await _value(connection, ROOM)),
        tuple(name for (name,) in await (await connection.execute(_LOSES)).fetchall()),
        len(databases_of(database.address)) > 1 and not await _value(connection, _STANDBY_WAITED_FOR),
    )


async def _disordered(connection: Connection, database: Database) -> int | None:
    try:
        return len(await out_of_order(connection, database))
    except psycopg.errors.UndefinedTable:
        return None


async def _excess(connection: Connection, database: Database, vouched: Collection[str]) -> tuple[str, ...]:
    try:
        return tuple(str(one) for one in await examine(connection, database, vouched) if one.found)
    except psycopg.errors.InsufficientPrivilege:
        return ("the administrator may not read pg_shdepend, which says what logins have: run the hardening",)


async def _value(connection: Connection, question: str) -> int:
    row = await (await connection.execute(question.encode())).fetchone()
    assert row is not None
    return int(row[0])
