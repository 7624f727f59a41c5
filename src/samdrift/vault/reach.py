"""Comparison of the roles of the cluster with what each should be: who can reach the vaults, and how.

PostgreSQL keeps organisations apart by what a role may do. A superuser can give a role more than Samdrift
did: an attribute, a membership, a grant. Nothing that another vault's login tries reveals that. So every role
is read, ours and others, and what exceeds its due is named. The isolation check and the doctor report it; a
start takes back what is ours to take back.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import psycopg
from psycopg import sql

from samdrift.vault import logins, rights
from samdrift.vault.database.server import Database
from samdrift.vault.errors import DatabaseUnfit
from samdrift.vault.inorder import Hosted, each_database, hosted, with_right_grants
from samdrift.vault.logins import Connection


class Aspect(StrEnum):
    """A way in which a role can be more than it should be."""

    ATTRIBUTES = "attributes"
    MEMBERSHIPS = "memberships"
    GRANTS = "grants"


@dataclass(frozen=True, slots=True)
class Reading:
    """One aspect of one role, compared with what it should be."""

    role: str
    aspect: Aspect
    ours: bool
    """True for a role that Samdrift made."""
    found: tuple[str, ...] = ()
    """Everything that the role has beyond its due."""
    repairs: tuple[sql.Composed, ...] = ()
    """Statements that take it back, in the installation's database."""

    def __str__(self) -> str:
        whose = "login" if self.ours else "login that is not Samdrift's"
        return f"the {whose} {self.role} {' and '.join(self.found)}"


@dataclass(frozen=True, slots=True)
class _Due:
    """The due of a role of ours."""

    home: str
    """The database in which it has rights."""
    groups: frozenset[str] = frozenset()
    logs_in: bool = False
    owns: bool = False
    """True for the owner of a vault's schema."""


@dataclass(frozen=True, slots=True)
class _Role:
    name: str
    logs_in: bool
    attributes: Mapping[str, bool]
    vouched: bool
    """True for the first superuser, which no cluster is without, and logins that the operator answers for."""
    member_of: dict[str, list[str]] = field(default_factory=dict)
    """Roles that it is a member of, with the roles that granted it."""
    connects: list[tuple[str, str]] = field(default_factory=list)
    """Database and privileges, of the vaults' databases."""
    inside: list[str] = field(default_factory=list)
    """Rights and objects within the databases of vaults that are not its due."""


_ATTRIBUTES = {
    "SUPERUSER": "is a superuser",
    "CREATEROLE": "may make logins",
    "CREATEDB": "may make databases",
    "REPLICATION": "may copy the whole cluster",
    "BYPASSRLS": "is exempt from row security",
}
_ROLES = """
SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, oid = 10
FROM pg_roles WHERE rolname <> CURRENT_USER
"""
_MEMBERSHIPS = """
SELECT member.rolname, granted.rolname, grantor.rolname FROM pg_auth_members m
JOIN pg_roles member ON member.oid = m.member JOIN pg_roles granted ON granted.oid = m.roleid
JOIN pg_roles grantor ON grantor.oid = m.grantor
"""
_ENTRIES = """
SELECT datname, entry::text FROM pg_database, unnest(datacl) AS entry WHERE datname = ANY(%(places)s::text[])
"""
# Every right and every object of a role, in whichever database, is recorded here. Left out is what a role has
# at home: with_right_grants compares that, object by object.
_INSIDE = """
SELECT r.rolname, d.datname, CASE WHEN bool_or(s.deptype = 'o') THEN 'owns objects' ELSE 'has rights' END
FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid JOIN pg_database d ON d.oid = s.dbid
LEFT JOIN unnest(%(roles)s::text[], %(homes)s::text[], %(owners)s::bool[]) AS h (role, home, owns)
    ON h.role = r.rolname
WHERE s.refclassid = 'pg_authid'::regclass AND d.datname = ANY(%(places)s::text[])
    AND r.rolname <> CURRENT_USER
    AND (h.home IS DISTINCT FROM d.datname OR (s.deptype = 'o' AND NOT h.owns))
GROUP BY r.rolname, d.datname
"""
_READERS = """
SELECT reader FROM registry.registrations WHERE reader IS NOT NULL
UNION SELECT reader FROM registry.installation WHERE reader IS NOT NULL
"""
_FILES = frozenset({"pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"})
"""Roles of PostgreSQL by which a login reaches the files of every database."""
_CONNECT = "c"
_LOGGER = logging.getLogger("samdrift")


