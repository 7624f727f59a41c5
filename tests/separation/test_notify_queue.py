"""All organisations share the cluster's notification queue: filling it must not stop another organisation.

The attacker has a vault's own login and bypasses our code: it listens in a transaction that it leaves
open, and notifies until the queue is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg.errors import Diagnostic

from samdrift.contracts.principals import Role
from samdrift.vault import notifyqueue, wakeups
from samdrift.vault.database import postgres
from samdrift.vault.database.migrations import hardening_for
from samdrift.vault.database.server import Database
from samdrift.vault.database.session import Session
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.notifyqueue import NotifyQueue
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.cluster import ADMINISTRATOR, cluster
from tests.separation.vaultlogin import VaultLogin, superuser, vault_login
from tests.sizes import whole
from tests.vaults import (
    NOW,
    Installation,
    body,
    incoming,
    installed,
    server_folder,
    settings_in,
    submitted,
    until,
)

AP = Role.ACCESS_POINT
SMALLEST = "64"
"""Pages of the queue; an attacker would need minutes to fill the default size."""
EMPTY = 0.1
"""Usage of an empty queue at most: the page for the next notification counts as used."""


@pytest_asyncio.fixture(scope="module")
async def small() -> AsyncIterator[Installation]:
    """Yield an installation on a server with the smallest possible queue."""
    with pytest.MonkeyPatch.context() as patched, server_folder() as folder:
        patched.setitem(postgres._CONFIGURATION, "max_notify_queue_pages", SMALLEST)
        async with installed(settings_in(folder)) as running:
            yield running


@pytest_asyncio.fixture
async def attacker(small: Installation) -> VaultLogin:
    return await vault_login(small, await small.organisation([AP]), AP)


@pytest_asyncio.fixture
async def queue(small: Installation) -> AsyncIterator[NotifyQueue]:
    """Yield the platform's defence, which runs only when a test calls it."""
    database = await Database.start(small.settings)
    made = NotifyQueue(database)
    yield made
    await made._hang_up()
    await database.stop()


@contextlib.contextmanager
def holding(login: VaultLogin) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Yield a session that listens, and that blocks the tail of the queue by an open transaction."""
    connection = login.connect()
    connection.execute(b"LISTEN mine")
    connection.execute(b"SET idle_in_transaction_session_timeout = 0")
    connection.execute(b"BEGIN")
    connection.execute(b"SELECT 1")
    try:
        yield connection
    finally:
        connection.close()


def fill(login: VaultLogin) -> None:
    """Notify until the queue is full."""
    with login.connect() as flooding:
        for _ in range(1000):
            try:
                flooding.execute(b"SELECT pg_notify('noise', repeat('x', 7900) || random())")
            except psycopg.errors.ProgramLimitExceeded:
                return
    raise AssertionError("the queue takes everything")


async def exchanges(installation: Installation, organisation: ParticipantIdentifier) -> bool:
    """Return whether an organisation can still exchange envelopes."""
    try:
        await exchange(installation, organisation)
    except VaultError:
        return False
    return True


async def exchange(installation: Installation, organisation: ParticipantIdentifier) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    async with installation.open(organisation, AP) as vault:
        assert await vault.accept(incoming(), await body(vault), b"<receipt/>", now=NOW)
    async with installation.open(organisation, AP) as vault:
        (sent,) = await vault.claim_transfers(now=NOW, lease=NOW - NOW, limit=5)
        assert await vault.delivered(sent.id, now=NOW, receipt=b"<receipt/>", peer="AP0002")


async def comes(condition: Callable[[], bool]) -> bool:
    """Return whether the condition becomes true in time."""
    try:
        await until(condition)
    except TimeoutError:
        return False
    return True


async def test_a_full_queue_of_notifications_stops_nobody_also_after_the_attacker_has_gone(
    small: Installation, attacker: VaultLogin, queue: NotifyQueue, caplog: pytest.LogCaptureFixture
) -> None:
    victim = await small.organisation([AP])
    failed = small.gate.failed_notifications
    with caplog.at_level(logging.WARNING, "samdrift"):
        with holding(attacker):
            fill(attacker)
            assert await exchanges(small, victim)
        assert await exchanges(small, victim)
        await until(lambda: small.gate.failed_notifications > failed)
    assert "notifications cannot be sent now" in caplog.text
    await queue.look()
    assert queue.usage < EMPTY
    assert queue.ended == 0, "no session blocked the queue any more, so none may be ended"


async def test_an_organisation_that_is_added_meanwhile_is_served(
    small: Installation, attacker: VaultLogin, queue: NotifyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes re-read the registry periodically, even without a notification that it changed."""
    monkeypatch.setattr(wakeups, "_LOOK_SECONDS", 0.1)
    gate = await Gate.start(small.settings)
    added = ParticipantIdentifier.parse("0203:tillagd.se")
    try:
        with holding(attacker):
            fill(attacker)
            await small.provisioner.add_organisation(added, [AP])
            assert await comes(lambda: gate.registry.serves(added, AP))
            await small.provisioner.set_state(added, AP, RegistrationState.SUSPENDED)
            assert await comes(lambda: not gate.registry.serves(added, AP))
    finally:
        await gate.close()
    await queue.look()


