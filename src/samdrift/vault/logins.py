"""Logins of the database: how they are made, what bounds them, and how their passwords change."""

from __future__ import annotations

import secrets
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

CONNECTIONS = 32
"""Of one login at once."""
OF_REGISTRY = 200
"""Of the registry's login: one for each process that hears from it what is new."""
_LIMITS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "transaction_timeout": "5min",
    "work_mem": "8MB",
    "hash_mem_multiplier": "1",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    # Every question that a vault asks has an index. The planner is to take it also while it
    # still believes that a queue is short.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
}
"""Defaults of every session of a login. PostgreSQL lets a session change each of them for itself."""
_FIRM = {"temp_file_limit": "256MB"}
"""What a session cannot change; it takes a superuser to set it, or to let somebody."""

_SETTINGS = """
SELECT coalesce(s.setconfig, '{}') FROM pg_roles r
LEFT JOIN pg_db_role_setting s ON s.setrole = r.oid AND s.setdatabase = 0 WHERE r.rolname = %s
"""


def new_password() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


async def make_login(connection: Connection, login: str, password: str) -> None:
    """A login that owns nothing and may do nothing yet."""
    create = sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT {}")
    await connection.execute(create.format(sql.Identifier(login), sql.Literal(CONNECTIONS)))
    await set_password(connection, login, password)


async def set_password(connection: Connection, login: str, password: str) -> None:
    """In a transaction of the caller's. The password reaches the server as a SCRAM verifier, never in clear.

    It is 256 random bits, which nobody guesses however fast: the iterations that slow down
    guesses at a person's password would only cost milliseconds for each connection.
    """
    await connection.execute("SET LOCAL scram_iterations = 1")
    verifier = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
    change = sql.SQL("ALTER ROLE {} PASSWORD {}")
    await connection.execute(change.format(sql.Identifier(login), sql.Literal(verifier.decode())))


async def bound(connection: Connection, login: str, schema: str, connections: int = CONNECTIONS) -> None:
    """Give the login and its sessions their limits and its schema, where they have others."""
    ((present,),) = await _rows(connection, "SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", login)
    if present != connections:
        limit = sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}")
        await connection.execute(limit.format(sql.Identifier(login), sql.Literal(connections)))
    ((may,),) = await _rows(connection, "SELECT has_parameter_privilege('temp_file_limit', 'SET')")
    wanted = {**_LIMITS, **(_FIRM if may else {}), "search_path": schema}
    ((present,),) = await _rows(connection, _SETTINGS, login)
    known = dict(setting.split("=", 1) for setting in present)
    for name, value in wanted.items():
        if known.get(name) != value:
            setting = sql.SQL("ALTER ROLE {} SET {} = {}")
            await connection.execute(
                setting.format(sql.Identifier(login), sql.Identifier(name), sql.Literal(value))
            )


async def _rows(connection: Connection, question: str, *values: object) -> list[tuple[Any, ...]]:
    return await (await connection.execute(question.encode(), values)).fetchall()
