"""Creation and removal of vaults, as the database's administrator.

A vault is a schema with two roles of its own: an owner that cannot log in, and a login that owns
nothing, reads that schema and runs its functions. Names are random, so that a list of them reveals
nothing. The vaults of an organisation are in a database of its own (decision record 0020). No
transaction spans that database and the registry, so the vault's side is committed first, and the
registry's, which decides, last.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, LiteralString, Self

import psycopg
from psycopg import sql

from samdrift.audit.entries import Happening
from samdrift.contracts.principals import PrincipalKind, Purpose, Role
from samdrift.keystore.interface import KeyStore, PlatformLogin
from samdrift.vault import databases, logins, reach, relocation, rights
from samdrift.vault.closing import Closings, append_log, begin_log
from samdrift.vault.database import migrations
from samdrift.vault.database.server import ADMINISTRATOR, Database
from samdrift.vault.errors import Entangled, UnknownRecord, VaultRefused, VaultUnavailable
from samdrift.vault.events import VaultEvent
from samdrift.vault.inorder import Hosted, each_database, hosted, in_cluster, within
from samdrift.vault.moments import catch_up
from samdrift.vault.objects import Objects, make_place
from samdrift.vault.openkeys import open_keys
from samdrift.vault.people import WITH_SESSIONS
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
_ADMINISTRATOR = f"{PrincipalKind.WORKER}:administrator"
_LOGGER = logging.getLogger("samdrift")
_TRIES = 10
"""Number of attempts at a migration that conflicts with traffic of an earlier program."""


class Provisioner:
    """Maker and remover of vaults and of what they share; every step is done completely or not at all."""

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
        self.closings = Closings(connection, self.inside)
        """Closings of organisations, both in progress and done."""

    @property
    def database(self) -> Database:
        """Return the databases in which the vaults are."""
        return self._database

    @property
    def keys(self) -> KeyStore:
        """Return the key store with the vaults' keys."""
        return self._keys

    @classmethod
    async def connect(cls, settings: VaultSettings, *, keys: KeyStore | None = None) -> Self:
        """Log in as administrator, after starting the embedded server if it is not running.

        ``keys`` is the key store of ``settings`` if it is already open.
        """
        keys = keys or open_keys(settings, begin=True)
        database = await Database.start(settings, keys)
        try:
            connection = await database.checked_connection()
        except BaseException:
            await database.stop()
            raise
        return cls(settings, database, connection, keys)

    async def close(self) -> None:
        await self._connection.close()
        await self._database.stop()

    async def install(self, *, beside_others: bool = False) -> None:
        """Create the registry, or bring it and every vault up to date; harmless when repeated.

        Lost rights are granted again and rights that other logins got are revoked, as after a restore; logins
        get their own settings again. The folder of the object store is created if no organisation is hosted.
        Raises :class:`DatabaseUnfit` if that is impossible, or if another version of the program needs a form
        of the schemas that is incompatible with this one's. With ``beside_others`` no vault is looked into
        while processes serve that did so at their start, since that takes longer with each organisation.
        """
        password = self._database.registry().password
        async with self._transaction():
            await rights.wait_for_others(self._connection)
            await migrations.require_form(self._connection)
            await rights.make_groups(self._connection, self._database)
            await rights.revoke_public_access(self._connection, self._database)
            await rights.harden(self._connection)
            await self._run("CREATE SCHEMA IF NOT EXISTS registry")
            await migrations.migrate(self._connection, "registry", migrations.REGISTRY)
            await migrations.keep_form(self._connection)
            if not await self._rows("SELECT FROM registry.installation"):
                channel = _name("c")
                await self._rows("INSERT INTO registry.installation (channel) VALUES (%s)", channel)
                await begin_log(self._connection, "registry", OPERATOR_LOG, channel)
            await rights.make_registry_login(self._connection, self._database, password)
            await self._run("CREATE SCHEMA IF NOT EXISTS {}", rights.WORKERS_REGISTRY)
            await migrations.migrate(self._connection, rights.WORKERS_REGISTRY, migrations.WORKERS)
            await migrations.allow(self._connection, rights.WORKERS_REGISTRY, self._database.worker_group)
        async with self.alone():
            in_order = beside_others and await migrations.are_in_order(self._connection)
            await self._put_in_order(looks=not in_order)
        await self._end_strays()
        await reach.reassert(self._connection, self._database, self._settings.database_logins)
        if not await self.registrations():
            make_place(self._settings.objects)

    async def registrations(self) -> tuple[Registration, ...]:
        """Return the registrations, read as administrator: the registry's own login may be out of order."""
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
        """Create those of the organisation's vaults that are missing; return the id of each vault.

        ``happening`` is written in the log of each new vault, and in the operator's log.
        """
        async with self.alone():
            known = await self._known(organisation)
            missing = [role for role in roles if role not in known]
            if missing:
                where = await self._place(organisation)
                async with self.inside(where) as inside:
                    for role in missing:
                        await self._vault(inside, organisation, role, where)
                        await self._inherit(inside, organisation, role)
                        if happening is not None:
                            await self._note(inside, organisation, role, happening)
        if missing:
            await self.announce()
            known = await self._known(organisation)
        return {role: known[role] for role in roles}

    async def set_state(
        self,
        organisation: ParticipantIdentifier,
        role: Role,
        state: RegistrationState,
        happening: Happening | None = None,
    ) -> None:
        """Set whether gates open a vault; :class:`UnknownRecord` if there is none.

        A vault that is closing counts as missing, except to set that state again. ``happening`` is written in
        the organisation's log and the operator's. People's sessions end, unless the vault is closing.
        """
        async with self._transaction():
            changed = await self._rows(
                "UPDATE registry.registrations SET state = %s"
                " WHERE organisation = %s AND role = %s AND state IN ('active', 'suspended', %s)"
                " RETURNING schema, coalesce(database, current_database())",
                state.value,
                organisation.value,
                role.value,
                state.value,
            )
            if not changed:
                raise UnknownRecord
            ((schema, where),) = changed
            ends = role in WITH_SESSIONS and state is not RegistrationState.CLOSING  # or it is gone already
            if ends or happening is not None:
                async with self.inside(where) as inside:
                    if ends:
                        await logins.run(inside, "SELECT {}.end_all_sessions()", schema)
                    if happening is not None:
                        await self._note(inside, organisation, role, happening)
        await self.announce()

    async def begin_closing(
        self, organisation: ParticipantIdentifier, facts: bytes, happening: Happening
    ) -> None:
        """Close the organisation's vaults to everyone, and record what has to be destroyed."""
        async with self._transaction():
            await self.closings.begin(organisation, facts, happening)
        await self.announce()

    async def arriving(self, organisation: ParticipantIdentifier) -> bool:
        """Return whether anything that the organisation brings from another supplier has not arrived yet."""
        places = await self._rows(
            "SELECT schema, coalesce(database, current_database()) FROM registry.registrations"
            " WHERE organisation = %s",
            organisation.value,
        )
        begun = sql.SQL("SELECT FROM {}.arrivals WHERE done_at IS NULL")
        for schema, where in places:
            async with self.inside(where) as inside:
                if await (await inside.execute(begun.format(sql.Identifier(schema)))).fetchall():
                    return True
        return False

    async def rotate_login(
        self, organisation: ParticipantIdentifier, role: Role, happening: Happening | None = None
    ) -> None:
        """Replace a vault's login and password; :class:`UnknownRecord` if there is no vault.

        ``happening`` is written in the organisation's log and the operator's. The former login is dropped,
        with sessions and settings, after the new one is published: who logs in meanwhile finds one of them.
        """
        async with self.alone():
            known = await self._rows(
                "SELECT vault, schema, coalesce(database, current_database()) FROM registry.registrations"
                " WHERE organisation = %s AND role = %s",
                organisation.value,
                role.value,
            )
            if not known:
                raise UnknownRecord
            ((vault, schema, where),) = known
            login, password = _name("l"), logins.new_password()
            async with self.inside(where) as inside:
                await rights.make_vault_login(inside, self._database, schema, login, password)
                await migrations.allow(inside, schema, login)
                if happening is not None:
                    await self._note(inside, organisation, role, happening)
            await self._rows(
                "UPDATE registry.registrations SET login = %s, secret = %s WHERE vault = %s",
                login,
                self._sealed(vault, password),
                vault,
            )
        await self.announce()
        await self._end_strays()

    async def rotate_registry(self) -> None:
        """Replace the registry's login and password; the former login is dropped with its sessions.

        The new password is stored before the login is made, and older ones stay, so that a process that logs
        in finds the one that works (:meth:`Database.registry_session`), even after a crash in between.
        """
        password = logins.new_password()
        async with self.alone():
            self._keys.keep_login_password(PlatformLogin.REGISTRY, password)
            await rights.make_registry_login(self._connection, self._database, password)
        await self._end_strays()

    async def new_reader(self, vault: str | None) -> tuple[str, str]:
        """Create a login and password for the worker of a vault, or of none, in place of the former one.

        The password is not stored: each start of a worker gets another one. Before that, the vault's due
        moment is read, in case the former worker did not send it to the registry.
        """
        for each in await hosted(self._connection, vault) if vault is not None else ():
            async with self.inside(each.where) as inside:
                await catch_up(self._connection, inside, [(each.vault, each.schema)])
        login, password = _name("r"), logins.new_password()
        async with self.alone():
            await rights.make_reader(self._connection, self._database, login, password)
            if vault is None:
                await self._rows("UPDATE registry.installation SET reader = %s", login)
            else:
                changed = "UPDATE registry.registrations SET reader = %s WHERE vault = %s RETURNING vault"
                if not await self._rows(changed, login, vault):
                    raise UnknownRecord
        await self._end_strays()
        return login, password

    async def end_readers(self) -> int:
        """Drop the logins of all workers, with their sessions; return how many. Each gets a new one."""
        async with self.alone():
            await self._rows("UPDATE registry.registrations SET reader = NULL")
            await self._rows("UPDATE registry.installation SET reader = NULL")
        return await self._end_strays()

    async def rotate_administrator(self) -> bool:
        """Change the password of the embedded server's administrator; return false for another server.

        The new password is stored before it is set, and older ones stay: one that works is always found.
        """
        if not self._database.embedded:
            return False
        password = logins.new_password()
        self._keys.keep_login_password(PlatformLogin.ADMINISTRATOR, password)
        async with self._transaction():
            await logins.set_password(self._connection, ADMINISTRATOR, password)
        return True

    async def drop(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Remove a vault with everything in it.

        Its keys are destroyed first, so that anything that a crash leaves is unreadable. The organisation's
        database goes with its last vault. Repeating it after a crash continues it.
        """
        await self.set_state(organisation, role, RegistrationState.CLOSING)
        ((vault, schema, login, where, own),) = await self._rows(
            "SELECT vault, schema, login, coalesce(database, current_database()), database IS NOT NULL"
            " FROM registry.registrations WHERE organisation = %s AND role = %s",
            organisation.value,
            role.value,
        )
        self._keys.destroy(vault)
        await Objects(self._settings.objects).clear(vault)
        async with self.beside() as beside:
            former = await databases.name_beside(beside, databases.FORMER, organisation.value)
            await databases.drop(beside, former)
            async with self.alone():
                last = own and len(await self._known(organisation)) == 1
                if last:
                    await databases.drop(beside, where)
                    await self._end(beside, schema, login)
                else:
                    async with self.beside(where) as there:
                        await self._end(there, schema, login)
                await self._rows("DELETE FROM registry.registrations WHERE vault = %s", vault)
                if last:
                    await self._rows("DELETE FROM registry.databases WHERE name = %s", where)
        await self._end_strays()
        await self.announce()

    async def _end(self, there: migrations.Connection, schema: str, login: str) -> None:
        """Drop a vault's login and schema from their database, or only the roles if the database is gone."""
        await rights.end(there, login)
        async with self._transaction(there):
            await logins.run(there, "DROP SCHEMA IF EXISTS {} CASCADE", schema)
            await logins.run(there, "DROP ROLE IF EXISTS {}", _owner(schema))

    async def _put_in_order(self, *, looks: bool) -> None:
        """Close the databases to other logins, and move vaults of 0.1 out of the installation's database.

        With ``looks`` every vault is first brought up to date, a few at once. Runs within :meth:`alone`.
        """
        async with self.beside() as beside:
            await databases.make_template(beside, self._database)
            await databases.drop_unused(beside)
            vaults = await hosted(self._connection)
            await rights.close_databases(beside, {each.where for each in vaults} - {self._database.name})
            if looks:
                missing = await self._each_in_order(vaults)
                note = migrations.forget_in_order if missing else migrations.keep_in_order
                await note(self._connection)
            await self._move_out(beside, [each for each in vaults if each.where == self._database.name])

    async def _each_in_order(self, vaults: Sequence[Hosted]) -> set[str]:
        """Repair what is not as it should be in each vault's database, a few databases at once.

        Returns the databases that are missing.
        """
        right = await in_cluster(self._connection, self._database, vaults)
        hardening = asyncio.Lock()

        async def visit(inside: migrations.Connection, here: Sequence[Hosted]) -> None:
            async with hardening:
                await rights.harden(inside)
            current = await within(inside, [each for each in here if each in right])
            await self._mended(inside, [each for each in here if each not in current])
            await catch_up(self._connection, inside, [(each.vault, each.schema) for each in here])

        missing = await each_database(self._connection, self._database, vaults, visit)
        for name in missing:
            _LOGGER.warning("database: the database %s, which contains vaults, is missing: restore it", name)
        return missing

    async def _move_out(self, beside: migrations.Connection, vaults: Sequence[Hosted]) -> None:
        """Move the vaults that 0.1 made in the installation's database, one organisation at a time."""
        whose = await self._whose()
        for organisation in sorted({whose[each.vault] for each in vaults}):
            theirs = [each for each in vaults if whose[each.vault] == organisation]
            where = await self._place(ParticipantIdentifier(organisation))
            moved = _moved(VaultEvent.ORGANISATION_MOVED_OUT, organisation, len(theirs))
            await relocation.move_out(self._database, theirs, where, moved)
        await rights.let_vaults_in(beside, self._database, let=False)

    async def move_back(self) -> int:
        """Move all vaults back into the installation's database, for version 0.1.

        Returns the number of organisations moved.
        """
        async with self.alone():
            whose = await self._whose()
            places: dict[str, list[Hosted]] = {}
            for each in await hosted(self._connection):
                places.setdefault(each.where, []).append(each)
            places.pop(self._database.name, None)
            for where, vaults in places.items():
                organisation = whose[vaults[0].vault]
                moved = _moved(VaultEvent.ORGANISATION_MOVED_BACK, organisation, len(vaults))
                await relocation.move_back(self._database, vaults, where, moved)
            async with self.beside() as beside:
                await databases.drop_unused(beside)
        await self.announce()
        return len(places)

    async def _whose(self) -> dict[str, str]:
        """Return the organisation of each vault."""
        return dict(await self._rows("SELECT vault, organisation FROM registry.registrations"))

    async def _mended(self, inside: migrations.Connection, vaults: Sequence[Hosted]) -> None:
        """Repair the vaults of a database in one transaction, retried after a deadlock with traffic."""
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._transaction(inside):
                    for each in vaults:
                        await self.mend(inside, each)
            except Entangled:
                if not tries_left:
                    raise
            else:
                return

    async def mend(self, inside: migrations.Connection, vault: Hosted) -> None:
        """Bring a vault up to date, and grant its login the rights that it should have."""
        await migrations.migrate(inside, vault.schema, migrations.VAULT[vault.role])
        await rights.allow_alone(inside, vault.schema, vault.owner, vault.login)
        await rights.let_in(inside, self._database, vault.login)
        await logins.bound(inside, vault.login, vault.schema)

    async def _place(self, organisation: ParticipantIdentifier) -> str:
        """Return the database of an organisation, which is created if there is none."""
        async with self.beside() as beside:
            name = await databases.reserved(beside, organisation)
            await databases.make(beside, self._database, name)
        return name

    async def _known(self, organisation: ParticipantIdentifier) -> dict[Role, str]:
        found = await self._rows(
            "SELECT role, vault FROM registry.registrations WHERE organisation = %s", organisation.value
        )
        return {Role(role): vault for role, vault in found}

    async def _vault(
        self, inside: migrations.Connection, organisation: ParticipantIdentifier, role: Role, where: str
    ) -> None:
        """Create a vault in a database, and register it."""
        vault, schema, login, channel = _name("v"), _name("s"), _name("l"), _name("c")
        password = logins.new_password()
        await rights.make_owner(inside, _owner(schema))
        await rights.make_vault_login(inside, self._database, schema, login, password)
        await logins.run(inside, "CREATE SCHEMA {} AUTHORIZATION {}", schema, _owner(schema))
        await migrations.migrate(inside, schema, migrations.VAULT[role])
        await migrations.allow(inside, schema, login)
        await begin_log(inside, schema, vault, channel)
        self._keys.begin(vault, organisation)
        await self._rows(
            "INSERT INTO registry.registrations"
            " (organisation, role, vault, schema, login, secret, channel, database)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, nullif(%s, current_database()))",
            organisation.value,
            role.value,
            vault,
            schema,
            login,
            self._sealed(vault, password),
            channel,
            where,
        )

    async def _inherit(
        self, inside: migrations.Connection, organisation: ParticipantIdentifier, role: Role
    ) -> None:
        """Let a vault share the agreement that the organisation's other vaults have inherited.

        An organisation has one inherited agreement for all its vaults; one that is over is not shared.
        """
        places = await self._rows(
            "SELECT role, schema FROM registry.registrations WHERE organisation = %s", organisation.value
        )
        schemas: dict[str, str] = dict(places)
        schema = schemas.pop(role.value)
        for other in list(schemas.values())[:1]:
            same = sql.SQL(
                "UPDATE {}.cover SET (inherited_from, inherited_until) ="
                " (SELECT inherited_from, inherited_until FROM {}.cover WHERE inherited_until > now())"
            )
            await inside.execute(same.format(sql.Identifier(schema), sql.Identifier(other)))

    def _sealed(self, vault: str, password: str) -> bytes:
        return Sealer(vault, self._keys.data_keys(vault)).seal(password.encode(), LOGIN_SECRET)

    async def _note(
        self,
        inside: migrations.Connection,
        organisation: ParticipantIdentifier,
        role: Role,
        happening: Happening,
    ) -> None:
        """Log what is done to a vault in its own log, and in the operator's, which adds whose vault it is."""
        ((schema,),) = await self._rows(
            "SELECT schema FROM registry.registrations WHERE organisation = %s AND role = %s",
            organisation.value,
            role.value,
        )
        await append_log(inside, schema, happening)
        whose = {"organisation": organisation.value, "role": role.value}
        await append_log(self._connection, "registry", replace(happening, ids={**happening.ids, **whose}))

    async def announce(self) -> None:
        """Notify every gate to read the registry now; if that fails, each reads it by itself later."""
        try:
            ((channel,),) = await self._rows("SELECT channel FROM registry.installation")
            await self._run("NOTIFY {}", channel)
        except psycopg.Error:
            _LOGGER.warning("database: notifications cannot be sent now: processes read the registry later")

    async def _run(self, statement: LiteralString, *identifiers: str) -> None:
        """Run a statement with identifiers in place of ``{}``."""
        await logins.run(self._connection, statement, *identifiers)

    async def _rows(self, statement: str, *values: object) -> Sequence[Row]:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchall() if cursor.description is not None else []

    async def _end_strays(self) -> int:
        """Drop replaced logins, with their sessions, and return their number.

        Other processes cannot make logins during the search: one in the making is not recorded yet.
        """
        async with self.alone():
            strays = await rights.strays(self._connection, self._database)
        for where, gone in strays.items():
            if where == self._database.name:
                await rights.end(self._connection, *gone)
            else:
                async with self.beside(where) as inside:
                    await rights.end(inside, *gone)
        return sum(map(len, strays.values()))

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Run one transaction of the registry while no other process changes vaults, logins or rights."""
        async with self._transaction():
            await rights.wait_for_others(self._connection)
            yield

    @asynccontextmanager
    async def inside(self, where: str | None) -> AsyncIterator[migrations.Connection]:
        """Run one transaction in another database, which is committed before the registry's."""
        async with self.beside(where) as connection, self._transaction(connection):
            yield connection

    @asynccontextmanager
    async def beside(self, where: str | None = None) -> AsyncIterator[migrations.Connection]:
        """Open a separate connection to a database, outside of any transaction."""
        connection = await self._database.administrators_connection(where)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def _transaction(self, connection: migrations.Connection | None = None) -> AsyncIterator[None]:
        try:
            async with (connection or self._connection).transaction():
                yield
        except psycopg.errors.DeadlockDetected:
            raise Entangled from None
        except psycopg.OperationalError:
            raise VaultUnavailable from None
        except psycopg.Error as error:
            raise VaultRefused(error.sqlstate) from None


def _moved(event: VaultEvent, organisation: str, vaults: int) -> Happening:
    """Return the operator's log entry about an organisation's vaults that are moved."""
    facts = {"organisation": organisation, "vaults": str(vaults)}
    return Happening(datetime.now(UTC), event, _ADMINISTRATOR, Purpose.MAINTAIN, facts)


def _name(kind: str) -> str:
    """Return a meaningless name of 128 random bits."""
    return kind + secrets.token_hex(16)


def _owner(schema: str) -> str:
    return f"o{schema}"
