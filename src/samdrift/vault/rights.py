"""Rights of the logins in the vaults' databases, to which no other login may connect.

PostgreSQL lets every login connect to a new database and make temporary tables in it, and a dump does
not record that this was revoked: a restored database is open until it is revoked again.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import LiteralString

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
_PLACES = """
SELECT login, datname FROM pg_database, unnest(%s::text[]) AS login
WHERE strpos(datacl::text, login || '=c/') > 0
"""
_OPEN_DATABASES = """
SELECT datname FROM pg_database WHERE datname = ANY(%s::text[]) AND coalesce(datacl::text, '{=') ~ '[{,]='
"""
# Whether the hardening (sql/hardening.sql) is missing, judged by a few objects of each kind, since it is
# applied completely or not at all. The same query checks whether we may apply it: it runs in every database
# at every start.
_SOFT = r"""
SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER) AND (EXISTS (
    SELECT FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relacl::text ~ '[{,]=a?r'
) OR EXISTS (
    SELECT FROM pg_namespace WHERE nspname IN ('public', 'information_schema') AND nspacl::text ~ '[{,]='
) OR EXISTS (
    SELECT FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
        AND proname IN ('pg_stat_get_activity', 'pg_advisory_lock', 'lo_create', 'has_schema_privilege')
        AND coalesce(proacl::text, '{=') ~ '[{,]='
))
"""
# Every entry of an access list in a schema, also those of columns.
_ENTRIES = """
WITH s AS (SELECT oid, nspacl FROM pg_namespace WHERE nspname = %(schema)s)
SELECT DISTINCT entry::text FROM (
    SELECT nspacl FROM s
    UNION ALL SELECT relacl FROM pg_class WHERE relnamespace = (SELECT oid FROM s)
    UNION ALL SELECT proacl FROM pg_proc WHERE pronamespace = (SELECT oid FROM s)
    UNION ALL SELECT attacl FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE c.relnamespace = (SELECT oid FROM s) AND attacl IS NOT NULL
) AS lists (acl), unnest(acl) AS entry
"""
_ENTRY = re.compile(r'("(?:[^"]|"")*"|[^="]*)=([A-Za-z*]*)/')
_TAKE_AWAY: LiteralString = """
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role} CASCADE;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role} CASCADE;
REVOKE ALL ON SCHEMA {schema} FROM {role} CASCADE
"""
WORKERS_REGISTRY = "worker_registry"
"""The schema with the part of the registry that workers may read."""
_NOTHING_REVOKED = "01006"


async def make_groups(connection: Connection, database: Database) -> None:
    """Create the groups of logins that may connect, if they are missing."""
    for group in (database.registry_group, database.vault_group, database.worker_group):
        if not await exists(connection, group):
            await logins.run(connection, "CREATE ROLE {} NOLOGIN", group)


async def make_owner(connection: Connection, owner: str) -> None:
    """Create the role that owns a vault's schema, if it is missing; the administrator may act as it."""
    if not await exists(connection, owner):
        await logins.run(
            connection,
            "CREATE ROLE {} NOLOGIN; GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE",
            *(owner, owner),
        )


async def make_vault_login(
    connection: Connection, database: Database, schema: str, login: str, password: str
) -> None:
    """Create a vault's login in the vault's database, and let the administrator end its sessions."""
    await logins.make_login(connection, login, password)
    await logins.bound(connection, login, schema)
    await let_in(connection, database, login)


async def let_in(connection: Connection, database: Database, login: str) -> None:
    """Let a vault's login connect to the database that ``connection`` is to."""
    await join(connection, database.vault_group, login)
    where = connection.info.dbname
    if where != database.name:
        await logins.run(connection, "GRANT CONNECT ON DATABASE {} TO {}", where, login)


async def make_registry_login(connection: Connection, database: Database, password: str) -> None:
    """Create the registry's login with a password, if it is missing, and grant its rights."""
    login = registry_login(password)
    if not await exists(connection, login):
        await logins.make_login(connection, login, password)
    await logins.bound(connection, login, "registry", logins.OF_REGISTRY)
    await join(connection, database.registry_group, login)
    await migrations.allow(connection, "registry", login)


async def make_reader(connection: Connection, database: Database, login: str, password: str) -> None:
    """Create the login by which one worker reads its part of the registry."""
    await logins.make_login(connection, login, password)
    await logins.bound(connection, login, WORKERS_REGISTRY, logins.OF_READER)
    await join(connection, database.worker_group, login)


async def join(connection: Connection, group: str, login: str) -> None:
    """Let a login do what its group may, which is to connect, and let the administrator end its sessions."""
    await logins.run(
        connection,
        "GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE; GRANT {} TO {} WITH INHERIT TRUE, SET FALSE",
        *(login, group, login),
    )