async def examine(
    connection: Connection, database: Database, vouched: Collection[str] = (), *, inside: bool = True
) -> list[Reading]:
    """Compare every role of the cluster with what it should be, one reading for each aspect of it.

    ``vouched`` are logins that the operator answers for. Without ``inside``, rights to objects within the
    databases are left out, which takes longer with each organisation. Runs as administrator.
    """
    registered = await hosted(connection)
    due = await _due(connection, database, registered)
    vaults = [each for each in registered if not each.closing]
    places = {database.name, *(each.where for each in vaults)}
    roles = await _roles(connection, vouched)
    for member, granted, grantor in await _rows(connection, _MEMBERSHIPS):
        if member in roles:
            roles[member].member_of.setdefault(granted, []).append(grantor)
    for place, entry in await _rows(connection, _ENTRIES, {"places": list(places)}):
        grantee, privileges = rights.parsed(entry)
        if grantee in roles:
            roles[grantee].connects.append((place, privileges))
    if inside:
        await _look_inside(connection, database, vaults, due, roles)
    administrator = connection.info.user
    return [reading for role in roles.values() for reading in _readings(role, due, roles, administrator)]


async def reassert(connection: Connection, database: Database, vouched: Collection[str]) -> None:
    """Take back what our roles, and others on ours, have beyond their due; end the sessions of those logins.

    What others' roles are is not ours to change, and is logged. Raises :class:`DatabaseUnfit` if one of our
    own logins stays more than it should be.
    """
    excess = [one for one in await examine(connection, database, vouched, inside=False) if one.found]
    for one in excess:
        _LOGGER.error("database: %s, which nobody should: it is taken back now if possible", one)
        for repair in one.repairs:
            try:
                async with connection.transaction():
                    await rights.wait_for_others(connection)
                    await connection.execute(repair)
            except psycopg.errors.InsufficientPrivilege:
                break  # It is found again below.
        if one.repairs:
            with suppress(psycopg.errors.InsufficientPrivilege):
                await logins.end_sessions(connection, one.role)
    if not excess:
        return
    left = [one for one in await examine(connection, database, vouched, inside=False) if one.found]
    for one in left:
        if one.ours:
            by = sql.SQL("; ").join(one.repairs).as_string(connection)
            raise DatabaseUnfit(f"{one}, and our administrator cannot change that: as a superuser, {by}")
        _LOGGER.error("database: %s, and reaches vaults: docs/database.md#who-else-reaches-the-vaults", one)


async def _due(connection: Connection, database: Database, vaults: Sequence[Hosted]) -> dict[str, _Due]:
    here = database.name
    groups = (database.vault_group, database.registry_group, database.worker_group)
    due = {group: _Due(here) for group in groups}
    due[database.registry_login] = _Due(here, frozenset({database.registry_group}), logs_in=True)
    for (reader,) in await _rows(connection, _READERS):
        due[reader] = _Due(here, frozenset({database.worker_group}), logs_in=True)
    for each in vaults:
        due[each.login] = _Due(each.where, frozenset({database.vault_group}), logs_in=True)
        due[each.owner] = _Due(each.where, owns=True)
    return due


async def _roles(connection: Connection, vouched: Collection[str]) -> dict[str, _Role]:
    return {
        name: _Role(name, logs_in, dict(zip(_ATTRIBUTES, attributes, strict=True)), first or name in vouched)
        for name, logs_in, *attributes, first in await _rows(connection, _ROLES)
    }


async def _look_inside(
    connection: Connection,
    database: Database,
    vaults: Sequence[Hosted],
    due: Mapping[str, _Due],
    roles: Mapping[str, _Role],
) -> None:
    """Find what roles have within the databases of vaults, and vaults on which others have rights."""
    values = {
        "roles": list(due),
        "homes": [each.home for each in due.values()],
        "owners": [each.owns for each in due.values()],
        "places": list({each.where for each in vaults}),
    }
    for name, place, what in await _rows(connection, _INSIDE, values):
        if name in roles:
            roles[name].inside.append(f"{what} in the database {place}")

    async def look(inside: Connection, here: Sequence[Hosted]) -> None:
        right = await with_right_grants(inside, here)
        for each in here:
            if each.schema not in right and each.login in roles:
                what = "is not the only one with rights in its vault"
                roles[each.login].inside.append(what)

    await each_database(connection, database, vaults, look)


