"""Makes and drops vaults: the only part that logs in as the database's administrator.

A vault is a schema with two roles of its own: an owner that nobody logs in as,
and a login that owns nothing, reads that schema and runs its functions. Names
are random, so that a list of them tells nothing.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, LiteralString, Self

import psycopg
from psycopg import sql

from samdrift.audit.chain import origin
from samdrift.audit.entries import Happening
from samdrift.contracts.principals import Role
from samdrift.keystore.interface import KeyStore, PlatformLogin
from samdrift.vault import logins, rights
from samdrift.vault.closing import Closings, append_log
from samdrift.vault.database import migrations
from samdrift.vault.database.cluster import check_server
from samdrift.vault.database.server import ADMINISTRATOR, Database
from samdrift.vault.errors import UnknownRecord, VaultRefused, VaultUnavailable
from samdrift.vault.inorder import out_of_order
from samdrift.vault.moments import catch_up
from samdrift.vault.objects import Objects
from samdrift.vault.openkeys import open_keys
from samdrift.vault.registry import (
    LOGIN_SECRET,
    OPERATOR_LOG,
    REGISTRATIONS,
    Registration,
    RegistrationState,
)
from samdrift.vault.sealing import Sealer
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier

Row = tuple[Any, ...]
_LOGGER = logging.getLogger("samdrift")


class Provisioner:
    """Maker and remover of vaults, and of what they share. Every step is whole or not done."""

    def __init__(
        self,
        settings: VaultSettings,
        database: Database,
        connection: migrations.Connection,
        keys: KeyStore,
    ) -> None:
        self._settings = settings
        self._database = database
        self._connection = connection
        self._keys = keys
        self.closings = Closings(connection)
        """The ends of organisations, those under way and those done."""

    @property
    def database(self) -> Database:
        """Places of the vaults."""
        return self._database

    @classmethod
    async def connect(cls, settings: VaultSettings, *, keys: KeyStore | None = None) -> Self:
        """Log in as administrator; the embedded server is started when it does not run.

        ``keys`` is the key store of ``settings`` where it is open already.
        """
        keys = keys or open_keys(settings, begin=True)
        database = await Database.start(settings, keys)
        try:
            connection = await _logged_in(database)
        except BaseException:
            await database.stop()
            raise
        return cls(settings, database, connection, keys)

    async def close(self) -> None:
        await self._connection.close()
        await self._database.stop()

    async def install(self) -> None:
        """Make the registry, or bring it and every vault up to date; harmless when repeated.

        Rights that were lost are given again and rights that others have got are taken away, as after
        a restore; logins have their own settings again. :class:`DatabaseUnfit` where that cannot be.
        """
        password = self._database.registry().password
        async with self._transaction():
            await rights.wait_for_others(self._connection)
            await rights.make_groups(self._connection, self._database)
            await rights.close_to_everybody(self._connection, self._database)
            await rights.harden(self._connection)
            await self._run("CREATE SCHEMA IF NOT EXISTS registry")
            await migrations.migrate(self._connection, "registry", migrations.REGISTRY)
            if not await self._rows("SELECT FROM registry.installation"):
                channel = _name("c")
                await self._rows("INSERT INTO registry.installation (channel) VALUES (%s)", channel)
                await self._begin_log("registry", OPERATOR_LOG, channel)
            await rights.make_registry_login(self._connection, self._database, password)
            await self._run("CREATE SCHEMA IF NOT EXISTS {}", rights.WORKERS_REGISTRY)
            await migrations.migrate(self._connection, rights.WORKERS_REGISTRY, migrations.WORKERS)
            await migrations.allow(self._connection, rights.WORKERS_REGISTRY, self._database.worker_group)
            for role, schema, login in await out_of_order(self._connection, self._database):
                await migrations.migrate(self._connection, schema, migrations.VAULT[role])
                await migrations.allow(self._connection, schema, login)
                await rights.join(self._connection, self._database.vault_group, login)
                await logins.bound(self._connection, login, schema)
        await self._read_moments()
        await rights.end_strays(self._connection, self._database)

    async def registrations(self) -> tuple[Registration, ...]:
        """Read the registrations as administrator: the registry's own login may be out of order."""
        await self._run("SET search_path = registry")
        rows = await self._rows(REGISTRATIONS)
        await self._run("RESET search_path")
        return tuple(map(Registration.from_row, rows))

    async def operator_log(self, happening: Happening) -> None:
        """Write in the operator's log as administrator."""
        async with self._transaction():
            await append_log(self._connection, "registry", happening)

    async def add_organisation(
        self, organisation: ParticipantIdentifier, roles: Collection[Role], happening: Happening | None = None
    ) -> dict[Role, str]:
        """Make the organisation's vaults; those that exist stay. Gives each vault's id, for the key store.

        ``happening`` goes with it into the log of each that is made, and the operator's.
        """
        return {role: await self._vault(organisation, role, happening) for role in roles}

    async def set_state(
        self,
        organisation: ParticipantIdentifier,
        role: Role,
        state: RegistrationState,
        happening: Happening | None = None,
    ) -> None:
        """Have gates open the vault, or refuse to; :class:`UnknownRecord` when there is none.

        ``happening`` goes with it into the organisation's log and the operator's. One that is
        closing stays so. No session of a person outlives the change.
        """
        async with self._transaction():
            changed = await self._rows(
                "UPDATE registry.registrations SET state = %s"
                " WHERE organisation = %s AND role = %s AND state IN ('active', 'suspended', %s)"
                " RETURNING schema",
                state.value,
                organisation.value,
                role.value,
                state.value,
            )
            if not changed:
                raise UnknownRecord
            if role is Role.MESSAGE_CLIENT:
                await self._run("SELECT {}.end_all_sessions()", changed[0][0])
            if happening is not None:
                await self._note(changed[0][0], organisation, role, happening)
        await self._announce()

    async def begin_closing(
        self, organisation: ParticipantIdentifier, facts: bytes, happening: Happening
    ) -> None:
        """Close the organisation's vaults to everybody; what there is to destroy is put on record."""
        async with self._transaction():
            await self.closings.begin(organisation, facts, happening)
        await self._announce()

    async def arriving(self, organisation: ParticipantIdentifier) -> bool:
        """Return whether something that the organisation brings from another supplier has not all come
        yet.
        """
        schemas = await self._rows(
            "SELECT schema FROM registry.registrations WHERE organisation = %s", organisation.value
        )
        begun = "SELECT FROM {}.arrivals WHERE done_at IS NULL"
        for (schema,) in schemas:
            question = sql.SQL(begun).format(sql.Identifier(schema))
            if await (await self._connection.execute(question)).fetchall():
                return True
        return False

    async def rotate_login(
        self, organisation: ParticipantIdentifier, role: Role, happening: Happening | None = None
    ) -> None:
        """Give the vault another login with a new password; :class:`UnknownRecord` when there is no vault.

        ``happening`` goes with it into the organisation's log and the operator's.
        The former login is dropped with its sessions and settings. The new one is made and
        told in one transaction: whoever logs in meanwhile has the old one or reads the new one.
        """
        async with self._transaction():
            await rights.wait_for_others(self._connection)
            known = await self._rows(
                "SELECT vault, schema FROM registry.registrations WHERE organisation = %s AND role = %s",
                organisation.value,
                role.value,
            )
            if not known:
                raise UnknownRecord
            ((vault, schema),) = known
            login, password = _name("l"), logins.new_password()
            await rights.make_vault_login(self._connection, self._database, schema, login, password)
            await migrations.allow(self._connection, schema, login)
            await self._rows(
                "UPDATE registry.registrations SET login = %s, secret = %s WHERE vault = %s",
                login,
                self._sealed(vault, password),
                vault,
            )
            if happening is not None:
                await self._note(schema, organisation, role, happening)
        await self._announce()
        await rights.end_strays(self._connection, self._database)

    async def rotate_registry(self) -> None:
        """Give the registry another login with a new password; the former one is dropped with its sessions.

        The new one is kept before it is made, and older ones stay: whoever logs in finds
        the one that opens (:meth:`Database.registry_session`), also after a crash between both.
        """
        password = logins.new_password()
        async with self._transaction():
            await rights.wait_for_others(self._connection)
            self._keys.keep_login_password(PlatformLogin.REGISTRY, password)
            await rights.make_registry_login(self._connection, self._database, password)
        await rights.end_strays(self._connection, self._database)

    async def new_reader(self, vault: str | None) -> tuple[str, str]:
        """Make a login with its password for the worker of a vault, or nobody's, instead of the former one.

        The password is kept nowhere: each start of a worker gets another one. What the former one did not
        bring to the registry of when something is due is read.
        """
        login, password = _name("r"), logins.new_password()
        async with self._transaction():
            await rights.wait_for_others(self._connection)
            await rights.make_reader(self._connection, self._database, login, password)
            if vault is None:
                await self._rows("UPDATE registry.installation SET reader = %s", login)
            else:
                changed = "UPDATE registry.registrations SET reader = %s WHERE vault = %s RETURNING vault"
                if not await self._rows(changed, login, vault):
                    raise UnknownRecord
        await rights.end_strays(self._connection, self._database)
        if vault is not None:
            await self._read_moments(vault)
        return login, password

    async def end_readers(self) -> int:
        """Drop the logins of all workers, with their sessions; each gets another one. Returns how many."""
        async with self._transaction():
            await rights.wait_for_others(self._connection)
            await self._rows("UPDATE registry.registrations SET reader = NULL")
            await self._rows("UPDATE registry.installation SET reader = NULL")
        return await rights.end_strays(self._connection, self._database)

    async def rotate_administrator(self) -> bool:
        """Give the embedded server's administrator a new password; false where the server is the operator's.

        The new one is kept before it is set, and older ones stay: whichever opens is found.
        """
        if not self._database.embedded:
            return False
        password = logins.new_password()
        self._keys.keep_login_password(PlatformLogin.ADMINISTRATOR, password)
        async with self._transaction():
            await logins.set_password(self._connection, ADMINISTRATOR, password)
        return True

    async def drop(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Remove a vault with everything in it. Its keys go first: what a crash leaves then is unreadable."""
        await self.set_state(organisation, role, RegistrationState.CLOSING)
        ((vault, schema, login),) = await self._rows(
            "SELECT vault, schema, login FROM registry.registrations WHERE organisation = %s AND role = %s",
            organisation.value,
            role.value,
        )
        self._keys.destroy(vault)
        await Objects(self._settings.objects).clear(vault)
        await rights.end(self._connection, login)
        async with self._transaction():
            await self._run("DROP SCHEMA {} CASCADE", schema)
            await self._run("DROP ROLE {}", _owner(schema))
            await self._rows("DELETE FROM registry.registrations WHERE vault = %s", vault)
        await rights.end_strays(self._connection, self._database)
        await self._announce()

    async def _vault(
        self, organisation: ParticipantIdentifier, role: Role, happening: Happening | None
    ) -> str:
        async with self._transaction():
            await self._rows("SELECT FROM registry.installation FOR UPDATE")
            known = await self._rows(
                "SELECT vault FROM registry.registrations WHERE organisation = %s AND role = %s",
                organisation.value,
                role.value,
            )
            if known:
                return str(known[0][0])
            vault, schema, login, channel = _name("v"), _name("s"), _name("l"), _name("c")
            password = logins.new_password()
            await self._make_roles(schema, login, password)
            await self._run("CREATE SCHEMA {} AUTHORIZATION {}", schema, _owner(schema))
            await migrations.migrate(self._connection, schema, migrations.VAULT[role])
            await migrations.allow(self._connection, schema, login)
            await self._begin_log(schema, vault, channel)
            if happening is not None:
                await self._note(schema, organisation, role, happening)
            self._keys.begin(vault, organisation)
            secret = self._sealed(vault, password)
            await self._rows(
                "INSERT INTO registry.registrations"
                " (organisation, role, vault, schema, login, secret, channel)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                organisation.value,
                role.value,
                vault,
                schema,
                login,
                secret,
                channel,
            )
        await self._announce()
        return str(vault)

    async def _read_moments(self, only: str | None = None) -> None:
        """Bring the registry what a process that was killed has not told it of when something is due."""
        async with self._transaction():
            question = "SELECT vault, schema FROM registry.registrations WHERE %s::text IS NULL OR vault = %s"
            placed = await self._rows(question, only, only)
            await catch_up(self._connection, self._connection, [(vault, schema) for vault, schema in placed])

    def _sealed(self, vault: str, password: str) -> bytes:
        return Sealer(vault, self._keys.data_keys(vault)).seal(password.encode(), LOGIN_SECRET)

    async def _make_roles(self, schema: str, login: str, password: str) -> None:
        owner = _owner(schema)
        await self._run("CREATE ROLE {} NOLOGIN", owner)
        await self._run("GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE", owner)
        await rights.make_vault_login(self._connection, self._database, schema, login, password)

    async def _begin_log(self, schema: str, log_id: str, channel: str) -> None:
        name = sql.Identifier(schema)
        insert = sql.SQL("INSERT INTO {}.log_head (sequence, hash, channel) VALUES (0, %s, %s)")
        await self._connection.execute(insert.format(name), (origin(log_id).hash, channel))
        await self._connection.execute(sql.SQL("SELECT {}._begin_tree()").format(name))

    async def _note(
        self, schema: str, organisation: ParticipantIdentifier, role: Role, happening: Happening
    ) -> None:
        """Log what is done to a vault in its own log, and in the operator's, which says whose it is."""
        await append_log(self._connection, schema, happening)
        whose = {"organisation": organisation.value, "role": role.value}
        await append_log(self._connection, "registry", replace(happening, ids={**happening.ids, **whose}))

    async def _announce(self) -> None:
        """Have every gate read the registry again now; where that fails, each does so by itself later."""
        try:
            ((channel,),) = await self._rows("SELECT channel FROM registry.installation")
            await self._run("NOTIFY {}", channel)
        except psycopg.Error:
            _LOGGER.warning("database: notifications cannot be sent now: processes read the registry later")

    async def _run(self, statement: LiteralString, *identifiers: str) -> None:
        """A statement in which ``{}`` stands for identifiers."""
        await logins.run(self._connection, statement, *identifiers)

    async def _rows(self, statement: str, *values: object) -> Sequence[Row]:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchall() if cursor.description is not None else []

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        try:
            async with self._connection.transaction():
                yield
        except psycopg.OperationalError:
            raise VaultUnavailable from None
        except psycopg.Error as error:
            raise VaultRefused(error.sqlstate) from None


async def _logged_in(database: Database) -> migrations.Connection:
    connection = await database.administrators_connection()
    try:
        if not database.embedded:
            await check_server(connection, database.name)
    except BaseException:
        await connection.close()
        raise
    return connection


def _name(kind: str) -> str:
    """A name that says nothing, 128 random bits."""
    return kind + secrets.token_hex(16)


def _owner(schema: str) -> str:
    return f"o{schema}"
