"""A worker's login to the registry: it reads where its vault is, and writes the operator's log.

The attacker has taken over a worker at isolation level `process` and bypasses our code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import psycopg
import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.vault.database.server import Database, HandedDatabase
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.test_database_denies import TABLE_ATTEMPTS, assert_denied, attempt
from tests.separation.vaultlogin import Row, Superuser, VaultLogin, superuser, vault_login
from tests.vaults import Installation, submitted

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE


@dataclass(frozen=True)
class Worker:
    """A worker's login, its own vault, and another one."""

    reader: str
    password: str
    address: str
    mine: VaultLogin
    theirs: VaultLogin
    superuser: Superuser

    def connect(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self.address, autocommit=True)


async def address_of(installation: Installation, reader: str, password: str) -> str:
    database = await Database.start(installation.settings)
    address = database.login(reader, password).address
    await database.stop()
    return address


@pytest_asyncio.fixture
async def worker(installation: Installation, organisation: ParticipantIdentifier) -> Worker:
    mine = await vault_login(installation, organisation, MT)
    theirs = await vault_login(installation, await installation.organisation(), MT)
    reader, password = await installation.provisioner.new_reader(mine.vault)
    address = await address_of(installation, reader, password)
    return Worker(reader, password, address, mine, theirs, await superuser(installation))


@pytest.fixture
def taken(worker: Worker) -> Iterator[psycopg.Connection[Row]]:
    with worker.connect() as connection:
        yield connection


async def test_it_reads_where_its_own_vault_is_and_of_no_other(
    worker: Worker, taken: psycopg.Connection[Row]
) -> None:
    assert attempt(taken, "SELECT vault FROM registrations") == [(worker.mine.vault,)]
    hidden = "SELECT count(*) FROM registrations WHERE vault = '{}' OR channel = '{}'"
    assert attempt(taken, hidden.format(worker.theirs.vault, worker.theirs.channel)) == [(0,)]
    for table in worker.superuser.tables("registry"):
        if not table.endswith("_seq"):
            for template in TABLE_ATTEMPTS:
                assert_denied(taken, template.format(table=f"registry.{table}"), here=True)


async def test_it_reads_when_something_is_due_in_its_own_vault_and_in_no_other(
    worker: Worker, taken: psycopg.Connection[Row]
) -> None:
    worker.superuser.rows("UPDATE registry.moments SET due_at = now()")
    assert attempt(taken, "SELECT vault FROM due_moments('infinity')") == [(worker.mine.vault,)]
    assert_denied(taken, "SELECT registry.due_moments('infinity')", here=True)
    assert_denied(taken, "SELECT * FROM registry.moments", here=True)
    assert_denied(taken, "UPDATE registry.moments SET due_at = NULL")


async def test_it_keeps_when_something_is_due_in_its_own_vault_and_in_no_other(
    worker: Worker, taken: psycopg.Connection[Row]
) -> None:
    names = f"ARRAY['{worker.theirs.vault}', '{worker.mine.vault}']"
    values = f"{names}, ARRAY[1000, 1000]::bigint[], ARRAY['1999-01-01 UTC', '1999-01-01 UTC']::timestamptz[]"
    attempt(taken, f"SELECT keep_moments({values})")
    changed = "SELECT vault FROM registry.moments WHERE due_at = '1999-01-01 UTC'"
    assert worker.superuser.rows(changed) == [(worker.mine.vault,)]
    assert_denied(taken, f"SELECT registry.keep_moments({values})", here=True)


async def test_whoever_listens_on_a_guess_where_notifications_are_sent_hears_nothing(
    worker: Worker, taken: psycopg.Connection[Row], installation: Installation
) -> None:
    """A worker reaches that database, and any login may LISTEN there: a channel's name is as a password."""
    victim = await installation.organisation([AP])
    theirs = await vault_login(installation, victim, AP)
    for guess in (victim.value, theirs.vault, theirs.schema, theirs.login, "*", "wake", "channel"):
        attempt(taken, f'LISTEN "{guess}"')
    with worker.connect() as knowing:
        attempt(knowing, f'LISTEN "{theirs.channel}"')
        async with installation.open(victim, AP) as vault:
            await submitted(vault)
        (heard,) = await asyncio.to_thread(lambda: list(knowing.notifies(timeout=60, stop_after=1)))
    assert (heard.channel, heard.payload) == (theirs.channel, "")
    assert list(taken.notifies(timeout=0.3, stop_after=1)) == []


