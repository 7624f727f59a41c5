"""Finds the vaults whose schema or login is not as it should be, with few questions for all of them.

At each start every vault is brought up to date and gets its rights again, as after a restore
(:meth:`~samdrift.vault.provision.Provisioner.install`). That takes dozens of statements for each. All
of it is to be seen in the catalogs: a vault that is in order there is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from samdrift.contracts.principals import Role
from samdrift.vault import logins
from samdrift.vault.database import migrations
from samdrift.vault.database.server import Database
from samdrift.vault.logins import Connection

Hosted = tuple[Role, str, str]
"""A registration's role, schema and login."""

_AT_ONCE = 100
"""Schemas whose versions are asked for in one question."""

# The rights are compared as the server writes them: an owner's own, then the login's (migrations.allow).
# Whatever else is granted there puts the vault out of order.
_RIGHTS = """
WITH hosted AS (
    SELECT r.role, r.schema, r.login, n.oid AS namespace, n.nspowner::regrole::text AS owner, n.nspacl
    FROM registry.registrations r JOIN pg_namespace n ON n.nspname = r.schema
), members AS (
    SELECT m.member, m.roleid::regrole::text AS granted FROM pg_auth_members m WHERE m.inherit_option
)
SELECT h.schema FROM hosted h
JOIN pg_roles l ON l.rolname = h.login AND l.rolcanlogin AND l.rolconnlimit = %(connections)s
WHERE h.nspacl::text = format('{%%1$s=UC/%%1$s,%%2$s=U/%%1$s}', h.owner, h.login)
  AND EXISTS (SELECT FROM members m WHERE m.member = l.oid AND m.granted = %(vaults)s)
  AND EXISTS (SELECT FROM members m WHERE m.member = CURRENT_USER::regrole AND m.granted = h.login)
  AND NOT EXISTS (
    SELECT FROM pg_proc p WHERE p.pronamespace = h.namespace AND p.proacl::text IS DISTINCT FROM
        CASE WHEN starts_with(p.proname, '_') THEN format('{%%1$s=X/%%1$s}', h.owner)
        ELSE format('{%%1$s=X/%%1$s,%%2$s=X/%%1$s}', h.owner, h.login) END
  )
  AND NOT EXISTS (
    SELECT FROM pg_class c WHERE c.relnamespace = h.namespace AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
        AND c.relacl::text IS DISTINCT FROM format('{%%1$s=arwdDxtm/%%1$s,%%2$s=r/%%1$s}', h.owner, h.login)
  )
"""
_SETTINGS = """
SELECT g.schema, s.setdatabase = 0, s.setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
JOIN registry.registrations g ON g.login = r.rolname
"""
_HOSTED = "SELECT role, schema, login FROM registry.registrations ORDER BY schema"
_VERSIONS = "SELECT {name}, array_agg(part || ' ' || version) FROM {schema}.versions"


async def out_of_order(connection: Connection, database: Database) -> list[Hosted]:
    """Return the vaults that lack something, or of which somebody has got something."""
    hosted: list[Hosted] = [
        (Role(role), schema, login) for role, schema, login in await _rows(connection, _HOSTED)
    ]
    right = {schema for (schema,) in await _rows(connection, _RIGHTS, _named(database))}
    bounded = await _bounded(connection)
    candidates = [each for each in hosted if each[1] in right & bounded]
    current = await _current(connection, candidates)
    return [each for each in hosted if each[1] not in current]


def _named(database: Database) -> dict[str, object]:
    return {
        "connections": logins.CONNECTIONS,
        "vaults": database.vault_group,
    }


async def _bounded(connection: Connection) -> set[str]:
    """Schemas whose login has its settings, and no others."""
    wanted = await logins.wanted_settings(connection)
    found: dict[str, list[tuple[bool, dict[str, str]]]] = {}
    for schema, everywhere, config in await _rows(connection, _SETTINGS):
        found.setdefault(schema, []).append((everywhere, dict(each.split("=", 1) for each in config)))
    return {
        schema for schema, settings in found.items() if settings == [(True, wanted | {"search_path": schema})]
    }


async def _current(connection: Connection, hosted: Sequence[Hosted]) -> set[str]:
    """Schemas in which every part has its latest version."""
    wanted = {
        role: {f"{part} {migrations.versions(part)}" for part in parts}
        for role, parts in migrations.VAULT.items()
    }
    found: set[str] = set()
    for first in range(0, len(hosted), _AT_ONCE):
        some = hosted[first : first + _AT_ONCE]
        questions = [
            sql.SQL(_VERSIONS).format(name=sql.Literal(schema), schema=sql.Identifier(schema))
            for _, schema, _ in some
        ]
        rows = await (await connection.execute(sql.SQL(" UNION ALL ").join(questions))).fetchall()
        present = {schema: set(parts or ()) for schema, parts in rows}
        found |= {schema for role, schema, _ in some if present[schema] == wanted[role]}
    return found


async def _rows(
    connection: Connection, question: str, values: dict[str, object] | None = None
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(question.encode(), values)).fetchall()
