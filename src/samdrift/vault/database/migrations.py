"""The SQL files that make up a schema, in successive versions.

A schema has parts; the files of a part are ``<part>-1.sql``, ``<part>-2.sql`` and so on. The schema itself
records the version of each of its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from samdrift.contracts.principals import Role
from samdrift.vault.errors import DatabaseUnfit

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
    "lease-clocks",
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
        "accesspoint-due",
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
        *("claims", "mail-claims", "draft-limits", "mail-files"),
    ),
    Role.GOVERNANCE: (
        *(*_RECORDS, *_LAST, "log-stamps", "signed-statements", "governance-arrival"),
        *("cover", "people", "session-use", "officers", "log-of-incidents"),
    ),
}

FORM = 1
"""Form of the schemas, raised by any change that an earlier program cannot run on.

An earlier program is then refused. After any other change, programs of the same form keep running, so that
hosts can be upgraded in turn.
"""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
REACHED = " reached"
"""Suffix in the name of the second row about a part (:func:`reached_by`)."""

_VERSIONS = "CREATE TABLE IF NOT EXISTS versions (part text PRIMARY KEY, version int NOT NULL)"
FORM_ROW = "form" + REACHED
"""Name of the row with the form of the schemas in the registry's table of versions; no part has this name."""
_REGISTRY_THERE = "SELECT to_regclass('registry.versions'), to_regclass('registry.lessees')"
_FORM_FOUND = "SELECT version FROM registry.versions WHERE part = %s"
_SERVING = "SELECT count(*) FROM registry.lessees WHERE until > clock_timestamp()"
_KEEP_FORM = """
INSERT INTO registry.versions VALUES (%s, %s) ON CONFLICT (part) DO UPDATE SET version = excluded.version
"""
ORDER_ROW = "all" + REACHED
"""Name of the row with the number of scripts known to the program that last put everything in order.

No part has this name.
"""
_IN_ORDER = "SELECT version >= %s FROM registry.versions WHERE part = %s"
_KEEP_IN_ORDER = """
INSERT INTO registry.versions AS v VALUES (%s, %s)
ON CONFLICT (part) DO UPDATE SET version = greatest(v.version, excluded.version)
"""
_FORGET_IN_ORDER = "DELETE FROM registry.versions WHERE part = %s"
_ALLOW = """
REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {login};
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {login};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC, {login};
GRANT USAGE ON SCHEMA {schema} TO {login};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {login}
"""
_SET_VERSIONS = """
INSERT INTO versions SELECT * FROM unnest(%s::text[], %s::int[])
ON CONFLICT (part) DO UPDATE SET version = excluded.version
"""


@cache
def script(name: str) -> str:
    """Return the text of ``sql/<name>.sql``."""
    return (files("samdrift.vault") / "sql" / f"{name}.sql").read_text()


def hardening_for(administrator: str) -> str:
    """Return the SQL that a superuser runs in an operator's own cluster before vaults are created there.

    ``administrator`` is the login that will create the vaults.
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
    """Return the name of a second row about ``part``, which version 0.1 does not know.

    Version 0.1 writes its own number over that of a newer schema on which it runs: later scripts would be
    run again, and fail, when the newer program comes back.
    """
    return part + REACHED


async def require_form(connection: Connection) -> None:
    """Check that this program may run on the schemas, before any of them is changed.

    Raises :class:`DatabaseUnfit` if a newer program has given them a form that this one does not know, or if
    this one would give them another form while processes of an earlier one are serving.
    """
    found = await connection.execute(_REGISTRY_THERE)
    versions_there, lessees_there = await found.fetchone() or (None, None)
    if versions_there is None:
        return
    found = await connection.execute(_FORM_FOUND, (FORM_ROW,))
    (form,) = await found.fetchone() or (1,)
    if form > FORM:
        raise DatabaseUnfit(
            f"the database has form {form}, from a newer version of the program, and this one knows"
            f" {FORM}: install the newer version on this host, or restore the backup from before the"
            " upgrade"
        )
    if form == FORM or lessees_there is None:
        return
    found = await connection.execute(_SERVING)
    (serving,) = await found.fetchone() or (0,)
    if serving:
        raise DatabaseUnfit(
            f"the database has form {form}, this version of the program needs {FORM}, and {serving} processes"
            " of the former version serve: stop serve on every host before this version is used on any"
        )


async def keep_form(connection: Connection) -> None:
    """Record the form that the schemas have from now on."""
    await connection.execute(_KEEP_FORM, (FORM_ROW, FORM))


def scripts() -> int:
    """Return the number of scripts for registry and vaults, which never falls in a later version."""
    return sum(map(versions, {part for parts in (REGISTRY, WORKERS, *VAULT.values()) for part in parts}))


async def keep_in_order(connection: Connection) -> None:
    """Record that registry and vaults are as this program needs them."""
    await connection.execute(_KEEP_IN_ORDER, (ORDER_ROW, scripts()))


async def forget_in_order(connection: Connection) -> None:
    """Record that something may not be as a program needs it."""
    await connection.execute(_FORGET_IN_ORDER, (ORDER_ROW,))


async def are_in_order(connection: Connection) -> bool:
    """Return whether serving processes have already put everything in order for this program."""
    found = await connection.execute(_SERVING)
    (serving,) = await found.fetchone() or (0,)
    found = await connection.execute(_IN_ORDER, (scripts(), ORDER_ROW))
    (reached,) = await found.fetchone() or (False,)
    return bool(serving and reached)


async def migrate(
    connection: Connection, schema: str, parts: tuple[str, ...], until: Mapping[str, int] | None = None
) -> None:
    """Bring ``schema`` up to date as its owner, in the caller's transaction.

    ``until`` has rows of a table of versions, and no part is brought beyond its version there, so that rows
    from that time can be stored in the schema.
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

    Functions whose name begins with an underscore are internal. PUBLIC has no rights.
    """
    names = {"schema": sql.Identifier(schema), "login": sql.Identifier(login)}
    await connection.execute(sql.SQL(_ALLOW).format(**names))
    found = await connection.execute(
        "SELECT format('GRANT EXECUTE ON FUNCTION %%s TO %%I',"
        " string_agg(oid::regprocedure::text, ', '), %s::text) FROM pg_proc"
        " WHERE pronamespace = %s::regnamespace AND NOT starts_with(proname, '_') HAVING count(*) > 0",
        (login, schema),
    )
    for (grant,) in await found.fetchall():
        await connection.execute(grant.encode())
