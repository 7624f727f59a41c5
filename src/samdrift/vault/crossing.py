"""Attacks by one vault on another, with everything that its organisation's processes can hold.

They are part of the isolation check that runs in production (:mod:`samdrift.isolationcheck`): two canary
organisations, without the gate between them. Every attempt must be denied by the database, the encryption and
the key files themselves. Each statement is rolled back, so that an attempt that succeeds shows a leak but
changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Self

import psycopg
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from samdrift.contracts.isolation import Attempt, Verdict
from samdrift.contracts.principals import Role
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.keystore.unlocking import HandedUnlocker
from samdrift.vault import reach
from samdrift.vault.bodies import BodyReader, Shelf
from samdrift.vault.database import migrations
from samdrift.vault.database.pool import Login
from samdrift.vault.database.server import Database
from samdrift.vault.database.session import Session
from samdrift.vault.errors import SealBroken, UnknownRecord, VaultRefused, VaultUnavailable
from samdrift.vault.objects import Objects
from samdrift.vault.registry import LOGIN_SECRET
from samdrift.vault.sealing import Sealer
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier

DATABASE, OBJECTS, SEALS, KEYS, LOG = "database", "object store", "sealed values", "key store", "log"
LOGINS = "logins"
_ANY_LOGIN = "any login of the cluster"
_ACTOR = "another organisation's vault login"
_HOLDER = "a holder of another organisation's keys"
_NOT_ALLOWED = ("42501",)
_NOT_HERE = (*_NOT_ALLOWED, "3F000", "42P01")
"""SQLSTATE codes that count as a denial in the login's own database: not allowed, or no such object."""
_PLACE = "isolation check"
_FIND = """
SELECT vault, schema, login, secret, channel, database FROM registrations
WHERE organisation = $1 AND role = $2
"""
_MADE = re.compile(r"^CREATE (?:OR REPLACE )?(TABLE|VIEW|FUNCTION) (\w+)", re.MULTILINE)

OF_TABLES = (
    "SELECT count(*) FROM {theirs}.{name}",
    "INSERT INTO {theirs}.{name} DEFAULT VALUES",
    "DELETE FROM {theirs}.{name}",
    "TRUNCATE {theirs}.{name}",
    "DROP TABLE {theirs}.{name}",
)
OF_FUNCTIONS = ("SELECT {theirs}.{name}()",)
OF_THE_SERVER = (
    "SET ROLE {their_login}",
    "SET ROLE {their_owner}",
    "SET ROLE {my_owner}",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION {their_login}",
    "GRANT {their_login} TO {my_login}",
    "GRANT USAGE ON SCHEMA {theirs} TO {my_login}",
    "ALTER ROLE {their_login} CONNECTION LIMIT 0",
    "DROP SCHEMA {theirs} CASCADE",
    "CREATE SCHEMA samdrift_isolation_check",
    "CREATE TABLE {mine}.samdrift_isolation_check (a int)",
    "CREATE TEMP TABLE samdrift_isolation_check (a int)",
    "CREATE ROLE samdrift_isolation_check",
    "SELECT count(*) FROM registry.registrations",
    "SELECT count(*) FROM registry.log",
    "DELETE FROM registry.registrations",
    "SELECT 1 FROM pg_catalog.pg_class LIMIT 1",
    "SELECT 1 FROM pg_catalog.pg_namespace LIMIT 1",
    "SELECT 1 FROM pg_catalog.pg_roles LIMIT 1",
    "SELECT 1 FROM pg_catalog.pg_authid LIMIT 1",
    "SELECT 1 FROM pg_catalog.pg_stat_activity LIMIT 1",
    "SELECT 1 FROM information_schema.tables LIMIT 1",
    "SELECT pg_stat_get_activity(NULL)",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_advisory_xact_lock_shared(1)",
    "SELECT lo_create(0)",
    "SELECT has_schema_privilege('{theirs}', 'USAGE')",
)
OF_THE_LOG = (
    "SELECT count(*) FROM {theirs}.log",
    "SELECT {theirs}.append_log(ARRAY[]::bytea[], ARRAY[]::bigint[], ARRAY[]::int[])",
    "UPDATE {mine}.log SET content = content",
    "UPDATE {mine}.log SET retention = retention",
    "INSERT INTO {mine}.log DEFAULT VALUES",
    "DELETE FROM {mine}.log",
    "UPDATE {mine}.log_head SET sequence = 0",
)
"""Statements that read or forge another vault's log, or rewrite one's own."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """Everything that is needed to open one vault."""

    vault: str
    schema: str
    login: Login
    where: str | None
    """Its database; ``None`` for the installation's own."""
    secret: bytes = field(repr=False)
    channel: str
    shelf: Shelf = field(repr=False)

    @property
    def owner(self) -> str:
        return f"o{self.schema}"


