"""New organisations of tests are copies of a database in which the product has created the same vaults.

Most of the time for an organisation goes into the SQL of its vaults' schemas, and the rights of their logins.
When a server gets its second organisation with vaults in the same roles, the product does both once more, for
unused logins, in a database that then stays unchanged. This organisation and all that follow get a copy of
it, whose schemas are changed to the names, owners and logins that the product has chosen. Everything else,
such as logins, the log's beginning and keys, the product does for each of them. The result is compared with
vaults that the product makes alone (``tests/unit/test_vaulttemplates.py``).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar

import pytest
from psycopg import sql

from samdrift.audit.entries import Happening
from samdrift.contracts.principals import Role
from samdrift.vault import databases, rights
from samdrift.vault.database import migrations
from samdrift.vault.database.server import Database
from samdrift.vault.logins import Connection, run
from samdrift.vault.provision import Provisioner
from samdrift.wire.identifiers import ParticipantIdentifier

_add_organisation = Provisioner.add_organisation
_make = databases.make
_migrate = migrations.migrate
_allow = migrations.allow

_WANTED: ContextVar[frozenset[Role]] = ContextVar("wanted", default=frozenset())
"""Roles of the organisation that is being added."""
_THERE: ContextVar[set[Role]] = ContextVar("there")
"""Roles whose schemas were copied with the database and do not have their own names and owners yet."""
_COPIES: ContextVar[dict[str, str]] = ContextVar("copies")
"""Schemas of the organisation that is being added, with their current names in its database."""
_MADE: Counter[tuple[str, str]] = Counter()
"""Number of organisations that each server has had, by the roles of their vaults."""

_KNOWN = "SELECT datallowconn FROM pg_database WHERE datname = %s"
_TAKEN_OVER = """
DROP SCHEMA {schema};
ALTER SCHEMA {copied} RENAME TO {schema};
UPDATE pg_namespace SET nspowner = {owner}, nspacl =
    replace(replace(nspacl::text, {formers}, {owners}), {readers}, {logins})::aclitem[]
WHERE nspowner = {former};
UPDATE pg_class SET relowner = {owner}, relacl =
    replace(replace(relacl::text, {formers}, {owners}), {readers}, {logins})::aclitem[]
WHERE relowner = {former};
UPDATE pg_type SET typowner = {owner} WHERE typowner = {former};
UPDATE pg_proc SET proowner = {owner}, proacl =
    replace(replace(proacl::text, {formers}, {owners}), {readers}, {logins})::aclitem[],
    proconfig = array_replace(proconfig, {copied_path}, {path})
WHERE proowner = {former};
UPDATE pg_shdepend SET refobjid = CASE refobjid WHEN {former} THEN {owner} ELSE {login} END
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND refclassid = 'pg_authid'::regclass AND refobjid IN ({former}, {reader});
SET LOCAL search_path = {schema};
UPDATE log_tree SET origin = _log_name();
UPDATE cover SET inherited_from = date_trunc('day', now()) - interval '1 day',
    inherited_until = date_trunc('second', now()) + interval '90 days';
RESET search_path
"""
"""SQL that does in bulk what ``REASSIGN OWNED``, ``ALTER FUNCTION`` and ``GRANT`` do one by one.

It also sets the values that differ in each vault.
"""


@contextlib.contextmanager
def copied_vaults() -> Iterator[None]:
    """Create vaults by copying schemas of earlier ones with the same roles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Provisioner, "add_organisation", _add)
        patch.setattr(databases, "make", _copy)
        patch.setattr(migrations, "migrate", _find)
        patch.setattr(migrations, "allow", _take_over)
        yield


@contextlib.contextmanager
def vaults_of_the_product() -> Iterator[None]:
    """Create vaults as in the product."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Provisioner, "add_organisation", _add_organisation)
        yield


async def _add(
    provisioner: Provisioner,
    organisation: ParticipantIdentifier,
    roles: Collection[Role],
    happening: Happening | None = None,
) -> dict[Role, str]:
    wanted, there, copies = _WANTED.set(frozenset(roles)), _THERE.set(set()), _COPIES.set({})
    try:
        return await _add_organisation(provisioner, organisation, roles, happening)
    finally:
        _WANTED.reset(wanted)
        _THERE.reset(there)
        _COPIES.reset(copies)


async def _copy(connection: Connection, database: Database, name: str) -> None:
    roles = _WANTED.get()
    if roles and database.embedded and await _state(connection, name) is None:
        template = f"{database.template}_{'_'.join(sorted(role.value for role in roles))}"
        _MADE[connection.info.host, template] += 1
        ready = await _state(connection, template) is False
        if not ready and _MADE[connection.info.host, template] > 1:
            await _prepare(connection, database, template, roles)
            ready = True
        if ready:
            await run(connection, databases.COPY, name, template)
            _THERE.get().update(roles)
    await _make(connection, database, name)


async def _prepare(connection: Connection, database: Database, name: str, roles: Collection[Role]) -> None:
    await _make(connection, database, name)
    inside = await database.administrators_connection(name)
    try:
        async with inside.transaction():
            for role in roles:
                schema = _copied(role)
                await rights.make_owner(inside, f"o{schema}")
                await run(inside, "CREATE SCHEMA {} AUTHORIZATION {}", schema, f"o{schema}")
                await _migrate(inside, schema, migrations.VAULT[role])
                if not await rights.exists(inside, f"l{schema}"):
                    await run(inside, "CREATE ROLE {} NOLOGIN", f"l{schema}")
                await _allow(inside, schema, f"l{schema}")
    finally:
        await inside.close()
    await run(connection, "ALTER DATABASE {} ALLOW_CONNECTIONS false", name)


async def _find(
    connection: Connection, schema: str, parts: tuple[str, ...], until: Mapping[str, int] | None = None
) -> None:
    role = next((one for one in _THERE.get(set()) if migrations.VAULT[one] == parts), None)
    if role is None:
        await _migrate(connection, schema, parts, until)
        return
    _THERE.get().remove(role)
    _COPIES.get()[schema] = _copied(role)


async def _take_over(connection: Connection, schema: str, login: str) -> None:
    copied = _COPIES.get({}).pop(schema, None)
    if copied is None:
        await _allow(connection, schema, login)
        return
    names = {"former": f"o{copied}", "owner": f"o{schema}", "reader": f"l{copied}", "login": login}
    taken_over = sql.SQL(_TAKEN_OVER).format(
        copied=sql.Identifier(copied),
        schema=sql.Identifier(schema),
        **{key: sql.SQL("{}::regrole").format(name) for key, name in names.items()},
        **{f"{key}s": name for key, name in names.items()},
        copied_path=f"search_path={copied}",
        path=f"search_path={schema}",
    )
    await connection.execute(taken_over)


def _copied(role: Role) -> str:
    return f"vault_{role.value}"


async def _state(connection: Connection, name: str) -> bool | None:
    """Return whether a database accepts connections, or ``None`` if it does not exist."""
    found = await (await connection.execute(_KNOWN, (name,))).fetchone()
    return None if found is None else bool(found[0])