async def wait_for_others(connection: Connection) -> None:
    """Lock roles and rights until the transaction ends, waiting for other processes that change them."""
    found = await connection.execute("SELECT to_regclass('registry.installation')")
    if await found.fetchone() != (None,):
        await connection.execute("SELECT FROM registry.installation FOR UPDATE")


async def harden(connection: Connection) -> None:
    """Revoke public rights that no vault needs in a database, if the administrator is a superuser."""
    if await (await connection.execute(_SOFT)).fetchone() == (True,):
        await connection.execute(migrations.script("hardening").encode())


async def end(connection: Connection, *gone: str) -> None:
    """Drop logins with their sessions, in the database in which they have rights.

    Raises :class:`VaultUnavailable` if that is impossible now.
    """
    try:
        for login in gone:
            await logins.end_login(connection, login)
    except psycopg.OperationalError:
        raise VaultUnavailable from None
    except psycopg.Error as error:
        raise VaultRefused(error.sqlstate) from None


async def strays(connection: Connection, database: Database) -> dict[str, list[str]]:
    """Return replaced logins that still exist because a change was interrupted, by database."""
    registries = await logins.members(connection, database.registry_group)
    vaults = await logins.members(connection, database.vault_group)
    workers = await logins.members(connection, database.worker_group)
    rows = await (await connection.execute(_KNOWN)).fetchall()
    known = {database.registry_login, *(login for (login,) in rows)}
    gone = [login for login in (*registries, *vaults, *workers) if login not in known]
    places: dict[str, str] = (
        dict(await (await connection.execute(_PLACES, (gone,))).fetchall()) if gone else {}
    )
    found: dict[str, list[str]] = {}
    for login in gone:
        found.setdefault(places.get(login, database.name), []).append(login)
    return found


async def allow_alone(inside: Connection, schema: str, owner: str, login: str) -> None:
    """Grant a vault's login its rights in the schema, and revoke those of all roles but it and the owner."""
    rows = await (await inside.execute(_ENTRIES.encode(), {"schema": schema})).fetchall()
    for role in sorted({parsed(entry)[0] for (entry,) in rows} - {owner, login, ""}):
        names = {"schema": sql.Identifier(schema), "role": sql.Identifier(role)}
        await inside.execute(sql.SQL(_TAKE_AWAY).format(**names))
    await migrations.allow(inside, schema, login)


def parsed(entry: str) -> tuple[str, str]:
    """Return grantee and privileges of an entry of an access list; the grantee is empty for everybody."""
    parts = _ENTRY.match(entry)
    assert parts is not None, "PostgreSQL wrote an access list in another form"
    grantee, privileges = parts.groups()
    return grantee[1:-1].replace('""', '"') if grantee.startswith('"') else grantee, privileges


async def revoke_public_access(connection: Connection, database: Database) -> None:
    """Let only our own logins connect; :class:`DatabaseUnfit` if that is impossible."""
    groups = (database.worker_group, database.registry_group)
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
        raise _stays_open(connection, database.name)
    grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
    await connection.execute(grant.format(name, sql.SQL(", ").join(map(sql.Identifier, groups))))


async def let_vaults_in(connection: Connection, database: Database, *, let: bool) -> None:
    """Let vaults' logins connect to the installation's database, where version 0.1 has the vaults, or not.

    The same for the login by which that version reads the registry, where it exists.
    """
    change: LiteralString = (
        "GRANT CONNECT ON DATABASE {} TO {}" if let else "REVOKE ALL ON DATABASE {} FROM {}"
    )
    for role in (database.vault_group, database.former_registry_login):
        if await exists(connection, role):
            await logins.run(connection, change, database.name, role)


async def close_databases(connection: Connection, names: Collection[str]) -> None:
    """Close databases of organisations, or their template, to logins without a right of their own.

    Raises :class:`DatabaseUnfit` if that is impossible because the database was restored by, and belongs
    to, another role.
    """
    for closing in (True, False):
        opened = await (await connection.execute(_OPEN_DATABASES, (list(names),))).fetchall()
        for (name,) in opened:
            if not closing:
                raise _stays_open(connection, name)
            await logins.run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", name)


def _stays_open(connection: Connection, name: str) -> DatabaseUnfit:
    who = connection.info.user
    return DatabaseUnfit(
        f"every login of the cluster may connect to the database {name}, and its"
        f" administrator {who} cannot change that: as a superuser, ALTER DATABASE"
        f" {sql.Identifier(name).as_string()} OWNER TO {sql.Identifier(who).as_string()}"
    )


async def exists(connection: Connection, role: str) -> bool:
    """Return whether the cluster has a role of that name."""
    found = await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
    return bool(await found.fetchall())


async def _is_open(connection: Connection, *, owns: bool) -> bool:
    """Return whether every login may connect; an owner that may not look has just revoked that right."""
    try:
        async with connection.transaction():
            ((found,),) = await (await connection.execute(_OPEN)).fetchall()
    except InsufficientPrivilege:
        return not owns
    return bool(found)
