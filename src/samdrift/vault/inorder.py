"""Detection of vaults whose schema or login is not as it should be, with few queries in total.

At a start, vaults are brought up to date and granted their rights again, as after a restore
(:meth:`~samdrift.vault.provision.Provisioner.install`). That takes dozens of statements for each. All of it
can be checked in the catalogues, so a vault that is in order there is left alone. The state that the whole
cluster shares is queried once; the rest is queried in each database, a few databases at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from samdrift.contracts.principals import Role
from samdrift.vault import logins
from samdrift.vault.database import migrations
from samdrift.vault.database.server import Database
from samdrift.vault.logins import Connection


@dataclass(frozen=True, slots=True)
class Hosted:
    """A registered vault, and its place in the database."""

    vault: str
    role: Role
    schema: str
    login: str
    where: str
    """Its database."""
    closing: bool = False
    """True if it is being destroyed; its schema, login and database may be gone already."""

    @property
    def owner(self) -> str:
        """Return the role that owns its schema."""
        return f"o{self.schema}"


_AT_ONCE = 100
"""Number of schemas whose versions are read in one query."""
_DATABASES_AT_ONCE = 4

_HOSTED = """
SELECT vault, role, schema, login, coalesce(database, current_database()), state = 'closing'
FROM registry.registrations ORDER BY schema
"""
_LOGINS = """
SELECT l.rolname FROM unnest(%(logins)s::text[], %(places)s::text[]) AS h (login, place)
JOIN pg_roles l ON l.rolname = h.login AND l.rolcanlogin AND l.rolconnlimit = %(connections)s
JOIN pg_database d ON d.datname = h.place
WHERE (h.place = current_database() OR strpos(d.datacl::text, h.login || '=c/') > 0)
  AND EXISTS (SELECT FROM pg_auth_members m WHERE m.inherit_option
        AND m.member = l.oid AND m.roleid::regrole::text = %(vaults)s)
  AND EXISTS (SELECT FROM pg_auth_members m WHERE m.inherit_option
        AND m.member = CURRENT_USER::regrole AND m.roleid = l.oid)
"""
_SETTINGS = """
SELECT r.rolname, s.setdatabase = 0, s.setconfig
FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
WHERE r.rolname = ANY(%(logins)s::text[])
"""
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn"
# The rights are compared in the server's notation: the owner's, then the login's (migrations.allow). Any
# other grant puts the vault out of order.
_RIGHTS = """
WITH hosted AS (
    SELECT h.schema, h.login, n.oid AS namespace, n.nspowner::regrole::text AS owner, n.nspacl
    FROM unnest(%(schemas)s::text[], %(logins)s::text[]) AS h (schema, login)
    JOIN pg_namespace n ON n.nspname = h.schema
)
SELECT h.schema FROM hosted h
WHERE h.owner = 'o' || h.schema
  AND h.nspacl::text = format('{%%1$s=UC/%%1$s,%%2$s=U/%%1$s}', h.owner, h.login)
  AND NOT EXISTS (
    SELECT FROM pg_proc p WHERE p.pronamespace = h.namespace AND p.proacl::text IS DISTINCT FROM
        CASE WHEN starts_with(p.proname, '_') THEN format('{%%1$s=X/%%1$s}', h.owner)
        ELSE format('{%%1$s=X/%%1$s,%%2$s=X/%%1$s}', h.owner, h.login) END
  )
  AND NOT EXISTS (
    SELECT FROM pg_class c WHERE c.relnamespace = h.namespace AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
        AND c.relacl::text IS DISTINCT FROM format('{%%1$s=arwdDxtm/%%1$s,%%2$s=r/%%1$s}', h.owner, h.login)
  )
  AND NOT EXISTS (
    SELECT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = h.namespace AND a.attacl IS NOT NULL
  )