async def test_nothing_of_a_vault_can_be_touched_also_of_its_own(
    worker: Worker, taken: psycopg.Connection[Row]
) -> None:
    for vault in (worker.mine, worker.theirs):
        for table in worker.superuser.tables(vault.schema):
            if not table.endswith("_seq"):
                assert_denied(taken, f"SELECT * FROM {vault.schema}.{table}")
        for name, arguments in worker.superuser.functions(vault.schema):
            assert_denied(taken, f"SELECT {vault.schema}.{name}({', '.join(['NULL'] * arguments)})")
    for role in (worker.mine.login, worker.theirs.login, worker.mine.owner, "postgres"):
        assert_denied(taken, f'SET ROLE "{role}"')


async def test_the_operators_log_grows_and_is_not_read(
    worker: Worker, taken: psycopg.Connection[Row], installation: Installation
) -> None:
    before = len(await installation.gate.read_operator_log(limit=100_000))
    attempt(taken, "SELECT append_log('{}'::bytea[], '{}'::bigint[], '{}'::int[])")
    assert_denied(taken, "SELECT registry.append_log('{}'::bytea[], '{}'::bigint[], '{}'::int[])")
    assert_denied(taken, "SELECT * FROM registry.log")
    assert_denied(taken, "UPDATE registrations SET vault = vault")
    assert_denied(taken, "DELETE FROM registrations")
    assert len(await installation.gate.read_operator_log(limit=100_000)) == before


async def test_what_it_does_to_its_own_login_stops_no_other(
    worker: Worker, taken: psycopg.Connection[Row], installation: Installation
) -> None:
    """A login that changes its own password and settings affects no other, and the next start replaces it."""
    other = await installation.provisioner.new_reader(worker.theirs.vault)
    attempt(taken, "ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
    attempt(taken, "ALTER ROLE CURRENT_USER PASSWORD 'mine'")
    for reader, password in (other, await installation.provisioner.new_reader(None)):
        address = await address_of(installation, reader, password)
        with psycopg.connect(address, autocommit=True) as connection:
            attempt(connection, "SELECT append_log('{}'::bytea[], '{}'::bigint[], '{}'::int[])")
    await installation.gate.read_operator_log()
    reader, password = await installation.provisioner.new_reader(worker.mine.vault)
    with pytest.raises(psycopg.OperationalError):
        attempt(taken, "SELECT 1")
    psycopg.connect(await address_of(installation, reader, password)).close()


@pytest_asyncio.fixture
async def gate(worker: Worker, installation: Installation) -> AsyncIterator[tuple[Gate, HandedDatabase]]:
    """Yield a gate as a worker has it."""
    database = await Database.start(installation.settings)
    handed = HandedDatabase(database.address, worker.reader, worker.password)
    keys = open_keys(installation.settings)
    gate = await Gate.start(installation.settings, keys=keys, database=handed, only=[worker.mine.vault])
    yield gate, handed
    await gate.close()
    await database.stop()


async def test_a_worker_whose_login_was_dropped_goes_on_with_the_next(
    worker: Worker,
    organisation: ParticipantIdentifier,
    installation: Installation,
    gate: tuple[Gate, HandedDatabase],
) -> None:
    running, handed = gate
    assert [one.vault for one in running.registry.all()] == [worker.mine.vault]
    assert await installation.provisioner.end_readers() >= 1
    assert worker.mine.vault in await installation.gate.without_reader()
    with pytest.raises(VaultUnavailable):
        await running._wakeups.look_again()
    handed.replace_reader(*await installation.provisioner.new_reader(worker.mine.vault))
    assert worker.mine.vault not in await installation.gate.without_reader()
    await running._wakeups.look_again()
    assert [one.vault for one in running.registry.all()] == [worker.mine.vault]
