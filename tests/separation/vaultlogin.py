"""The database as seen with nothing but one vault's login."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg

from samdrift.contracts.principals import Role
from samdrift.vault.openkeys import open_keys
from samdrift.vault.registry import LOGIN_SECRET
from samdrift.vault.sealing import Sealer
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import Installation

Row = tuple[Any, ...]
_SCHEMA = re.compile(r"\bo?(s[0-9a-f]{32})\b")
_PLACES = """
SELECT schema, coalesce(database, current_database()) FROM registry.registrations WHERE schema = ANY(%s)
"""
_FOUND: dict[tuple[str, str], str] = {}
"""Last known database of each vault, by the administrator's address and the vault's schema."""
_WHERE = "SELECT coalesce(database, current_database()) FROM registry.registrations WHERE schema = ANY(%s)"


@dataclass(frozen=True)
class VaultLogin:
    """A vault's names and password in the database."""

    vault: str
    schema: str
    login: str
    channel: str
    address: str
    """Connection string with the password."""
    database: str = ""
    """Name of the database in which the vault is."""

    @property
    def owner(self) -> str:
        return f"o{self.schema}"

    def connect(self, **other: str) -> psycopg.Connection[Row]:
        return psycopg.connect(self.address, autocommit=True, **other)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Superuser:
    """The database's administrator, used to inspect what a login did or did not do."""

    address: str

    def rows(self, question: str, *values: object) -> Sequence[Row]:
        """Run a query in the database of the vault whose schema it names, otherwise in the registry's."""
        with self.connect(f"{question} {values}") as connection:
            cursor = connection.execute(question.encode(), values)
            return cursor.fetchall() if cursor.description is not None else []

    def connect(self, naming: str = "") -> psycopg.Connection[Row]:
        """Connect to the database of the vault whose schema is named, otherwise to the registry's."""
        schemas = _SCHEMA.findall(naming)
        last = _FOUND.get((self.address, schemas[0])) if schemas else None
        if last is not None:
            with suppress(psycopg.OperationalError):  # It may have been dropped since.
                return psycopg.connect(self.address, dbname=last, autocommit=True)
        registry = psycopg.connect(self.address, autocommit=True)
        found = registry.execute(_WHERE, (schemas,)).fetchone() if schemas else None
        if found is None:
            return registry
        registry.close()
        _FOUND[self.address, schemas[0]] = found[0]
        return psycopg.connect(self.address, dbname=found[0], autocommit=True)

    def tables(self, schema: str) -> list[str]:
        with self.connect(schema) as connection:
            return _tables(connection, schema)

    def functions(self, schema: str) -> list[tuple[str, int]]:
        """Return the names and numbers of arguments of a schema's functions."""
        found = self.rows(
            f"SELECT proname, pronargs FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace"
            " ORDER BY proname"
        )
        return [(name, arguments) for name, arguments in found]

    def snapshot(self, schema: str) -> dict[str, Row]:
        """Return the content of every table of a schema, as count and digest."""
        return self.snapshots([schema])[schema]

    def snapshots(self, schemas: Collection[str]) -> dict[str, dict[str, Row]]:
        """Return snapshots of several schemas, with one connection to each of their databases."""
        with psycopg.connect(self.address, autocommit=True) as registry:
            known = dict(registry.execute(_PLACES, (list(schemas),)).fetchall())
        places: dict[str | None, list[str]] = {}
        for schema in schemas:
            places.setdefault(known.get(schema), []).append(schema)
        found = {}
        for place, there in places.items():
            where = {} if place is None else {"dbname": place}
            with psycopg.connect(self.address, autocommit=True, **where) as connection:
                for schema in there:
                    found[schema] = _content(connection, schema)
        return found

    @contextlib.contextmanager
    def watching(self, schemas: Collection[str]) -> Iterator[Callable[[], dict[str, dict[str, Row]]]]:
        """Yield a function that repeatedly takes snapshots of schemas in one database.

        The tables are looked up, and the queries planned, only once.
        """
        with self.connect(" ".join(schemas)) as connection:
            questions = {schema: _question(schema, _tables(connection, schema)) for schema in schemas}

            def snapshots() -> dict[str, dict[str, Row]]:
                return {
                    schema: {
                        table: tuple(content)
                        for table, *content in connection.execute(question.encode(), prepare=True)
                    }
                    for schema, question in questions.items()
                }

            yield snapshots


def _tables(connection: psycopg.Connection[Row], schema: str) -> list[str]:
    found = connection.execute(
        f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace"
        " AND relkind IN ('r', 'S') ORDER BY relname".encode()
    )
    return [name for (name,) in found]


def _content(connection: psycopg.Connection[Row], schema: str) -> dict[str, Row]:
    question = _question(schema, _tables(connection, schema))
    return {table: tuple(content) for table, *content in connection.execute(question.encode())}


def _question(schema: str, tables: Sequence[str]) -> str:
    content = "count(*), md5(string_agg(t::text, '|' ORDER BY t::text))"
    return " UNION ALL ".join(
        f"SELECT '{table}', {content} FROM {schema}.{table} t"
        for table in tables
        if not table.endswith("_seq")
    )


async def superuser(installation: Installation) -> Superuser:
    return Superuser(installation.provisioner.database.administrator())


async def vault_login(
    installation: Installation, organisation: ParticipantIdentifier, role: Role
) -> VaultLogin:
    """Return a vault's login, obtained as the gate does: with the vault's data key."""
    administrator = await superuser(installation)
    ((vault, schema, login, secret, channel, where),) = administrator.rows(
        "SELECT vault, schema, login, secret, channel, coalesce(database, current_database())"
        " FROM registry.registrations"
        " WHERE organisation = %s AND role = %s",
        organisation.value,
        role.value,
    )
    keys = open_keys(installation.settings)
    password = Sealer(vault, keys.data_keys(vault)).open(secret, LOGIN_SECRET).decode()
    address = installation.provisioner.database.login(login, password, where).address
    return VaultLogin(vault, schema, login, channel, address, where)


async def registry_login(installation: Installation) -> str:
    """Return the connection string of the registry's login."""
    return installation.provisioner.database.registry().address
