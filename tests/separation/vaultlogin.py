"""The database as somebody sees it who has nothing but one vault's login."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from samdrift.contracts.principals import Role
from samdrift.vault.database.server import Database
from samdrift.vault.openkeys import open_keys
from samdrift.vault.registry import LOGIN_SECRET
from samdrift.vault.sealing import Sealer
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import Installation

Row = tuple[Any, ...]


@dataclass(frozen=True)
class VaultLogin:
    """A vault's names and password in the database."""

    vault: str
    schema: str
    login: str
    channel: str
    address: str
    """Connection string with the password."""

    @property
    def owner(self) -> str:
        return f"o{self.schema}"

    def connect(self, **other: str) -> psycopg.Connection[Row]:
        return psycopg.connect(self.address, autocommit=True, **other)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Superuser:
    """The database's administrator, to look at what a login did or did not do."""

    address: str

    def rows(self, question: str, *values: object) -> Sequence[Row]:
        with psycopg.connect(self.address, autocommit=True) as connection:
            cursor = connection.execute(question.encode(), values)
            return cursor.fetchall() if cursor.description is not None else []

    def tables(self, schema: str) -> list[str]:
        found = self.rows(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'S')"
            " ORDER BY relname",
            schema,
        )
        return [name for (name,) in found]

    def functions(self, schema: str) -> list[tuple[str, int]]:
        """Names and numbers of arguments."""
        found = self.rows(
            "SELECT proname, pronargs FROM pg_proc WHERE pronamespace = %s::regnamespace ORDER BY proname",
            schema,
        )
        return [(name, arguments) for name, arguments in found]

    def snapshot(self, schema: str) -> dict[str, Row]:
        """What every table of a schema holds, as count and digest."""
        content = "count(*), md5(string_agg(t::text, '|' ORDER BY t::text))"
        question = " UNION ALL ".join(
            f"SELECT '{table}', {content} FROM {schema}.{table} t"
            for table in self.tables(schema)
            if not table.endswith("_seq")
        )
        return {table: tuple(content) for table, *content in self.rows(question)}


async def superuser(installation: Installation) -> Superuser:
    database = await Database.start(installation.settings)
    address = database.administrator()
    await database.stop()
    return Superuser(address)


async def vault_login(
    installation: Installation, organisation: ParticipantIdentifier, role: Role
) -> VaultLogin:
    """The login of a vault, got the way the gate gets it: with the vault's data key."""
    administrator = await superuser(installation)
    ((vault, schema, login, secret, channel),) = administrator.rows(
        "SELECT vault, schema, login, secret, channel FROM registry.registrations"
        " WHERE organisation = %s AND role = %s",
        organisation.value,
        role.value,
    )
    keys = open_keys(installation.settings)
    password = Sealer(vault, keys.data_keys(vault)).open(secret, LOGIN_SECRET).decode()
    database = await Database.start(installation.settings)
    address = database.login(login, password).address
    await database.stop()
    return VaultLogin(vault, schema, login, channel, address)


async def registry_login(installation: Installation) -> str:
    """Connection string of the registry's login."""
    database = await Database.start(installation.settings)
    address = database.registry().address
    await database.stop()
    return address
