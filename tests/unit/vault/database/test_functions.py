"""Bodies of the database's functions, which the tests' servers do not check."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from samdrift.contracts.principals import Role
from samdrift.vault.rights import WORKERS_REGISTRY
from tests.vaults import Installation

_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'"
_FUNCTIONS = """
SELECT p.oid::regprocedure::text, format('SELECT %%I(%%s)', v.proname, p.oid)
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_proc v ON v.oid = l.lanvalidator
WHERE p.pronamespace = %s::regnamespace
"""
Connection = psycopg.AsyncConnection[tuple[Any, ...]]


async def verdicts(connection: Connection, schema: str) -> dict[str, bool]:
    """Return, for each function in a schema, whether its body is valid."""
    await connection.execute(b"SET check_function_bodies = on")
    await connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
    found = {}
    for name, validation in await (await connection.execute(_FUNCTIONS.encode(), (schema,))).fetchall():
        try:
            await connection.execute(validation.encode())
            found[name] = True
        except psycopg.Error:
            found[name] = False
    return found


async def test_every_function_of_every_vault_and_of_the_registry_is_valid(installation: Installation) -> None:
    organisation = await installation.organisation()
    rows = [installation.gate.registry.find(organisation, role) for role in Role]
    (whole,) = {row.database for row in rows if row is not None}
    found: dict[str, dict[str, bool]] = {}
    for database, schemas in ((None, ["registry", WORKERS_REGISTRY]), (whole, [])):
        connection = await installation.provisioner.database.administrators_connection(database)
        try:
            all_of_it = await (await connection.execute(_SCHEMAS.encode())).fetchall()
            for schema in schemas or [name for (name,) in all_of_it if name != "public"]:
                found[schema] = await verdicts(connection, schema)
        finally:
            await connection.close()
    assert len(found) == 2 + len(Role)
    assert all(found.values())
    assert {name for each in found.values() for name, valid in each.items() if not valid} == set()


async def test_a_function_that_is_not_valid_is_found(installation: Installation) -> None:
    connection = await installation.provisioner.database.administrators_connection()
    try:
        await connection.execute(b"CREATE SCHEMA broken")
        for name, table in (("good", "pg_class"), ("bad", "nowhere")):
            body = f"CREATE FUNCTION broken.{name}() RETURNS bigint LANGUAGE sql AS 'SELECT 1 FROM {table}'"
            await connection.execute(body.encode())
        assert await verdicts(connection, "broken") == {"good()": True, "bad()": False}
    finally:
        await connection.execute(b"DROP SCHEMA broken CASCADE")
        await connection.close()
