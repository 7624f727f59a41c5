"""The SQL files that a schema is made of, in versions that follow each other.

A schema has parts; the files of a part are ``<part>-1.sql``, ``<part>-2.sql`` and
so on. Which version of each part a schema is at is in the schema itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from samdrift.contracts.principals import Role

REGISTRY = (
    "log",
    "registry",
    "roles",
    "moments",
    "salted-log",
    "retention",
    "log-tree",
    "log-pauses",
    "log-stamps",
    "databases",
    "leases",
)
WORKERS = ("workers", "worker-moments", "worker-databases")
_LATEST = ("salted-log", "salted-log-arrival", "retention", "log-tree")
_LAST = ("disposal", "log-hand-over", "moment", "checkpoints-arrival")
_RECORDS = ("log", "wakeups", "bodies", "records", "records-arrival", "arrival", *_LATEST)
_MAIL = ("mail", "mail-arrival")
VAULT = {
    Role.ACCESS_POINT: (
        "log",
        "wakeups",
        "bodies",
        "accesspoint",
        "accesspoint-arrival",
        "arrival",
        *_LATEST,
        *_LAST,
        "accesspoint-moment",
        "log-stamps",
        "grounds",
        "signed-statements",
        "cover",
        "claims",
        "accesspoint-claims",
        "accesspoint-forgetting",
        "accesspoint-turns",
    ),
    Role.MESSAGE_SERVICE: (
        "log",
        "wakeups",
        "bodies",
        "messageservice",
        "tokens",
        "messageservice-arrival",
        "arrival",
        *_LATEST,
        "message-steps",
        *_LAST,
        "messageservice-moment",
        "log-stamps",
        "grounds",
        "persons",
        "signed-statements",
        "cover",
        "claims",
        "messageservice-claims",
        "messageservice-forgetting",
    ),
    Role.MESSAGE_CLIENT: (
        *(*_RECORDS, *_MAIL, "people", "statements", "people-arrival", *_LAST, "mail-moment"),
        *("mail-presets", "handover", "handover-arrival", "mail-disposal", "mail-disposal-arrival"),
        *("log-stamps", "live", "notices", "mail-bound", "mail-following"),
        *("draft-approvals", "session-use", "service-deletion", "signed-statements", "cover"),
        *("claims", "mail-claims"),
    ),
    Role.GOVERNANCE: (
        *(*_RECORDS, *_LAST, "log-stamps", "signed-statements", "governance-arrival"),
        *("cover", "people", "session-use", "officers"),
    ),
}

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
REACHED = " reached"
"""The end of the second row about a part (:func:`reached_by`)."""

_VERSIONS = "CREATE TABLE IF NOT EXISTS versions (part text PRIMARY KEY, version int NOT NULL)"
_SET_VERSIONS = """
INSERT INTO versions SELECT * FROM unnest(%s::text[], %s::int[])
ON CONFLICT (part) DO UPDATE SET version = excluded.version
"""


@cache
def script(name: str) -> str:
    """The text of ``sql/<name>.sql``."""
    return (files("samdrift.vault") / "sql" / f"{name}.sql").read_text()


def hardening_for(administrator: str) -> str:
    """Return the SQL that a superuser runs in an operator's own cluster, where ``administrator`` makes the
    vaults.
    """
    name = sql.Identifier(administrator).as_string()
    return script("hardening") + script("administrator").replace(":administrator", name)


@cache
def versions(part: str) -> int:
    """Return the number of versions of ``part``."""
    number = 0
    while (files("samdrift.vault") / "sql" / f"{part}-{number + 1}.sql").is_file():
        number += 1
    return number


def reached_by(part: str) -> str:
    """Return the name of a second row about ``part``, which an earlier program does not know.

    Version 0.1 writes its own number over that of a newer schema on which it runs: what was made since
    would be made once more, and fail, when the newer program comes back.
    """
    return part + REACHED


async def migrate(
    connection: Connection, schema: str, parts: tuple[str, ...], until: Mapping[str, int] | None = None
) -> None:
    """Bring ``schema`` up to date as its owner; in a transaction of the caller's.

    ``until`` has the rows of a table of versions, and the schema is brought no further than they say: rows of
    that time are to be stored in it.
    """
    found = await connection.execute(
        "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = %s", (schema,)
    )
    (owner,) = await found.fetchone() or (schema,)
    await connection.execute(f"SET LOCAL ROLE {owner}".encode())
    await connection.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(schema)))
    await connection.execute(_VERSIONS)
    rows = await (await connection.execute("SELECT part, version FROM versions")).fetchall()
    present: dict[str, int] = dict(rows)
    wanted: dict[str, int] = {}
    for part in parts:
        reached = max(present.get(part, 0), present.get(reached_by(part), 0))
        last = versions(part)
        if until is not None:
            last = min(last, max(until.get(part, 0), until.get(reached_by(part), 0)))
        for number in range(reached + 1, last + 1):
            await connection.execute(script(f"{part}-{number}").encode())
        wanted |= dict.fromkeys((part, reached_by(part)), max(reached, last))
    changed = {row: version for row, version in wanted.items() if present.get(row) != version}
    if changed:
        await connection.execute(_SET_VERSIONS, (list(changed), list(changed.values())))
    await connection.execute("RESET ROLE")
    await connection.execute("RESET search_path")


async def allow(connection: Connection, schema: str, login: str) -> None:
    """Let ``login`` read everything in ``schema`` and run its functions, and nothing else.

    A function whose name begins with an underscore is for other functions. Everybody may nothing.
    """
    names = {"schema": sql.Identifier(schema), "login": sql.Identifier(login)}
    for statement in (
        "REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {login}",
        "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {login}",
        "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC, {login}",
        "GRANT USAGE ON SCHEMA {schema} TO {login}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {login}",
    ):
        await connection.execute(sql.SQL(statement).format(**names))
    found = await connection.execute(
        "SELECT format('GRANT EXECUTE ON FUNCTION %%s TO %%I',"
        " string_agg(oid::regprocedure::text, ', '), %s::text) FROM pg_proc"
        " WHERE pronamespace = %s::regnamespace AND NOT starts_with(proname, '_') HAVING count(*) > 0",
        (login, schema),
    )
    for (grant,) in await found.fetchall():
        await connection.execute(grant.encode())
