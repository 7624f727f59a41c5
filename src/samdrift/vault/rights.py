"""Who may connect to the database that the vaults are in: our own logins, and nobody else.

PostgreSQL lets everybody connect to a new database and make temporary tables in it, and a
dump does not say otherwise: a database that was restored is open until that is taken away.
"""

from __future__ import annotations

from psycopg import sql
from psycopg.errors import Diagnostic, InsufficientPrivilege

from samdrift.vault.database import Database
from samdrift.vault.errors import DatabaseUnfit
from samdrift.vault.logins import Connection

_OPEN = """
SELECT has_database_privilege('public', current_database(), 'CONNECT')
    OR has_database_privilege('public', current_database(), 'TEMPORARY')
"""
_NOTHING_REVOKED = "01006"


async def close_to_everybody(connection: Connection, database: Database) -> None:
    """Let our logins connect and nobody else; :class:`DatabaseUnfit` where that cannot be."""
    groups = (database.vault_group, database.worker_group, database.registry_login)
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


async def _is_open(connection: Connection, *, owns: bool) -> bool:
    """Whether everybody may connect. An owner who may not look has just taken that right away."""
    try:
        async with connection.transaction():
            ((found,),) = await (await connection.execute(_OPEN)).fetchall()
    except InsufficientPrivilege:
        return not owns
    return bool(found)
