"""The PostgreSQL that contains the vaults, either embedded or the operator's cluster, and its logins."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection, ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from samdrift.keystore.durablefiles import remove
from samdrift.keystore.interface import KeyStore, PlatformLogin
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.vault.database.cluster import SCRAM, check_address, check_server, refused_login
from samdrift.vault.database.hosts import connected
from samdrift.vault.database.pool import Login
from samdrift.vault.database.postgres import EmbeddedPostgres
from samdrift.vault.database.session import Session
from samdrift.vault.errors import DatabaseMissing, DatabaseUnfit, LoginRefused, ServerFailed
from samdrift.vault.openkeys import open_keys, unreadable
from samdrift.vault.settings import VaultSettings

ADMINISTRATOR = "postgres"
"""The embedded server's administrator."""
_PATIENCE = {
    "connect_timeout": "10",
    # A host that loses power closes no connection, and by default the kernel probes only after two hours.
    "tcp_user_timeout": "15000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    # Not "read-write": a login can make its own sessions read-only, and could then no longer connect.
    "target_session_attrs": "primary",
    "client_encoding": "utf8",
    "application_name": "samdrift",
    **SCRAM,
}


class Database:
    """A running database server and the logins to it; the passwords are in the key store."""

    def __init__(
        self, address: str, keys: KeyStore, handed_in: Path, server: EmbeddedPostgres | None
    ) -> None:
        self._address = make_conninfo(address, **_PATIENCE)
        self._keys = keys
        self._handed_in = handed_in
        self._server = server
        self._opened: str | None = None
        """The administrator's address that last worked."""

    @classmethod
    async def start(cls, settings: VaultSettings, keys: KeyStore | None = None) -> Self:
        """Return the database of ``settings``; an embedded server is started unless it is running.

        ``keys`` is the key store of ``settings`` if it is already open.
        """
        keys = keys or open_keys(settings)
        handed_in = settings.secrets / "administrator"
        if isinstance(settings.database, str):
            check_address(settings.database)
            return cls(settings.database, keys, handed_in, None)
        password = partial(keys.login_password, PlatformLogin.ADMINISTRATOR)
        server = EmbeddedPostgres(
            settings.database,
            password,
            other_users=settings.other_users,
            vaults=settings.vaults * settings.processes,
        )
        starting = asyncio.ensure_future(asyncio.to_thread(server.start))
        try:
            address = await asyncio.shield(starting)
        except asyncio.CancelledError:
            server.hurry()
            await asyncio.wait([starting])  # A thread cannot be cancelled: wait, and stop the server.
            await asyncio.to_thread(server.stop)
            raise
        return cls(address, keys, handed_in, server)

    @property
    def embedded(self) -> bool:
        """Return whether the server is the embedded one, which we set up ourselves."""
        return self._server is not None

    async def revive(self) -> None:
        """Restart an embedded server that has died; the operator starts their own cluster."""
        if self._server is not None:
            await asyncio.to_thread(self._server.revive)

    async def stop(self) -> None:
        """Stop the embedded server, unless another process uses it."""
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)

    @property
    def address(self) -> str:
        """Return the server's address, as a libpq connection string without a login."""
        return self._address

    @property
    def name(self) -> str:
        """Return the database's name, which is part of the names of its group roles."""
        return str(conninfo_to_dict(self._address)["dbname"])

    @property
    def registry_login(self) -> str:
        """Return the name of the login that reads the registry: the one with the newest password."""
        return registry_login(self._keys.login_password(PlatformLogin.REGISTRY))

    @property
    def former_registry_login(self) -> str:
        """Return the name of the login by which version 0.1 reads the registry."""
        return f"samdrift_registry_{self.name}"

    @property
    def registry_group(self) -> str:
        """Return the role whose only members are the registry's login and one that it is replacing."""
        return f"samdrift_registries_{self.name}"

    @property
    def vault_group(self) -> str:
        """Return the role of all vaults' logins; it may connect to the database and nothing more."""
        return f"samdrift_vaults_{self.name}"

    @property
    def worker_group(self) -> str:
        """Return the role that the registry logins of single workers are members of."""
        return f"samdrift_workers_{self.name}"

    def registry(self) -> Login:
        """Return the registry's login with its newest password; it also writes the operator's log."""
        password = self._keys.login_password(PlatformLogin.REGISTRY)
        return self.login(registry_login(password), password)

    async def registry_session(self) -> Session:
        """Return a session of the registry's login, with whichever of its passwords works now.

        The newest is kept before it is set, so it may not work yet; an older one may have stopped working by
        the time it is tried. So the newest is tried once more after the others, and all are tried again while
        newer ones appear.
        """
        tried: tuple[str, ...] = ()
        while (kept := await asyncio.to_thread(self._registry_passwords)) != tried:
            for password in (*kept, kept[0]):
                with suppress(LoginRefused):
                    return await Session.connect(self.login(registry_login(password), password).address)
            tried = kept
        raise LoginRefused(
            registry_login(tried[0]) if tried else "", "`samdrift database rotate-logins` repairs it"
        )

    def _registry_passwords(self) -> tuple[str, ...]:
        try:
            return self._keys.login_passwords(PlatformLogin.REGISTRY)
        except (KeyStoreError, OSError) as error:
            raise unreadable(error) from None

    def administrator(self) -> str:
        """Return the connection string of the administrator, who creates and drops vaults."""
        return self.administrators()[0]

    def administrators(self) -> tuple[str, ...]:
        """Return the administrator's connection strings, one per kept password, newest first.

        There may be several because a change of the password was interrupted. The operator provides the
        password for a cluster of their own as a file in the key store's folder; it is moved into the key
        store immediately, and the file is removed.
        """
        address = self._address
        if self._server is not None:
            self._keys.login_password(PlatformLogin.ADMINISTRATOR)
            address = make_conninfo(address, user=ADMINISTRATOR)
        elif self._handed_in.is_file():
            given = self._handed_in.read_text().strip()
            self._keys.keep_login_password(PlatformLogin.ADMINISTRATOR, given)
            remove(self._handed_in)
        kept = self._keys.login_passwords(PlatformLogin.ADMINISTRATOR)
        return tuple(make_conninfo(address, password=each) for each in kept) or (address,)

    @property
    def template(self) -> str:
        """Return the name of the empty database that organisations' databases are copied from."""
        return f"{self.name}_template"

    async def checked_connection(self) -> AsyncConnection[tuple[Any, ...]]:
        """Return an administrator's connection to the installation's database, on a server that is fit."""
        connection = await self.administrators_connection()
        try:
            if not self.embedded:
                await check_server(connection, self.name)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def administrators_connection(self, where: str | None = None) -> AsyncConnection[tuple[Any, ...]]:
        """Return a connection of the administrator, with whichever of its passwords works.

        ``where`` is an organisation's database; by default it is the installation's own.
        :class:`LoginRefused` with advice if no password works, :class:`DatabaseMissing` for an organisation's
        database that does not exist, :class:`VaultUnavailable` if the server does not answer.
        """
        # A start visits every database, so the last working password is tried before the key store is read
        # again.
        if self._opened is not None and not self._handed_in.is_file():
            try:
                return await _connected(self._opened, where or self.name)
            except psycopg.Error as error:
                if not isinstance(unavailable := refused_login(error), LoginRefused):
                    raise unavailable from None
        failures: list[psycopg.Error] = []
        for address in self.administrators():
            try:
                connection = await _connected(address, where or self.name)
            except psycopg.Error as error:
                failures.append(error)
            else:
                self._opened = address
                return connection
        failure = refused_login(failures[0])
        if isinstance(failure, DatabaseMissing) and where is None:
            failure = DatabaseUnfit(f"the database {self.name} does not exist: create it (docs/database.md)")
        if isinstance(failure, LoginRefused):
            who = str(conninfo_to_dict(self.administrator())["user"])
            given = f"provide its password as the file {self._handed_in}"
            repair = given if self._server is None else "its password was changed elsewhere"
            failure = LoginRefused(who, repair)
        raise failure from None

    def login(self, name: str, password: str, where: str | None = None) -> Login:
        """Return a login to an organisation's database, or to the installation's own."""
        address = make_conninfo(self._address, dbname=where or self.name, user=name, password=password)
        return Login(name, password, address)