def _readings(
    role: _Role, due: Mapping[str, _Due], roles: Mapping[str, _Role], administrator: str
) -> Iterable[Reading]:
    wanted = due.get(role.name)
    if wanted is not None:
        yield _attributes(role, wanted)
        yield _memberships(role, wanted.groups)
        yield _grants(role, wanted.home, ours=True)
    elif not role.vouched:
        yield _others_attributes(role, roles)
        yield _others_memberships(role, due, roles, administrator)
        yield _grants(role, None, ours=False)


def _attributes(role: _Role, wanted: _Due) -> Reading:
    excess = [name for name, has in role.attributes.items() if has]
    found = [_ATTRIBUTES[name] for name in excess]
    if role.logs_in and not wanted.logs_in:
        excess, found = [*excess, "LOGIN"], [*found, "may log in"]
    repairs = [
        sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(role.name), sql.SQL("NO" + name)) for name in excess
    ]
    return Reading(role.name, Aspect.ATTRIBUTES, True, tuple(found), tuple(repairs))


def _memberships(role: _Role, groups: Collection[str]) -> Reading:
    excess = [granted for granted in role.member_of if granted not in groups]
    told = tuple(map("is a member of {}".format, excess))
    return Reading(role.name, Aspect.MEMBERSHIPS, True, told, tuple(_leave(role, excess)))


def _grants(role: _Role, home: str | None, *, ours: bool) -> Reading:
    excess = [place for place, privileges in role.connects if place != home or privileges != _CONNECT]
    found = [f"has rights to the database {place}" for place in excess] + role.inside
    repairs: list[sql.Composed] = []
    for place in excess:
        names = {"place": sql.Identifier(place), "role": sql.Identifier(role.name)}
        repairs.append(sql.SQL("REVOKE ALL ON DATABASE {place} FROM {role} CASCADE").format(**names))
        if place == home:
            repairs.append(sql.SQL("GRANT CONNECT ON DATABASE {place} TO {role}").format(**names))
    return Reading(role.name, Aspect.GRANTS, ours, tuple(found), tuple(repairs))


def _others_attributes(role: _Role, roles: Mapping[str, _Role]) -> Reading:
    """Judge the attributes by which another's login reaches every database."""
    able = [name for name in ("SUPERUSER", "REPLICATION") if role.logs_in and role.attributes[name]]
    found = [_ATTRIBUTES[name] for name in able]
    by = [each for each in _closure(role, roles) if each in roles and roles[each].attributes["SUPERUSER"]]
    found += [f"is a member of {each}, a superuser" for each in by]
    return Reading(role.name, Aspect.ATTRIBUTES, False, tuple(found))


def _others_memberships(
    role: _Role, due: Mapping[str, _Due], roles: Mapping[str, _Role], administrator: str
) -> Reading:
    """Judge the memberships by which another's login reaches a vault, directly or through further roles."""
    precious = {*due, administrator, *_FILES}
    precious |= {each.name for each in roles.values() if each.connects or each.inside}
    reached = [each for each in _closure(role, roles) if each in precious]
    if role.name.startswith("pg_") and set(reached) <= _FILES:
        reached = []  # PostgreSQL's own, which nobody can log in as.
    told = tuple(map("is a member of {}".format, reached))
    repairs = tuple(_leave(role, [each for each in role.member_of if each in due]))
    return Reading(role.name, Aspect.MEMBERSHIPS, False, told, repairs)


def _closure(role: _Role, roles: Mapping[str, _Role]) -> list[str]:
    """Return every role that a role is a member of, also through others."""
    found: dict[str, None] = {}
    waiting = list(role.member_of)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += roles[name].member_of if name in roles else ()
    return list(found)


def _leave(member: _Role, groups: Iterable[str]) -> Iterable[sql.Composed]:
    """Return statements that end memberships, whoever granted them."""
    for group in groups:
        for by in member.member_of[group]:
            names = map(sql.Identifier, (group, member.name, by))
            yield sql.SQL("REVOKE {} FROM {} GRANTED BY {} CASCADE").format(*names)


async def _rows(
    connection: Connection, question: str, values: Mapping[str, object] | None = None
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(question.encode(), values)).fetchall()
