"""The registry's login, which every process has, opens no vault and changes nothing in the registry.

Nothing here goes through the gate. The attacker has that login, and knows every name in the vault, most of
which the registry reveals.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from tests.separation.test_database_denies import (
    FEWEST_TABLES,
    OUTSIDE,
    TABLE_ATTEMPTS,
    assert_denied,
    attempt,
)
from tests.separation.vaultlogin import Row, Superuser, VaultLogin, registry_login, superuser, vault_login
from tests.vaults import Installation, submitted

OWN_LOG = {
    "append_log",
    "keep_answer",
    "keep_checkpoint",
    "keep_log_key",
    "keep_log_statement",
    "keep_refusal",
    "keep_silence",
    "keep_stamp",
    "pause_log",
    "resolve_refusal",
}
"""Functions with which the registry's login writes and signs the operator's log."""
MOMENTS = {"due_moments", "keep_moments"}
"""Functions with which it reads and stores the times at which work becomes due in the vaults."""

LEASES = {"end_leases", "renew_leases"}
"""Functions with which it handles leases for background work: process names and partition numbers."""


@pytest_asyncio.fixture(scope="module")
async def administrator(installation: Installation) -> Superuser:
    return await superuser(installation)


@pytest_asyncio.fixture(scope="module")
async def stolen(installation: Installation) -> tuple[VaultLogin, ...]:
    """Return everything there is to know about a vault in each role."""
    organisation = await installation.organisation()
    async with installation.open(organisation, Role.ACCESS_POINT) as transfers:
        await submitted(transfers)
    return tuple([await vault_login(installation, organisation, role) for role in Role])


@pytest_asyncio.fixture(scope="module")
async def registry(installation: Installation) -> AsyncIterator[psycopg.Connection[Row]]:
    with psycopg.connect(await registry_login(installation), autocommit=True) as connection:
        yield connection


def user(registry: psycopg.Connection[Row]) -> str:
    return registry.info.user


async def test_nothing_of_a_vault_can_be_touched(
    registry: psycopg.Connection[Row], stolen: tuple[VaultLogin, ...], administrator: Superuser
) -> None:
    for role, vault in zip(Role, stolen, strict=True):
        tables = [table for table in administrator.tables(vault.schema) if not table.endswith("_seq")]
        assert len(tables) >= FEWEST_TABLES[role]
        before = administrator.snapshot(vault.schema)
        for table in tables:
            for template in TABLE_ATTEMPTS:
                assert_denied(registry, template.format(table=f"{vault.schema}.{table}"))
        for name, arguments in administrator.functions(vault.schema):
            assert_denied(registry, f"SELECT {vault.schema}.{name}({', '.join(['NULL'] * arguments)})")
        assert administrator.snapshot(vault.schema) == before


async def test_nobody_else_can_be_become(
    registry: psycopg.Connection[Row], stolen: tuple[VaultLogin, ...], administrator: Superuser
) -> None:
    roles = {name for (name,) in administrator.rows("SELECT rolname FROM pg_roles")} - {user(registry)}
    assert {"postgres", *(name for vault in stolen for name in (vault.login, vault.owner))} <= roles
    for role in roles:
        assert_denied(registry, f'SET ROLE "{role}"')
        assert_denied(registry, f'SET SESSION AUTHORIZATION "{role}"')


@pytest.mark.parametrize("statement", OUTSIDE)
async def test_nothing_can_be_made_changed_or_asked(
    registry: psycopg.Connection[Row], stolen: tuple[VaultLogin, ...], statement: str
) -> None:
    for vault in stolen:
        names = {"theirs": vault.schema, "their_login": vault.login, "my_owner": vault.owner}
        assert_denied(registry, statement.format(mine="registry", my_login=user(registry), **names))


async def test_no_catalog_can_be_listed(registry: psycopg.Connection[Row], administrator: Superuser) -> None:
    catalogs = administrator.rows(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v')"
        " AND relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
    )
    assert len(catalogs) > 150
    for (catalog,) in catalogs:
        assert_denied(registry, f"SELECT 1 FROM {catalog} LIMIT 1", here=True)


async def test_the_registry_is_read_and_its_log_grows_and_nothing_else(
    registry: psycopg.Connection[Row], administrator: Superuser
) -> None:
    tables = [table for table in administrator.tables("registry") if not table.endswith("_seq")]
    for table in tables:
        attempt(registry, f"SELECT 1 FROM registry.{table}")
        column = administrator.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND attidentity = '' AND NOT attisdropped ORDER BY attnum LIMIT 1",
            f"registry.{table}",
        )[0][0]
        for statement in (
            "INSERT INTO registry.{table} DEFAULT VALUES",
            "UPDATE registry.{table} SET {column} = {column}",
            "DELETE FROM registry.{table}",
            "TRUNCATE registry.{table}",
        ):
            assert_denied(registry, statement.format(table=table, column=column), here=True)
    for name, arguments in administrator.functions("registry"):
        if name not in OWN_LOG | MOMENTS | LEASES:
            assert_denied(registry, f"SELECT registry.{name}({', '.join(['NULL'] * arguments)})")


async def test_what_the_registry_tells_opens_no_vault(
    registry: psycopg.Connection[Row], stolen: tuple[VaultLogin, ...]
) -> None:
    """Passwords in the registry are sealed, each with a key that the registry's login does not have."""
    for vault in stolen:
        ((secret,),) = attempt(registry, f"SELECT secret FROM registrations WHERE vault = '{vault.vault}'")
        for guess in (secret.hex(), secret.decode("latin-1").replace("\0", "")):
            with pytest.raises(psycopg.OperationalError):
                vault.connect(password=guess)
    assert len({secret for (secret,) in attempt(registry, "SELECT secret FROM registrations")}) > 1