async def _connected(address: str, where: str) -> AsyncConnection[tuple[Any, ...]]:
    return await connected(make_conninfo(address, dbname=where))


def registry_login(password: str) -> str:
    """Return the name of the registry's login with that password: each password has a separate login."""
    return "r" + hashlib.sha256(f"samdrift registry login {password}".encode()).hexdigest()[:32]


class HandedDatabase(Database):
    """A server that another process keeps running, for a process that may not administer it."""

    def __init__(self, address: str, reader: str, password: str) -> None:
        """Prepare to log in at ``address``; ``reader`` is the process's own login to the registry."""
        self._address = make_conninfo(address, **_PATIENCE)
        self._server = None
        self._reader = self.login(reader, password)

    def replace_reader(self, reader: str, password: str) -> None:
        """Use another login to the registry from now on."""
        self._reader = self.login(reader, password)

    def registry(self) -> Login:
        """Return the login that reads the part of the registry that this process may see."""
        return self._reader

    async def registry_session(self) -> Session:
        """Return a session of that login."""
        return await Session.connect(self._reader.address)

    def administrator(self) -> str:
        raise ServerFailed("this process cannot administer the database")

    def administrators(self) -> tuple[str, ...]:
        raise ServerFailed("this process cannot administer the database")


def databases_of(address: str) -> frozenset[tuple[str, str, str]]:
    """Return host, port and name of the database in a URL, for each host.

    Two URLs with an element in common lead to the same database, whatever their other parts. Raises
    :class:`ServerFailed` if the URL cannot be read.
    """
    try:
        said = {key: str(value) for key, value in conninfo_to_dict(address).items() if value}
    except ProgrammingError:
        raise ServerFailed("the URL of the database cannot be read") from None
    hosts = (said.get("host") or said.get("hostaddr") or "localhost").lower().split(",")
    ports = said.get("port", "").split(",")
    name = said.get("dbname") or said.get("user", "")
    ports += ports[:1] * (len(hosts) - len(ports))  # A single port applies to all hosts.
    return frozenset((host, port or "5432", name) for host, port in zip(hosts, ports, strict=False))
