"""No login takes from the others what all logins of the cluster share: locks, transaction ids, log heads.

The attacker has a vault's own login and bypasses our code.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.net.background import in_background
from samdrift.vault import sessionbounds, sessionwatch
from samdrift.vault.database import postgres
from samdrift.vault.database.server import Database
from samdrift.vault.sessionbounds import Bound
from samdrift.vault.sessionwatch import SessionWatch
from tests.cluster import cluster
from tests.separation.test_notify_queue import exchange
from tests.separation.vaultlogin import VaultLogin, superuser, vault_login
from tests.sizes import whole
from tests.vaults import Installation, installed, server_folder, settings_in, until

AP = Role.ACCESS_POINT
SETTING = b"ALTER ROLE CURRENT_USER SET work_mem = '1MB'"
"""A row of the catalogue that a session keeps others from changing."""
OPEN = b"SAVEPOINT a;" + SETTING + b";"
"""A subtransaction that writes, which has a transaction id and a lock on it."""


@pytest_asyncio.fixture
async def attacker(installation: Installation) -> VaultLogin:
    return await vault_login(installation, await installation.organisation([AP]), AP)


@contextlib.asynccontextmanager
async def watched(installation: Installation) -> AsyncIterator[tuple[SessionWatch, list[str]]]:
    """Yield the platform's defence, which runs only when a test calls it, and the reasons that it gave."""
    database, noted = await Database.start(installation.settings), list[str]()
    watch = SessionWatch(database, noted.append)
    try:
        yield watch, noted
    finally:
        await watch._hang_up()
        await database.stop()


@contextlib.contextmanager
def transaction(login: VaultLogin) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Yield a session in a transaction that writes, whose time limits it has lifted."""
    with contextlib.closing(login.connect()) as connection:
        for limit in ("idle_in_transaction_session_timeout", "transaction_timeout", "statement_timeout"):
            connection.execute(f"SET {limit} = 0".encode())
        connection.execute(b"BEGIN; SELECT txid_current()")
        yield connection


def is_open(connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
    try:
        connection.execute(b"SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


async def test_a_session_with_thousands_of_open_subtransactions_is_ended_and_no_other(
    installation: Installation, attacker: VaultLogin, caplog: pytest.LogCaptureFixture
) -> None:
    bystander = await vault_login(installation, await installation.organisation([AP]), AP)
    async with watched(installation) as (watch, noted):
        with transaction(attacker) as taking, transaction(bystander) as innocent:
            taking.execute(OPEN * (sessionbounds.MAX_LOCKS + 1))
            innocent.execute(OPEN * 50)
            with caplog.at_level(logging.ERROR, "samdrift"):
                await watch.look()
            assert (is_open(taking), is_open(innocent)) == (False, True)
        assert (watch.ended, watch.by_bound[Bound.LOCKS]) == (1, 1)
        assert "(ap): a session of its login exceeded the bound 'locks' and was ended" in caplog.text
        assert "exceed a bound (locks)" in noted[-1]


async def test_sessions_of_one_login_that_share_the_locks_among_them_are_ended(
    installation: Installation, attacker: VaultLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessionbounds, "MAX_OF_LOGIN", 300)
    here = SETTING.replace(b"CURRENT_USER", b"CURRENT_USER IN DATABASE " + attacker.database.encode())
    async with watched(installation) as (watch, _):
        with transaction(attacker) as one, transaction(attacker) as other:
            one.execute(OPEN * 200)
            await watch.look()
            assert is_open(one)
            other.execute((b"SAVEPOINT a;" + here + b";") * 200)
            await watch.look()
            assert (is_open(one), is_open(other)) == (False, False)
        assert watch.by_bound == {Bound.LOCKS: 2}


async def test_all_is_in_order_again_a_minute_later(
    installation: Installation, attacker: VaultLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watched(installation) as (watch, noted):
        with transaction(attacker) as taking:
            taking.execute(OPEN * (sessionbounds.MAX_LOCKS + 1))
            await watch.look()
        await watch.look()
        assert noted[-1] != "", "it may come again at once"
        monkeypatch.setattr(sessionwatch, "_QUIET_SECONDS", 0.0)
        await watch.look()
        assert noted[-1] == ""


async def test_who_makes_others_wait_with_an_idle_transaction_is_ended(
    installation: Installation, attacker: VaultLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: hold the head of a log, so that what is to contain the worker waits for it."""
    monkeypatch.setattr(sessionbounds, "IDLE_SECONDS", 0.1)
    async with watched(installation) as (watch, _):
        with transaction(attacker) as holding:
            holding.execute(SETTING)
            await asyncio.sleep(0.2)
            await watch.look()
            assert is_open(holding), "nobody waits for it"
            with contextlib.closing(attacker.connect()) as waiting:
                waits = asyncio.create_task(asyncio.to_thread(waiting.execute, SETTING))
                for _ in range(40):
                    await watch.look()
                    if watch.ended:
                        break
                    await asyncio.sleep(0.05)
                assert watch.by_bound == {Bound.WAITING: 1}
                await waits
            assert not is_open(holding)


