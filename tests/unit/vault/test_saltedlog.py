"""The second form of a log in the database: choices in old and new logs, also during an upgrade."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from samdrift.accesspoint.events import APEvent
from samdrift.audit.chain import origin, verify_chain
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.events import LogEvent, Retention
from samdrift.audit.leaves import commitment
from samdrift.contracts.principals import Role
from samdrift.messageservice.events import MTEvent
from samdrift.vault.database import migrations
from samdrift.vault.database.migrations import Connection
from samdrift.vault.logbook import append_statement, entry
from samdrift.vault.provision import Provisioner
from tests.separation.vaultlogin import vault_login
from tests.unit.audit.declared import declared
from tests.vaults import NOW, Installation, server_folder, settings_in

_BEFORE = [f"log-{number}" for number in range(1, 4)]
_ALL = "SELECT sequence, content, previous, hash, retention, salt FROM log ORDER BY sequence"


def happening(number: int) -> Happening:
    return Happening(NOW, "ap:transfer:queued", "worker:test", "send", {"envelope": str(number)})


@pytest_asyncio.fixture(scope="module")
async def provisioner() -> AsyncIterator[Provisioner]:
    with server_folder() as folder:
        made = await Provisioner.connect(settings_in(Path(folder)))
        try:
            await made.install()
            yield made
        finally:
            await made.close()


@asynccontextmanager
async def connected(provisioner: Provisioner, schema: str) -> AsyncIterator[Connection]:
    connection = await provisioner.database.administrators_connection()
    try:
        await connection.set_autocommit(True)
        await connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def log_of_0_1(provisioner: Provisioner, schema: str, entries: int) -> AsyncIterator[Connection]:
    """Make a log with some entries as version 0.1 did."""
    async with connected(provisioner, schema) as connection:
        await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        for name in _BEFORE:
            await connection.execute(migrations.script(name).encode())
        begun = "INSERT INTO log_head (sequence, hash, channel) VALUES (0, %s, 'c')"
        await connection.execute(begun, (origin(schema).hash,))
        await append(connection, entries)
        yield connection


async def append(connection: Connection, entries: int) -> None:
    for number in range(entries):
        _, values = append_statement([happening(number)])
        await connection.execute("SELECT append_log(%s::bytea[], %s::bigint[], %s::int[])", values)


async def upgrade(connection: Connection) -> None:
    for part in ("salted-log-1", "retention-1"):
        await connection.execute(migrations.script(part).encode())


async def all_of(connection: Connection) -> list[LogEntry]:
    return [entry(row) for row in await (await connection.execute(_ALL)).fetchall()]


async def test_an_old_log_goes_on_with_its_numbers_and_names_its_head(provisioner: Provisioner) -> None:
    async with log_of_0_1(provisioner, "goeson", 7) as connection:
        await upgrade(connection)
        await append(connection, 3)
        entries = await all_of(connection)
    assert [one.sequence for one in entries] == list(range(1, 12))
    assert entries[7].ids == {"entries": "7", "head": entries[6].hash.hex()}
    assert [one.leaf is None for one in entries] == [True] * 7 + [False] * 4
    verdict = verify_chain(entries, origin("goeson"))
    assert (verdict.intact, verdict.head.size) == (True, 4)


async def test_salts_are_random_and_commitments_are_to_salt_and_facts(provisioner: Provisioner) -> None:
    async with log_of_0_1(provisioner, "salts", 0) as connection:
        await upgrade(connection)
        await append(connection, 200)
        entries = await all_of(connection)
    salts = [one.salt for one in entries]
    assert {len(salt) for salt in salts} == {16}
    assert len(set(salts)) == len(salts)
    for place in range(16):
        assert len({salt[place] for salt in salts}) > 64, (
            "every byte must be random, also where a UUID is fixed"
        )
    assert all(one.hash == commitment(one.salt, one.happening.content()) for one in entries)


async def test_an_append_that_waited_for_the_upgrade_is_in_the_second_form(provisioner: Provisioner) -> None:
    """It began with the former function's text, which the upgrade does not change during the call."""
    async with (
        log_of_0_1(provisioner, "waited", 3) as administrator,
        connected(provisioner, "waited") as first,
        connected(provisioner, "waited") as second,
    ):
        for each in (first, second):
            await append(each, 1)  # Both sessions have compiled the former function.
        waiting = []
        async with administrator.transaction():
            await administrator.execute("LOCK TABLE log_head IN ACCESS EXCLUSIVE MODE")
            waiting = [asyncio.create_task(append(each, 2)) for each in (first, second)]
            await _blocked(administrator, 2)
            await upgrade(administrator)
        await asyncio.gather(*waiting)
        await append(first, 1)
        entries = await all_of(administrator)
    assert len(entries) == 3 + 2 + 1 + 4 + 1
    assert [one.leaf is None for one in entries] == [True] * 5 + [False] * 6
    assert verify_chain(entries, origin("waited")).intact