@dataclass(frozen=True, slots=True)
class StoredBody:
    """A body in the object store that was planted as a target for the attacks."""

    id: str
    size: int


class Crossings:
    """The vaults of an installation, as seen by a process that holds their keys."""

    def __init__(self, database: Database, keys: KeyStore, objects: Objects, settings: VaultSettings) -> None:
        self._database = database
        self._secrets = settings.secrets
        self._vouched = settings.database_logins
        self._keys = keys
        self._objects = objects

    @classmethod
    @asynccontextmanager
    async def of(cls, settings: VaultSettings, keys: KeyStore) -> AsyncIterator[Self]:
        """Connect to the database and object store of ``settings`` while the context lasts."""
        database = await Database.start(settings, keys)
        try:
            yield cls(database, keys, Objects(settings.objects), settings)
        finally:
            await database.stop()

    async def find(self, organisation: ParticipantIdentifier, role: Role) -> Hosted:
        """Return the organisation's vault; :class:`UnknownRecord` if it has none in that role."""
        with closing(await self._database.registry_session()) as registry:
            (rows,) = await registry.run([(_FIND, (organisation.value, role.value))])
        if not rows:
            raise UnknownRecord
        vault, schema, name, secret, channel, database = rows[0]
        sealer = self._sealer(vault, vault)
        login = self._database.login(name, sealer.open(secret, LOGIN_SECRET).decode(), database)
        return Hosted(vault, schema, login, database, secret, channel, Shelf(vault, sealer, self._objects))

    async def in_database(self, mine: Hosted, theirs: Hosted, role: Role) -> list[Attempt]:
        """Attack another vault's objects, the server and both logs with one vault's login.

        Runs in the other's database if it admits the login, which is itself a leak; otherwise in its own.
        """
        names = {
            "mine": mine.schema,
            "theirs": theirs.schema,
            "my_login": mine.login.name,
            "my_owner": mine.owner,
            "their_login": theirs.login.name,
            "their_owner": theirs.owner,
        }
        found = []
        there = self._database.login(mine.login.name, mine.login.password, theirs.where)
        let_in = await _opens(there)
        codes = _NOT_ALLOWED if let_in else _NOT_HERE
        async with _session(there if let_in else mine.login) as session:
            for interface, shown, template in statements(role):
                statement = template.format(**names)
                verdict, why = await _refused(session, statement, codes)
                found.append(Attempt(interface, shown, _ACTOR, verdict, why))
        for shown, login, where in (
            ("log in to the other's database as {my_login}", mine.login.name, theirs.where),
            ("log in to the registry's database as {my_login}", mine.login.name, None),
            ("log in as {their_login} with the password of {my_login}", theirs.login.name, theirs.where),
            ("log in as {their_owner} with the password of {my_login}", theirs.owner, theirs.where),
            ("log in as postgres with the password of {my_login}", "postgres", None),
        ):
            opened = await _opens(self._database.login(login, mine.login.password, where))
            found.append(_judged(DATABASE, shown, _ACTOR, leaked=opened))
        return found

    async def of_logins(self) -> list[Attempt]:
        """Compare every role of the cluster with what it should be: one attempt for each aspect of it.

        Another vault's login that is a superuser reaches everything, which no canary's login shows.
        """
        connection = await self._database.administrators_connection()
        try:
            found = await reach.examine(connection, self._database, self._vouched)
        except psycopg.errors.InsufficientPrivilege:
            why = "the administrator may not read pg_shdepend: docs/database.md, hardening"
            return [Attempt(LOGINS, "have more than its due", _ANY_LOGIN, Verdict.UNTRIED, why)]
        finally:
            await connection.close()
        return [
            Attempt(
                LOGINS,
                f"have other {one.aspect} than its due",
                _ANY_LOGIN,
                Verdict.LEAKED if one.found else Verdict.DENIED,
                str(one) if one.found else "",
            )
            for one in found
        ]

    async def in_objects(self, mine: Hosted, theirs: Hosted, body: StoredBody) -> list[Attempt]:
        """Attack a stored body by its id, with other keys, and as if it were in one's own vault."""
        if not await _reads(theirs.shelf, body):
            return [Attempt(OBJECTS, "read", _HOLDER, Verdict.UNTRIED, "its owner cannot read it either")]
        moved = self._sealer(mine.vault, theirs.vault)
        shelves = {
            "read a body of that id as one's own": mine.shelf,
            "read the other's object with one's own keys": Shelf(
                theirs.vault, mine.shelf.sealer, self._objects
            ),
            "read the other's object as if it were in one's own vault": Shelf(
                theirs.vault, moved, self._objects
            ),
        }
        found = [
            _judged(OBJECTS, shown, _HOLDER, leaked=await _reads(shelf, body))
            for shown, shelf in shelves.items()
        ]
        names = [one.name for one in await self._objects.under(mine.vault)]
        shared = any(theirs.vault in name or body.id in name for name in names)
        return [*found, _judged(OBJECTS, "find it among one's own objects", _HOLDER, leaked=shared)]

    def in_seals(self, mine: Hosted, theirs: Hosted) -> list[Attempt]:
        """Attack values that another vault sealed."""
        value = theirs.shelf.sealer.seal(b"sealed", _PLACE)
        moved = self._sealer(mine.vault, theirs.vault)
        tries: dict[str, Callable[[], bytes]] = {
            "open the other's value": lambda: mine.shelf.sealer.open(value, _PLACE),
            "open the other's value as if it were in one's own vault": lambda: moved.open(value, _PLACE),
            "open a value in another place": lambda: theirs.shelf.sealer.open(value, "elsewhere"),
            "open the password of the other's login": lambda: mine.shelf.sealer.open(
                theirs.secret, LOGIN_SECRET
            ),
        }
        found = [_judged(SEALS, shown, _HOLDER, leaked=_opened(attempt)) for shown, attempt in tries.items()]
        same = mine.shelf.sealer.mark("an address") == theirs.shelf.sealer.mark("an address")
        return [*found, _judged(SEALS, "recognise an address by its mark", _HOLDER, leaked=same)]

    def in_keys(self, mine: Hosted, theirs: Hosted) -> list[Attempt]:
        """Attack another vault's keys with only what opens one's own."""
        return [*self._in_key_files(mine, theirs), *self._in_data_keys(mine, theirs)]

    def _in_key_files(self, mine: Hosted, theirs: Hosted) -> list[Attempt]:
        shown = "open the other's key file with the password of one's own"
        try:
            (own, password), (file, theirs_opens) = map(self._keys.tls_client, (mine.vault, theirs.vault))
        except KeyStoreError:
            return [Attempt(KEYS, shown, _HOLDER, Verdict.UNTRIED, "a canary has no key for interface C")]
        if not (_unlocks(own.read_bytes(), password) and _unlocks(file.read_bytes(), theirs_opens)):
            return [Attempt(KEYS, shown, _HOLDER, Verdict.UNTRIED, "the keys are in no files")]
        return [_judged(KEYS, shown, _HOLDER, leaked=_unlocks(file.read_bytes(), password))]

    def _in_data_keys(self, mine: Hosted, theirs: Hosted) -> list[Attempt]:
        try:
            key = self._keys.unlock_key(mine.vault)
        except KeyStoreError:
            why = "a canary's vault waits for its officer"
            return [Attempt(KEYS, "open the other's data key", _HOLDER, Verdict.UNTRIED, why)]
        tries = {
            "open the other's data key with what opens one's own": {theirs.vault: key},
            "open the other's data key without anything": {mine.vault: key},
        }
        if not self._gives({mine.vault: key}, mine.vault):
            why = "what opens a vault does not open it"
            return [Attempt(KEYS, shown, _HOLDER, Verdict.UNTRIED, why) for shown in tries]
        return [
            _judged(KEYS, shown, _HOLDER, leaked=self._gives(held, theirs.vault))
            for shown, held in tries.items()
        ]

    def _gives(self, held: Mapping[str, bytes], vault: str) -> bool:
        """Return whether a process that holds these keys can obtain the data key of ``vault``."""
        try:
            SoftwareKeyStore(self._secrets, HandedUnlocker(held)).data_keys(vault)
        except KeyStoreError:
            return False
        return True

    def _sealer(self, vault: str, of: str) -> Sealer:
        """Return a sealer for ``vault`` with the data key of the vault ``of``."""
        return Sealer(vault, self._keys.data_keys(of))


