"""Moving an organisation's vaults into a database of its own, or back, as the database's administrator.

Version 0.1 had all vaults in the installation's database. A vault moves table by table; owner, login
and names stay unchanged, and no login is let in meanwhile. All data is stored in one transaction, and
is compared with the original before the commit. The registry's rows decide where the vaults are, and
change last: an interrupted move begins again, after what it left behind was dropped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import sql

from samdrift.audit.entries import Happening
from samdrift.vault import logins, rights
from samdrift.vault.closing import append_log
from samdrift.vault.database import migrations
from samdrift.vault.database.server import Database
from samdrift.vault.errors import VaultError
from samdrift.vault.inorder import Hosted
from samdrift.vault.logins import Connection

_TABLES = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r'
    AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY c.relname ORDER BY c.relname
"""
_REFERENCES = """
SELECT k.conrelid::regclass::text, k.confrelid::regclass::text FROM pg_constraint k
WHERE k.contype = 'f' AND k.connamespace = %s::regnamespace AND k.conrelid <> k.confrelid
"""
_SEQUENCES = (
    "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'S' ORDER BY relname"
)
_CONTENT = """
SELECT count(*), coalesce(sum(hashtextextended(row({columns})::text, 0)::numeric), 0) FROM {schema}.{table}
"""


class MoveFailed(VaultError):
    """The failure of a move because a copy differs from the original; nothing was changed."""

    text = "the copy of a vault in its organisation's database differs from the original"


async def move_out(database: Database, vaults: Sequence[Hosted], where: str, moved: Happening) -> None:
    """Move an organisation's vaults out of the installation's database into its own, which is empty.

    ``moved`` is written in the operator's log together with the decision.
    """
    async with _opened(database, None) as registry, _opened(database, where) as own:
        await _shut_out(registry, vaults)
        async with registry.transaction():
            async with own.transaction():
                for vault in vaults:
                    await copy(registry, own, vault)
                    await rights.let_in(own, database, vault.login)
            await _decide(registry, vaults, where, moved)
            for vault in vaults:
                await logins.run(registry, "DROP SCHEMA {} CASCADE", vault.schema)
        await _let_in(own, vaults)


async def move_back(database: Database, vaults: Sequence[Hosted], where: str, moved: Happening) -> None:
    """Move an organisation's vaults from its own database back into the installation's, as version 0.1 needs.

    ``moved`` is written in the operator's log together with the decision.
    """
    async with _opened(database, None) as registry, _opened(database, where) as own:
        await _shut_out(registry, vaults)
        async with registry.transaction():
            await rights.let_vaults_in(registry, database, let=True)
            async with own.transaction():
                for vault in vaults:
                    await copy(own, registry, vault)
            await _decide(registry, vaults, None, moved)
        await _let_in(registry, vaults)


async def _shut_out(connection: Connection, vaults: Sequence[Hosted]) -> None:
    for vault in vaults:
        await logins.shut_out(connection, vault.login)


async def _let_in(connection: Connection, vaults: Sequence[Hosted]) -> None:
    for vault in vaults:
        await logins.bound(connection, vault.login, vault.schema)


async def _decide(
    registry: Connection, vaults: Sequence[Hosted], where: str | None, moved: Happening
) -> None:
    changed = "UPDATE registry.registrations SET database = %s WHERE vault = ANY(%s)"
    await registry.execute(changed, (where, [vault.vault for vault in vaults]))
    await append_log(registry, "registry", moved)


@asynccontextmanager
async def _opened(database: Database, where: str | None) -> AsyncIterator[Connection]:
    connection = await database.administrators_connection(where)
    try:
        yield connection
    finally:
        await connection.close()


async def copy(source: Connection, target: Connection, vault: Hosted) -> None:
    """Copy a vault into a database, in the caller's transaction there.

    The vault has to be at the latest version and not in use. Raises :class:`MoveFailed` if the copy
    differs.
    """
    schema = sql.Identifier(vault.schema)
    ((owner,),) = await _rows(
        source, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = %s", vault.schema
    )
    await target.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
    create = sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}")
    await target.execute(create.format(schema, sql.Identifier(owner)))
    await migrations.migrate(target, vault.schema, migrations.VAULT[vault.role])
    tables = await tables_of(source, vault.schema)
    for table in await in_order(source, vault.schema, tables):
        await _copy_table(source, target, owner, vault.schema, table, tables[table])
    for (name,) in await _rows(source, _SEQUENCES, vault.schema):
        sequence = sql.Identifier(vault.schema, name)
        state = sql.SQL("SELECT last_value, is_called FROM {}").format(sequence)
        ((last, called),) = await (await source.execute(state)).fetchall()
        await _rows(target, "SELECT setval(%s::regclass, %s, %s)", f'"{vault.schema}"."{name}"', last, called)
    await migrations.allow(target, vault.schema, vault.login)


async def _copy_table(
    source: Connection, target: Connection, owner: str, schema: str, table: str, columns: Sequence[str]
) -> None:
    names = {
        "schema": sql.Identifier(schema),
        "table": sql.Identifier(table),
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
    }
    # The vault's triggers already ran where the rows were first stored.
    await target.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(owner)))
    for statement in (
        "ALTER TABLE {schema}.{table} DISABLE TRIGGER USER",
        "TRUNCATE {schema}.{table} CASCADE",
    ):
        await target.execute(sql.SQL(statement).format(**names))
    out = sql.SQL("COPY {schema}.{table} ({columns}) TO STDOUT (FORMAT binary)").format(**names)
    into = sql.SQL("COPY {schema}.{table} ({columns}) FROM STDIN (FORMAT binary)").format(**names)
    async with source.cursor().copy(out) as leaving, target.cursor().copy(into) as arriving:
        async for piece in leaving:
            await arriving.write(piece)
    await target.execute(sql.SQL("ALTER TABLE {schema}.{table} ENABLE TRIGGER USER").format(**names))
    await target.execute("RESET ROLE")
    content = sql.SQL(_CONTENT).format(**names)
    left, arrived = [await (await each.execute(content)).fetchall() for each in (source, target)]
    if left != arrived:
        raise MoveFailed


async def tables_of(source: Connection, schema: str) -> dict[str, list[str]]:
    """Return the tables of a schema, each with its stored columns."""
    return dict(await _rows(source, _TABLES, schema))


async def in_order(source: Connection, schema: str, tables: Collection[str]) -> list[str]:
    """Return the tables in an order in which each follows those that it refers to."""
    references: dict[str, set[str]] = {table: set() for table in tables}
    for referring, referred in await _rows(source, _REFERENCES, schema):
        references[referring.rpartition(".")[2]].add(referred.rpartition(".")[2])
    found: list[str] = []
    while left := [table for table in tables if table not in found]:
        ready = [table for table in left if references[table] <= set(found)]
        if not ready:
            raise MoveFailed
        found += ready
    return found


async def _rows(connection: Connection, question: str, *values: object) -> list[tuple[Any, ...]]:
    return await (await connection.execute(question.encode(), values)).fetchall()