"""
_VERSIONS = "SELECT {name}, array_agg(part || ' ' || version) FROM {schema}.versions"


async def hosted(connection: Connection, only: str | None = None) -> list[Hosted]:
    """Return each registered vault with its place, or just one of them."""
    rows = await _rows(connection, _HOSTED)
    found = [Hosted(vault, Role(role), *rest) for vault, role, *rest in rows]
    return [each for each in found if only in (None, each.vault)]


async def out_of_order(connection: Connection, database: Database) -> list[Hosted]:
    """Return the vaults that lack something, or on which other logins have gained rights.

    Vaults that are closing are left out.
    """
    vaults = [each for each in await hosted(connection) if not each.closing]
    right = await in_cluster(connection, database, vaults)
    found = [each for each in vaults if each not in right]

    async def look(inside: Connection, here: Sequence[Hosted]) -> None:
        current = await within(inside, [each for each in here if each in right])
        found.extend(each for each in here if each in right and each not in current)

    missing = await each_database(connection, database, vaults, look)
    return [*found, *(each for each in vaults if each.where in missing and each in right)]


async def each_database(
    connection: Connection,
    database: Database,
    vaults: Iterable[Hosted],
    visit: Callable[[Connection, Sequence[Hosted]], Awaitable[None]],
) -> set[str]:
    """Visit each database that contains vaults, a few at a time; return the databases that do not exist.

    Vaults that are closing are left out: what is missing of them is not to be restored.
    """
    places: dict[str, list[Hosted]] = {}
    for each in (each for each in vaults if not each.closing):
        places.setdefault(each.where, []).append(each)
    there = {name for (name,) in await _rows(connection, _DATABASES)}
    turns = asyncio.Semaphore(_DATABASES_AT_ONCE)

    async def go(name: str) -> None:
        async with turns:
            inside = await database.administrators_connection(name)
            try:
                await visit(inside, places[name])
            finally:
                await inside.close()

    ended = await asyncio.gather(*(go(name) for name in places if name in there), return_exceptions=True)
    for failure in filter(None, ended):
        raise failure
    return places.keys() - there


async def in_cluster(connection: Connection, database: Database, vaults: Sequence[Hosted]) -> set[Hosted]:
    """Return the vaults whose login is in order, as far as the shared state of the cluster shows."""
    values = {
        "logins": [each.login for each in vaults],
        "places": [each.where for each in vaults],
        "connections": logins.CONNECTIONS,
        "vaults": database.vault_group,
    }
    right = {login for (login,) in await _rows(connection, _LOGINS, values)}
    wanted = await logins.wanted_settings(connection)
    settings: dict[str, list[tuple[bool, dict[str, str]]]] = {}
    for login, everywhere, config in await _rows(connection, _SETTINGS, values):
        settings.setdefault(login, []).append((everywhere, dict(each.split("=", 1) for each in config)))
    return {
        each
        for each in vaults
        if each.login in right and settings.get(each.login) == [(True, wanted | {"search_path": each.schema})]
    }


async def within(inside: Connection, vaults: Sequence[Hosted]) -> set[Hosted]:
    """Return the vaults in one database whose schema is in order."""
    right = await with_right_grants(inside, vaults)
    return await _current(inside, [each for each in vaults if each.schema in right])


async def with_right_grants(inside: Connection, vaults: Sequence[Hosted]) -> set[str]:
    """Return the schemas in one database that have their owner, and where only their login has rights."""
    values = {"schemas": [each.schema for each in vaults], "logins": [each.login for each in vaults]}
    return {schema for (schema,) in await _rows(inside, _RIGHTS, values)}


async def _current(inside: Connection, vaults: Sequence[Hosted]) -> set[Hosted]:
    """Return the vaults in which every part has its latest version."""
    wanted = {
        role: {
            f"{row} {migrations.versions(part)}"
            for part in parts
            for row in (part, migrations.reached_by(part))
        }
        for role, parts in migrations.VAULT.items()
    }
    found: set[Hosted] = set()
    for first in range(0, len(vaults), _AT_ONCE):
        some = vaults[first : first + _AT_ONCE]
        questions = [
            sql.SQL(_VERSIONS).format(name=sql.Literal(each.schema), schema=sql.Identifier(each.schema))
            for each in some
        ]
        rows = await (await inside.execute(sql.SQL(" UNION ALL ").join(questions))).fetchall()
        present = {schema: set(parts or ()) for schema, parts in rows}
        found |= {each for each in some if present[each.schema] == wanted[each.role]}
    return found


async def _rows(
    connection: Connection, question: str, values: Mapping[str, object] | None = None
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(question.encode(), values)).fetchall()
