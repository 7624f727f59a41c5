"""Database logins: how they are created and limited, and how their passwords change."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from samdrift.vault.errors import VaultUnavailable

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

CONNECTIONS = 32
"""Maximum number of connections of one login."""
OF_REGISTRY = 200
"""Maximum for the registry's login: one for each process, except workers, that listens for changes there."""
OF_READER = 10
"""Maximum for the login of one worker, which listens for news and writes to the operator's log."""
_LIMITS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "transaction_timeout": "5min",
    "work_mem": "8MB",
    "hash_mem_multiplier": "1",
    "max_parallel_workers_per_gather": "0",
    "TimeZone": "UTC",
    # Every query of a vault has an index, which the planner must use even while its statistics say that a
    # queue is short.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
}
"""Default settings of every session of a login; PostgreSQL lets a session change each of them for itself."""
_FIRM = {"temp_file_limit": "256MB"}
"""Settings that a session cannot change; only a superuser can set them, or grant the right to do so."""

_LOGIN = "SELECT rolconnlimit, rolcanlogin FROM pg_roles WHERE rolname = %s"
_SETTINGS = """
SELECT d.datname, s.setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_database d ON d.oid = s.setdatabase WHERE r.rolname = %s
"""
_END = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = %s"
_MEMBERS = """
SELECT login.rolname FROM pg_auth_members m
JOIN pg_roles login ON login.oid = m.member JOIN pg_roles granted ON granted.oid = m.roleid
WHERE granted.rolname = %s AND login.rolname <> CURRENT_USER
"""
_TRIES = 20
_LOGGER = logging.getLogger("samdrift")


def new_password() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


async def make_login(connection: Connection, login: str, password: str) -> None:
    """Create a login that owns nothing and has no rights yet."""
    create = sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT {}")
    await connection.execute(create.format(sql.Identifier(login), sql.Literal(CONNECTIONS)))
    await set_password(connection, login, password)


async def set_password(connection: Connection, login: str, password: str) -> None:
    """Set a login's password in the caller's transaction.

    It is sent as a SCRAM verifier, never in the clear. It is 256 random bits, which cannot be guessed at
    any speed: the iterations that slow down guesses at a person's password would only cost milliseconds
    for each connection.
    """
    await connection.execute("SET LOCAL scram_iterations = 1")
    verifier = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
    change = sql.SQL("ALTER ROLE {} PASSWORD {}")
    await connection.execute(change.format(sql.Identifier(login), sql.Literal(verifier.decode())))


async def bound(connection: Connection, login: str, schema: str, connections: int = CONNECTIONS) -> None:
    """Allow a login to connect, and reset its settings to these limits and this schema.

    A login may change its own settings, for every later session: one that made itself read-only by default
    could no longer store anything.
    """
    role = sql.Identifier(login)
    changes: list[sql.Composed] = []
    if await _rows(connection, _LOGIN, login) != [(connections, True)]:
        limit = sql.SQL("ALTER ROLE {} LOGIN CONNECTION LIMIT {}")
        changes.append(limit.format(role, sql.Literal(connections)))
    wanted = await wanted_settings(connection) | {"search_path": schema}
    found = dict(await _rows(connection, _SETTINGS, login))
    in_one = sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL")
    changes.extend(in_one.format(role, sql.Identifier(where)) for where in found.keys() - {None})
    known = dict(setting.split("=", 1) for setting in found.get(None, ()))
    if known.keys() - wanted.keys():
        changes.append(sql.SQL("ALTER ROLE {} RESET ALL").format(role))
        known = {}
    for name, value in wanted.items():
        if known.get(name) != value:
            setting = sql.SQL("ALTER ROLE {} SET {} = {}")
            changes.append(setting.format(role, sql.Identifier(name), sql.Literal(value)))
    await together(connection, changes)


async def wanted_settings(connection: Connection) -> dict[str, str]:
    """Return the settings that every login has in addition to its schema, as far as they may be set here."""
    ((may,),) = await _rows(connection, "SELECT has_parameter_privilege('temp_file_limit', 'SET')")
    return {**_LIMITS, **(_FIRM if may else {})}


async def members(connection: Connection, group: str) -> list[str]:
    """Return the logins that are members of a group."""
    return [login for (login,) in await _rows(connection, _MEMBERS, group)]


async def end_login(connection: Connection, login: str) -> None:
    """Disable a login, end its sessions, and drop it; do nothing if it does not exist.

    Must run outside any transaction. Replacing only the password would leave the login to the holder of an
    open session, or of a SCRAM exchange already begun: both can set the next one. So a new password comes
    with a new login, and the former one is dropped.
    """
    name = sql.Identifier(login)
    try:
        await shut_out(connection, login)
        await _patiently(connection, sql.SQL("DROP OWNED BY {}").format(name))
        await _patiently(connection, sql.SQL("DROP ROLE {}").format(name))
    except psycopg.errors.UndefinedObject:
        return  # Another process has ended it, perhaps just now.
    except psycopg.errors.DependentObjectsStillExist:
        _LOGGER.warning(
            "database: the login %s owns objects elsewhere: it can no longer log in, but is not removed",
            login,
        )


async def shut_out(connection: Connection, login: str) -> None:
    """Disable a login, and end its sessions; :class:`VaultUnavailable` if one does not end."""
    await _patiently(connection, sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(login)))
    await end_sessions(connection, login)


async def end_sessions(connection: Connection, login: str) -> None:
    """End the sessions of a login; :class:`VaultUnavailable` if one does not end."""
    for _ in range(_TRIES):
        if not await _rows(connection, _END, login):
            return
    raise VaultUnavailable("a session of a vault does not end")


async def run(connection: Connection, statement: LiteralString, *identifiers: str) -> None:
    """Run a statement in which each ``{}`` stands for an identifier."""
    await connection.execute(sql.SQL(statement).format(*map(sql.Identifier, identifiers)))


async def together(connection: Connection, statements: Sequence[sql.Composable]) -> None:
    """Run statements without values in one round trip: a new vault needs dozens of them."""
    if statements:
        await connection.execute(sql.SQL(";").join(statements))


async def _patiently(connection: Connection, statement: sql.Composed) -> None:
    """Run a statement about a role, retrying while its own session or another process is changing it."""
    for _ in range(_TRIES):
        with suppress(psycopg.errors.InternalError):  # "tuple concurrently updated"
            await connection.execute(statement)
            return
    await connection.execute(statement)


async def _rows(connection: Connection, question: str, *values: object) -> list[tuple[Any, ...]]:
    return await (await connection.execute(question.encode(), values)).fetchall()