async def _blocked(connection: Connection, number: int) -> None:
    """Wait until ``number`` sessions wait for a lock."""
    async with asyncio.timeout(60):
        while True:
            found = await connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if await found.fetchone() == (number,):
                return
            await asyncio.sleep(0.01)


async def test_two_that_append_at_once_make_one_log(provisioner: Provisioner) -> None:
    async with (
        log_of_0_1(provisioner, "atonce", 1) as connection,
        connected(provisioner, "atonce") as first,
        connected(provisioner, "atonce") as second,
    ):
        await upgrade(connection)
        await asyncio.gather(append(first, 100), append(second, 100))
        entries = await all_of(connection)
    assert len(entries) == 202
    assert verify_chain(entries, origin("atonce")).intact


async def test_facts_and_salts_can_be_disposed_of_and_the_tree_stays(provisioner: Provisioner) -> None:
    async with log_of_0_1(provisioner, "disposed", 0) as connection:
        await upgrade(connection)
        await append(connection, 5)
        before = await all_of(connection)
        await connection.execute(
            "UPDATE log SET content = NULL, salt = NULL, traces = '{}' WHERE sequence = 3"
        )
        left = await connection.execute("SELECT sequence, retention, hash FROM log WHERE sequence = 3")
        row = await left.fetchone()
    assert row is not None
    bare = before[2].leaf
    assert bare is not None
    assert row == (bare.sequence, bare.retention, bare.commitment)


async def test_the_database_gives_each_event_its_class(provisioner: Provisioner) -> None:
    """The facts do not matter, and anything that is not an entry is kept like a decision."""
    async with log_of_0_1(provisioner, "classes", 0) as connection:
        await upgrade(connection)
        for event in declared():
            content = Happening(NOW, event, "log:", "log:", {"event": '"event":"log:tree:begun"'}).content()
            found = await connection.execute("SELECT _retention(_event(%s))", (content,))
            assert await found.fetchone() == (event.retention,), event
        for content in (b"", b"{}", b"\xff" * 200, happening(1).content()[:50]):
            found = await connection.execute("SELECT _retention(_event(%s))", (content,))
            assert await found.fetchone() == (Retention.ADMINISTRATION,)
    assert MTEvent.MT_MESSAGE_READ.retention is Retention.READING
    assert APEvent.AP_TRANSFER_DELIVERED.retention is Retention.TRANSFER
    assert LogEvent.LOG_TREE_BEGUN.retention is Retention.LOG


@pytest.mark.parametrize("role", list(Role))
async def test_the_vaults_own_login_chooses_nothing_of_an_entry(
    installation: Installation, role: Role
) -> None:
    """It chooses neither number, class, salt and commitment, nor the existence of another entry."""
    organisation = await installation.organisation([role])
    login = await vault_login(installation, organisation, role)
    content = happening(1).content()
    async with await psycopg.AsyncConnection.connect(login.address, autocommit=True) as connection:
        await connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(login.schema)))
        for statement in (
            "INSERT INTO log (sequence, content, previous, hash, traces, retention, salt)"
            " VALUES (2, 'x', '', 'x', '{}', 2, 'x')",
            "INSERT INTO log (sequence, content, previous, hash, traces) VALUES (2, 'x', '', 'x', '{}')",
            "UPDATE log SET salt = salt",
            "UPDATE log SET content = NULL, salt = NULL",
            "UPDATE log SET retention = 2",
            "UPDATE log_head SET first = 2",
            "DELETE FROM log",
            "SELECT _begin_tree()",
            "SELECT _salt()",
            "SELECT _retention('x')",
            "DROP TRIGGER salted ON log",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.encode())
        await connection.execute("SELECT append_log(ARRAY[%s::bytea], '{}', '{0}')", (content,))
        found = await connection.execute("SELECT sequence, retention, octet_length(salt) FROM log")
        assert (await found.fetchall())[-1] == (2, 1, 16)
