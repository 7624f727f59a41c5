"""A start leaves alone what is in order, and finds everything that is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from samdrift.administration.administration import provisioning
from samdrift.contracts.principals import Role
from samdrift.vault.database.migrations import Connection
from samdrift.vault.errors import VaultRefused
from samdrift.vault.inorder import Hosted, out_of_order
from samdrift.vault.provision import Provisioner
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.cheapness import commands_of_the_product
from tests.separation.vaultlogin import superuser, vault_login
from tests.sizes import sampled
from tests.vaults import Installation, until

AP = Role.ACCESS_POINT
ROLES = (AP,)
_NOTED = "SELECT FROM registry.versions WHERE part = 'all reached'"
HARM = {
    "a right of the login's is gone": "REVOKE SELECT ON {schema}.log FROM {login}",
    "a function cannot be run": "REVOKE EXECUTE ON FUNCTION {schema}.append_log FROM {login}",
    "everybody may run a function": "GRANT EXECUTE ON FUNCTION {schema}.append_log TO PUBLIC",
    "the login may run the vault's own code": "GRANT EXECUTE ON FUNCTION {schema}._wake TO {login}",
    "everybody may read a table": "GRANT SELECT ON {schema}.log TO PUBLIC",
    "the login may write a table": "GRANT INSERT ON {schema}.log TO {login}",
    "everybody may look into the schema": "GRANT USAGE ON SCHEMA {schema} TO PUBLIC",
    "the login may make tables": "GRANT CREATE ON SCHEMA {schema} TO {login}",
    "the login is shut out": "ALTER ROLE {login} NOLOGIN",
    "the login has more connections": "ALTER ROLE {login} CONNECTION LIMIT 1000",
    "a setting of the login's is another": "ALTER ROLE {login} SET statement_timeout = '1h'",
    "a setting of the login's is gone": "ALTER ROLE {login} RESET lock_timeout",
    "the login has a setting of its own": "ALTER ROLE {login} SET enable_sort = off",
    "it has one in this database": "ALTER ROLE {login} IN DATABASE {database} SET enable_sort = off",
    "it has one in another database": "ALTER ROLE {login} IN DATABASE postgres SET enable_sort = off",
    "the login may not connect": "REVOKE CONNECT ON DATABASE {database} FROM {login}",
    "the login is in no group": "REVOKE samdrift_vaults_postgres FROM {login}",
    "version 0.1 wrote its own number": "UPDATE {schema}.versions SET version = 2 WHERE part = 'accesspoint'",
    "a part is unknown": "DELETE FROM {schema}.versions WHERE part = 'accesspoint-moment'",
    "a migration was not made": "DELETE FROM {schema}.versions WHERE part LIKE 'wakeups%'",
}
NOT_MENDED = ("a migration was not made",)
"""Findings that a start cannot repair, because the part exists."""


async def test_what_is_in_order_is_left_alone(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    login = await vault_login(installation, organisation, AP)
    found = await out_of_order(installation.provisioner._connection, installation.provisioner.database)
    assert login.schema not in [each.schema for each in found]


async def test_also_with_another_login(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await installation.provisioner.rotate_login(organisation, AP)
    login = await vault_login(installation, organisation, AP)
    found = await out_of_order(installation.provisioner._connection, installation.provisioner.database)
    assert login.schema not in [each.schema for each in found]


async def starts(provisioner: Provisioner) -> bool:
    """Bring all vaults up to date, as a start does; return whether the database let it."""
    try:
        await provisioner.install()
    except VaultRefused:
        return False
    return True


@pytest.mark.parametrize("harm", sampled(HARM, *NOT_MENDED))
async def test_what_is_not_in_order_is_found(
    installation: Installation, organisation: ParticipantIdentifier, harm: str
) -> None:
    login = await vault_login(installation, organisation, AP)
    administrator = await superuser(installation)
    names = {"schema": login.schema, "login": login.login, "database": login.database}
    with administrator.connect(login.schema) as connection:
        connection.execute(HARM[harm].format(**names).encode())
    provisioner = installation.provisioner
    found = await out_of_order(provisioner._connection, provisioner.database)
    assert (login.schema, login.login) in [(each.schema, each.login) for each in found]
    if harm not in NOT_MENDED:
        assert await starts(provisioner), "a start must not fail on what exists already"
        found = await out_of_order(provisioner._connection, provisioner.database)
        assert login.schema not in [each.schema for each in found]
    await provisioner.drop(organisation, AP)


async def test_a_database_that_is_missing_is_said_and_keeps_no_other_from_starting(
    installation: Installation, organisation: ParticipantIdentifier, caplog: pytest.LogCaptureFixture
) -> None:
    """Only some databases may have been restored."""
    login, administrator = await vault_login(installation, organisation, AP), await superuser(installation)
    away, back = (f"ALTER DATABASE {login.database} ALLOW_CONNECTIONS {may}" for may in ("false", "true"))
    administrator.rows(away)
    try:
        caplog.clear()
        await installation.provisioner.install()
        found = await out_of_order(installation.provisioner._connection, installation.provisioner.database)
    finally:
        administrator.rows(back)
    assert [record.args for record in caplog.records if record.args] == [(login.database,)]
    assert login.schema in [each.schema for each in found]
    assert administrator.rows(_NOTED) == [], "commands must check the vaults until the database is back"
    await installation.provisioner.drop(organisation, AP)


@pytest_asyncio.fixture
async def out_of_place(
    installation: Installation, organisation: ParticipantIdentifier
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Remove a right from a vault, while a process serves that has put everything in order.

    Yields a check that finds the vault.
    """
    login, administrator = await vault_login(installation, organisation, AP), await superuser(installation)
    provisioner = installation.provisioner
    await provisioner.install()
    administrator.rows("INSERT INTO registry.lessees VALUES ('here', '{ap}', now() + '1 h')")
    with administrator.connect(login.schema) as connection:
        connection.execute(f"REVOKE SELECT ON {login.schema}.log FROM {login.login}".encode())

    async def is_so() -> bool:
        found = await out_of_order(provisioner._connection, provisioner.database)
        return login.schema in [each.schema for each in found]

    yield is_so
    administrator.rows("DELETE FROM registry.lessees WHERE process = 'here'")
    await provisioner.install()