async def test_what_was_not_notified_is_once_the_queue_moves(
    small: Installation, attacker: VaultLogin, queue: NotifyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pending notifications are retried repeatedly, and these attempts may receive the server's warnings."""
    monkeypatch.setattr(notifyqueue, "_LONG_SECONDS", 0.1)
    organisation = await small.organisation([AP])
    other = await Gate.start(small.settings)
    heard: set[object] = set()

    async def listen() -> None:
        async for hosted in other.wakeups():
            heard.add(hosted)

    listening = asyncio.create_task(listen())
    try:
        with holding(attacker):
            fill(attacker)
            async with small.open(organisation, AP) as vault:
                await submitted(vault)
            await asyncio.sleep(0.2)
            assert (organisation, AP) not in heard
            await queue.look()
            assert await comes(lambda: (organisation, AP) in heard)
    finally:
        listening.cancel()
        await other.close()


async def test_a_session_of_ours_that_holds_the_queue_is_ended_and_no_other(
    small: Installation, attacker: VaultLogin, queue: NotifyQueue, caplog: pytest.LogCaptureFixture
) -> None:
    bystander = await vault_login(small, await small.organisation([AP]), AP)
    with holding(attacker) as holder, bystander.connect() as innocent:
        innocent.execute(b"BEGIN")
        innocent.execute(b"SELECT 1")
        fill(attacker)
        with caplog.at_level(logging.WARNING, "samdrift"):
            await queue.look()
        assert (queue.ended, queue.usage < EMPTY) == (1, True)
        with pytest.raises(psycopg.OperationalError):
            holder.execute(b"SELECT 1")
        innocent.execute(b"SELECT 1")
    assert "ended one of our sessions that blocked the notification queue, 100 % full" in caplog.text


@whole
async def test_a_session_that_is_only_slow_to_read_is_not_ended(
    small: Installation, attacker: VaultLogin, queue: NotifyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among sessions that are equally far behind, the server may name any of them."""
    bystander = await vault_login(small, await small.organisation([AP]), AP)
    hear = NotifyQueue._hear
    with holding(attacker) as holder, bystander.connect() as slow:
        slow.execute(b"LISTEN mine")
        named = iter([slow.info.backend_pid])

        def hear_slow_first(queue: NotifyQueue, notice: Diagnostic) -> None:
            hear(queue, notice)
            queue._holder = next(named, queue._holder)

        monkeypatch.setattr(NotifyQueue, "_hear", hear_slow_first)
        monkeypatch.setattr(notifyqueue, "_TRIES", 120)
        fill(attacker)
        await queue.look()
        assert (queue.ended, queue.usage < EMPTY) == (1, True)
        with pytest.raises(psycopg.OperationalError):
            holder.execute(b"SELECT 1")
        slow.execute(b"SELECT 1")


async def test_who_takes_the_servers_warnings_away_is_found_by_its_long_transaction(
    small: Installation, attacker: VaultLogin, queue: NotifyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifyqueue, "_LONG_SECONDS", 0.1)
    monkeypatch.setattr(NotifyQueue, "_hear", lambda queue, notice: None)
    monkeypatch.setattr(notifyqueue, "_TRIES", 2)
    with holding(attacker) as holder:
        fill(attacker)
        await asyncio.sleep(0.2)
        await queue.look()
        assert (queue.ended, queue.usage < EMPTY) == (1, True)
        with pytest.raises(psycopg.OperationalError):
            holder.execute(b"SELECT 1")


async def test_a_session_that_does_not_read_is_found_too(
    small: Installation, attacker: VaultLogin, queue: NotifyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session has no open transaction: the server is waiting for it to read its data."""
    monkeypatch.setattr(notifyqueue, "_LONG_SECONDS", 0.1)
    monkeypatch.setattr(NotifyQueue, "_hear", lambda queue, notice: None)
    monkeypatch.setattr(notifyqueue, "_TRIES", 2)
    with attacker.connect() as deaf:
        deaf.execute(b"LISTEN noise")
        fill(attacker)
        await asyncio.sleep(0.2)
        await queue.look()
        assert (queue.ended, queue.usage < EMPTY) == (1, True)


async def test_a_session_of_somebody_else_is_named_and_left_alone(
    small: Installation, attacker: VaultLogin, queue: NotifyQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """In a cluster shared with other systems, only the administrator may end their sessions."""
    administrator = await superuser(small)
    name = f"elsewhere{uuid4().hex[:8]}"
    administrator.rows(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'theirs'")
    stranger = VaultLogin(
        "", "", name, "", psycopg.conninfo.make_conninfo(attacker.address, user=name, password="theirs")
    )
    with holding(stranger) as holder:
        fill(attacker)
        with caplog.at_level(logging.WARNING, "samdrift"):
            await queue.look()
        assert (queue.others, queue.ended) == ({name}, 0)
        assert f"a session of the login {name} blocks the notification queue" in caplog.text
        holder.execute(b"SELECT 1")
    await queue.look()
    assert (queue.others, queue.usage < EMPTY) == (set(), True)


async def test_a_commit_that_notifies_is_refused_for_now_and_not_for_good(
    small: Installation, attacker: VaultLogin, queue: NotifyQueue
) -> None:
    """Should a transaction notify where it stores after all, the client gets 503 rather than 500."""
    with holding(attacker):
        fill(attacker)
        session = await Session.connect(attacker.address)
        with pytest.raises(VaultError) as caught:
            await session.run([("BEGIN", ()), ("SELECT pg_notify('a', '')", ()), ("COMMIT", ())])
        assert isinstance(caught.value, VaultUnavailable)
        session.close()
    await queue.look()


@whole
async def test_the_administrator_of_an_operators_own_cluster_can_do_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The administrator is not a superuser, and the cluster may be hardened or not."""
    monkeypatch.setitem(postgres._CONFIGURATION, "max_notify_queue_pages", SMALLEST)
    monkeypatch.setattr(notifyqueue, "_LONG_SECONDS", 0.1)
    with server_folder() as folder, cluster(folder / "cluster") as theirs:
        async with installed(theirs.settings()) as installation:
            attacker = await vault_login(installation, await installation.organisation([AP]), AP)
            queue = NotifyQueue(await Database.start(installation.settings))
            for ended in (1, 2):
                with holding(attacker):
                    fill(attacker)
                    await asyncio.sleep(0.2)
                    await queue.look()
                    assert (queue.ended, queue.usage < EMPTY) == (ended, True)
                theirs.superuser(hardening_for(ADMINISTRATOR))
            await queue._hang_up()
