"""Which logins there are in the database of the vaults, and that nobody else may connect to it.

PostgreSQL lets everybody connect to a new database and make temporary tables in it, and a
dump does not say otherwise: a database that was restored is open until that is taken away.
"""

from __future__ import annotations

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic, InsufficientPrivilege

from samdrift.vault import logins
from samdrift.vault.database import migrations
from samdrift.vault.database.server import Database, registry_login
from samdrift.vault.errors import DatabaseUnfit, VaultRefused, VaultUnavailable
from samdrift.vault.logins import Connection

_OPEN = """
SELECT has_database_privilege('public', current_database(), 'CONNECT')
    OR has_database_privilege('public', current_database(), 'TEMPORARY')
"""
_KNOWN = """
SELECT login FROM registry.registrations UNION SELECT reader FROM registry.registrations
UNION SELECT reader FROM registry.installation
"""
WORKERS_REGISTRY = "worker_registry"
"""The schema in which workers find what they may know of the registry."""
_NOTHING_REVOKED = "01006"


async def make_groups(connection: Connection, database: Database) -> None:
    """Make the groups of logins that may connect, where they are missing."""
    for group in (database.registry_group, database.vault_group, database.worker_group):
        if not await _exists(connection, group):
            await logins.run(connection, "CREATE ROLE {} NOLOGIN", group)


async def make_vault_login(
    connection: Connection, database: Database, schema: str, login: str, password: str
) -> None:
    """Make a vault's login, whose sessions the administrator may end."""
    await logins.make_login(connection, login, password)
    await logins.bound(connection, login, schema)
    await join(connection, database.vault_group, login)


async def make_registry_login(connection: Connection, database: Database, password: str) -> None:
    """Make the registry's login with that password, where it is missing, and let it do what it may."""
    login = registry_login(password)
    if not await _exists(connection, login):
        await logins.make_login(connection, login, password)
    await logins.bound(connection, login, "registry", logins.OF_REGISTRY)
    await join(connection, database.registry_group, login)
    await migrations.allow(connection, "registry", login)


async def make_reader(connection: Connection, database: Database, login: str, password: str) -> None:
    """Make the login by which one worker reads what it may know of the registry."""
    await logins.make_login(connection, login, password)
    await logins.bound(connection, login, WORKERS_REGISTRY, logins.OF_READER)
    await join(connection, database.worker_group, login)


async def join(connection: Connection, group: str, login: str) -> None:
    """Let a login do what its group may, which is to connect, and the administrator end its sessions."""
    await logins.run(connection, "GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE", login)
    await logins.run(connection, "GRANT {} TO {} WITH INHERIT TRUE, SET FALSE", group, login)


async def wait_for_others(connection: Connection) -> None:
    """Be the only one that changes roles and rights, until the transaction ends."""
    found = await connection.execute("SELECT to_regclass('registry.installation')")
    if await found.fetchone() != (None,):
        await connection.execute("SELECT FROM registry.installation FOR UPDATE")


async def harden(connection: Connection) -> None:
    """Take from everybody what no vault needs; in an operator's cluster only where we are let."""
    found = await connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER")
    if await found.fetchone() == (True,):
        await connection.execute(migrations.script("hardening").encode())


async def end_strays(connection: Connection, database: Database) -> int:
    """Drop logins that were replaced, with their sessions. Returns how many it were."""
    gone = await _strays(connection, database)
    await end(connection, *gone)
    return len(gone)


async def end(connection: Connection, *gone: str) -> None:
    """Drop logins with their sessions; :class:`VaultUnavailable` where that cannot be now."""
    try:
        for login in gone:
            await logins.end_login(connection, login)
    except psycopg.OperationalError:
        raise VaultUnavailable from None
    except psycopg.Error as error:
        raise VaultRefused(error.sqlstate) from None


async def _strays(connection: Connection, database: Database) -> list[str]:
    """Logins that were replaced and are there still: a change was cut short, or is just being made."""
    registries = await logins.members(connection, database.registry_group)
    vaults = await logins.members(connection, database.vault_group)
    workers = await logins.members(connection, database.worker_group)
    rows = await (await connection.execute(_KNOWN)).fetchall()
    known = {database.registry_login, *(login for (login,) in rows)}
    return [login for login in (*registries, *vaults, *workers) if login not in known]


async def close_to_everybody(connection: Connection, database: Database) -> None:
    """Let our logins connect and nobody else; :class:`DatabaseUnfit` where that cannot be."""
    groups = (database.vault_group, database.worker_group, database.registry_group)
    warnings: list[str | None] = []

    def hear(notice: Diagnostic) -> None:
        warnings.append(notice.sqlstate)

    name = sql.Identifier(database.name)
    connection.add_notice_handler(hear)
    try:
        await connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    finally:
        connection.remove_notice_handler(hear)
    if await _is_open(connection, owns=_NOTHING_REVOKED not in warnings):
        who = connection.info.user
        raise DatabaseUnfit(
            f"everybody who can log in to the cluster may connect to the database {database.name}, and its"
            f" administrator {who} cannot change that: as a superuser, ALTER DATABASE"
            f" {name.as_string()} OWNER TO {sql.Identifier(who).as_string()}"
        )
    grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
    await connection.execute(grant.format(name, sql.SQL(", ").join(map(sql.Identifier, groups))))


async def _exists(connection: Connection, role: str) -> bool:
    found = await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
    return bool(await found.fetchall())


async def _is_open(connection: Connection, *, owns: bool) -> bool:
    """Return whether everybody may connect. An owner who may not look has just taken that right away."""
    try:
        async with connection.transaction():
            ((found,),) = await (await connection.execute(_OPEN)).fetchall()
    except InsufficientPrivilege:
        return not owns
    return bool(found)