async def test_an_old_transaction_that_writes_is_ended_and_a_snapshot_is_not(
    installation: Installation, attacker: VaultLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessionbounds, "MAX_SECONDS", 0.1)
    async with watched(installation) as (watch, _):
        with transaction(attacker) as old, contextlib.closing(attacker.connect()) as snapshot:
            snapshot.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot.execute(b"SELECT 1")
            await asyncio.sleep(0.2)
            await watch.look()
            assert (is_open(old), is_open(snapshot)) == (False, True)


async def test_who_uses_up_transaction_ids_is_found_and_ended(
    installation: Installation, attacker: VaultLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: subtransactions that are rolled back at once, each of which costs the cluster an id."""
    monkeypatch.setattr(sessionbounds, "MAX_IDS", 300.0)
    async with watched(installation) as (watch, _):
        with transaction(attacker) as burning:
            for _ in range(20):
                await watch.look()
                if watch.ended:
                    break
                burning.execute((OPEN + b"ROLLBACK TO a; RELEASE a;") * 500)
        assert watch.by_bound == {Bound.IDS: 1}


async def test_another_systems_login_is_named_and_left_alone(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sessionbounds, "MAX_IDS", 300.0)
    theirs = (await superuser(installation)).connect("")
    async with watched(installation) as (watch, _):
        with theirs as other, caplog.at_level(logging.ERROR, "samdrift"):
            other.execute(b"BEGIN; SELECT txid_current()")
            for _ in range(12):
                await watch.look()
                other.execute((OPEN + b"ROLLBACK TO a; RELEASE a;") * 500)
            assert is_open(other)
        assert (watch.ended, "which is not ours, uses up" in caplog.text) == (0, True)


@whole
async def test_a_login_that_fills_the_lock_table_stops_the_others_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes again at once, over and over, while another organisation exchanges envelopes."""
    monkeypatch.setitem(postgres._CONFIGURATION, "max_locks_per_transaction", "64")
    with server_folder() as folder:
        async with installed(settings_in(folder)) as small:
            attacker = await vault_login(small, await small.organisation([AP]), AP)
            victim = await small.organisation([AP])
            watch = SessionWatch(await Database.start(small.settings))
            stop = asyncio.Event()

            def fill() -> None:
                while not stop.is_set():
                    with contextlib.suppress(psycopg.Error), transaction(attacker) as taking:
                        while not stop.is_set():
                            taking.execute(OPEN * 1000)

            flood = asyncio.create_task(asyncio.to_thread(fill))
            async with in_background(watch.keep(), on_failure=lambda error: None):
                await until(lambda: watch.ended >= 2)
                for _ in range(5):
                    await exchange(small, victim)
            stop.set()
            await flood
    assert "exceeded the bound 'locks'" in caplog.text


@whole
async def test_the_administrator_of_an_operators_own_cluster_can_do_it_too() -> None:
    """The administrator is not a superuser."""
    with server_folder() as folder, cluster(folder / "cluster") as theirs:
        async with installed(theirs.settings()) as installation:
            attacker = await vault_login(installation, await installation.organisation([AP]), AP)
            async with watched(installation) as (watch, _):
                with transaction(attacker) as taking:
                    taking.execute(OPEN * (sessionbounds.MAX_LOCKS + 1))
                    await watch.look()
                    assert not is_open(taking)