async def test_a_command_looks_into_no_vault_beside_a_process_that_has(
    installation: Installation, out_of_place: Callable[[], Awaitable[bool]]
) -> None:
    """With hundreds of organisations, each command would otherwise take seconds to start."""
    await installation.provisioner.install(beside_others=True)
    assert await out_of_place()


@pytest.mark.parametrize(
    "otherwise",
    [
        "UPDATE registry.lessees SET until = now() WHERE process = 'here'",
        "UPDATE registry.versions SET version = version - 1 WHERE part = 'all reached'",
        "DELETE FROM registry.versions WHERE part = 'all reached'",
    ],
    ids=["nothing serves", "an earlier program serves", "a start has found a database missing"],
)
async def test_a_command_puts_vaults_in_order_where_no_start_of_its_version_has(
    installation: Installation, out_of_place: Callable[[], Awaitable[bool]], otherwise: str
) -> None:
    (await superuser(installation)).rows(otherwise)
    await installation.provisioner.install(beside_others=True)
    assert not await out_of_place()


async def test_a_command_begins_by_putting_in_order_what_is_not(
    installation: Installation, out_of_place: Callable[[], Awaitable[bool]]
) -> None:
    (await superuser(installation)).rows("DELETE FROM registry.lessees WHERE process = 'here'")
    async with provisioning(installation.settings):
        assert await out_of_place(), "commands in tests must skip the check unless a test asks for it"
    with commands_of_the_product():
        async with provisioning(installation.settings):
            assert not await out_of_place()


async def test_what_a_restored_database_lets_everybody_do_is_taken_away(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    login, administrator = await vault_login(installation, organisation, AP), await superuser(installation)
    administrator.rows(f"GRANT CONNECT, TEMPORARY ON DATABASE {login.database} TO PUBLIC")
    await installation.provisioner.install()
    question = "SELECT has_database_privilege('public', %s, 'CONNECT, TEMPORARY')"
    assert administrator.rows(question, login.database) == [(False,)]


async def test_a_migration_that_traffic_gets_in_the_way_of_is_begun_anew(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds a table that the other wants, and the database ends the migration's transaction."""
    provisioner = installation.provisioner
    login = await vault_login(installation, organisation, AP)
    traffic = await provisioner.database.administrators_connection(login.database)
    await traffic.execute("SET deadlock_timeout = '1h'")
    mended, begun = Provisioner.mend, 0

    async def entangled(self: Provisioner, inside: Connection, vault: Hosted) -> None:
        nonlocal begun
        if vault.schema == login.schema:
            begun += 1
            if begun == 1:
                await inside.execute(f"LOCK TABLE {vault.schema}.transfers".encode())
                wanted = f"LOCK TABLE {vault.schema}.transfers".encode()
                waiting = asyncio.create_task(traffic.execute(wanted))
                await _waits(inside)
                try:
                    await inside.execute(f"LOCK TABLE {vault.schema}.incoming".encode())
                finally:
                    ended.append(waiting)
        await mended(self, inside, vault)

    ended: list[asyncio.Task[object]] = []
    monkeypatch.setattr(Provisioner, "mend", entangled)
    administrator = await superuser(installation)
    with administrator.connect(login.schema) as connection:
        connection.execute(f"REVOKE SELECT ON {login.schema}.log FROM {login.login}".encode())
    async with traffic.transaction():
        await traffic.execute(f"LOCK TABLE {login.schema}.incoming".encode())
        putting = asyncio.create_task(provisioner.install())
        await until(lambda: bool(ended))
        await ended[0]
    await putting
    await traffic.close()
    assert begun == 2
    found = await out_of_order(provisioner._connection, provisioner.database)
    assert login.schema not in [each.schema for each in found]


async def _waits(inside: Connection) -> None:
    """Wait until a session waits for a lock."""
    async with asyncio.timeout(120):
        while not await (await inside.execute("SELECT FROM pg_locks WHERE NOT granted")).fetchall():
            await asyncio.sleep(0.01)