def statements(role: Role) -> Iterator[tuple[str, str, str]]:
    """Yield interface, label and statement for each attempt against a vault of that role."""
    for kind, name in sorted(set(made(role))):
        for template in OF_FUNCTIONS if kind == "FUNCTION" else OF_TABLES:
            statement = template.replace("{name}", name)
            yield DATABASE, statement, statement
    for template in OF_THE_SERVER:
        yield DATABASE, template, template
    for template in OF_THE_LOG:
        yield LOG, template, template


def made(role: Role) -> Sequence[tuple[str, str]]:
    """Return the kind and name of every table, view and function that the migrations of a vault create."""
    scripts = (
        migrations.script(f"{part}-{number}")
        for part in migrations.VAULT[role]
        for number in range(1, migrations.versions(part) + 1)
    )
    return [found for script in scripts for found in _MADE.findall(script)]


@asynccontextmanager
async def _session(login: Login) -> AsyncIterator[Session]:
    session = await Session.connect(login.address)
    try:
        yield session
    finally:
        session.close()


async def _opens(login: Login) -> bool:
    try:
        async with _session(login):
            return True
    except VaultUnavailable:
        return False


async def _refused(session: Session, statement: str, codes: Sequence[str]) -> tuple[Verdict, str]:
    try:
        await session.run([("BEGIN", ()), (statement, ())])
        return Verdict.LEAKED, "the database did it"
    except VaultRefused as refused:
        if refused.code in codes:
            return Verdict.DENIED, ""
        return Verdict.LEAKED, "the database refused it for another reason than that it is not allowed"
    except UnknownRecord:
        return Verdict.LEAKED, "the database did it"
    except VaultUnavailable:
        return Verdict.UNTRIED, "the database cannot be reached"
    finally:
        if not session.closed:
            await session.run([("ROLLBACK", ())])


async def _reads(shelf: Shelf, body: StoredBody) -> bool:
    try:
        await BodyReader(shelf, body.id, body.size, None).read_all()
    except SealBroken:
        return False
    return True


def _opened(attempt: Callable[[], bytes]) -> bool:
    try:
        attempt()
    except SealBroken:
        return False
    return True


def _unlocks(file: bytes, password: str) -> bool:
    try:
        load_pem_private_key(file, password.encode(), unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError):
        return False
    return True


def _judged(interface: str, operation: str, actor: str, *, leaked: bool) -> Attempt:
    return Attempt(interface, operation, actor, Verdict.LEAKED if leaked else Verdict.DENIED)
