"""A database for each organisation, with a schema in it for each role: made here alone, to be measured.

Vaults are made from a template database that is hardened and migrated once. Everything
that opens them, and everything in them, is the product's own (decision record 0020).
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo

from samdrift.audit.chain import origin
from samdrift.contracts.principals import Role
from samdrift.keystore.interface import KeyStore
from samdrift.vault import logins, rights
from samdrift.vault.database import migrations
from samdrift.vault.database.pool import Login
from samdrift.vault.database.postgres import EmbeddedPostgres
from samdrift.vault.database.server import Database
from samdrift.vault.registry import LOGIN_SECRET
from samdrift.vault.sealing import Sealer
from samdrift.wire.identifiers import ParticipantIdentifier

Connection = AsyncConnection[tuple[Any, ...]]
_TEMPLATE = "samdrift_template"
ROLES = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)
"""Of each organisation that is made here."""
_REGISTER = """
INSERT INTO registry.registrations (organisation, role, vault, schema, login, secret, channel)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""


class DatabasePerOrganisation(Database):
    """The same server, where each login leads to the database of its organisation."""

    def __init__(
        self, address: str, keys: KeyStore, handed_in: Path, server: EmbeddedPostgres | None
    ) -> None:
        super().__init__(address, keys, handed_in, server)
        self.databases: dict[str, str] = {}
        """The name of the database that each vault's login is for."""

    def login(self, name: str, password: str) -> Login:
        """Return the login in its own database; the registry's in that of the server's address."""
        where = self.databases.get(name, self.name)
        return Login(name, password, make_conninfo(self.address, dbname=where, user=name, password=password))


async def make_template(connection: Connection, database: Database) -> None:
    """Make the database that those of organisations are copies of."""
    await logins.run(connection, "CREATE DATABASE {}", _TEMPLATE)
    await logins.run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", _TEMPLATE)
    async with await _connected(database, _TEMPLATE) as inside, inside.transaction():
        await rights.harden(inside)
        for role in ROLES:
            owner = _owner_in_template(role)
            await logins.run(inside, "CREATE ROLE {} NOLOGIN", owner)
            await logins.run(inside, "GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE", owner)
            await logins.run(inside, "CREATE SCHEMA {} AUTHORIZATION {}", role.value, owner)
            await migrations.migrate(inside, role.value, migrations.VAULT[role])


async def add_organisation(
    connection: Connection,
    database: DatabasePerOrganisation,
    keys: KeyStore,
    organisation: ParticipantIdentifier,
) -> str:
    """Make a database with a vault in each role; returns its name.

    Nobody can connect before everybody's right to do so is taken away, which no template can do.
    """
    name = _random("d")
    copy = "CREATE DATABASE {} TEMPLATE {} ALLOW_CONNECTIONS false"
    await logins.run(connection, copy, name, _TEMPLATE)
    await logins.run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", name)
    await logins.run(connection, "ALTER DATABASE {} ALLOW_CONNECTIONS true", name)
    async with await _connected(database, name) as inside:
        for role in ROLES:
            async with inside.transaction():
                await _vault(inside, database, name, keys, organisation, role, connection)
    return name


async def _vault(
    inside: Connection,
    database: DatabasePerOrganisation,
    name: str,
    keys: KeyStore,
    organisation: ParticipantIdentifier,
    role: Role,
    registry: Connection,
) -> None:
    vault, login, owner, channel = _random("v"), _random("l"), _random("o"), _random("c")
    password = logins.new_password()
    await logins.run(inside, "CREATE ROLE {} NOLOGIN", owner)
    await logins.run(inside, "GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE", owner)
    await rights.make_vault_login(inside, database, role.value, login, password)
    await logins.run(inside, "GRANT CONNECT ON DATABASE {} TO {}", name, login)
    await logins.run(inside, "ALTER SCHEMA {} OWNER TO {}", role.value, owner)
    await logins.run(inside, "REASSIGN OWNED BY {} TO {}", _owner_in_template(role), owner)
    await migrations.allow(inside, role.value, login)
    head = sql.SQL("INSERT INTO {}.log_head (sequence, hash, channel) VALUES (0, %s, %s)")
    await inside.execute(head.format(sql.Identifier(role.value)), (origin(vault).hash, channel))
    keys.begin(vault, organisation)
    secret = Sealer(vault, keys.data_keys(vault)).seal(password.encode(), LOGIN_SECRET)
    where = f"{name}.{role.value}"
    await registry.execute(_REGISTER, (organisation.value, role.value, vault, where, login, secret, channel))
    database.databases[login] = name


async def _connected(database: Database, name: str) -> Connection:
    address = make_conninfo(database.administrator(), dbname=name)
    return await AsyncConnection.connect(address, autocommit=True)


def _owner_in_template(role: Role) -> str:
    return f"{_TEMPLATE}_{role.value}"


def _random(kind: str) -> str:
    return kind + secrets.token_hex(16)
