"""Survival: a killed process leaves nothing half done, and a restarted server is reconnected to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.accesspoint.events import APEvent
from samdrift.audit.chain import verify_chain
from samdrift.contracts.principals import Role
from samdrift.vault.database.postgres import EmbeddedPostgres
from samdrift.vault.database.session import Session
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.provision import Provisioner
from samdrift.vault.records import Transfer
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.sizes import count, sampled, seed, soak
from tests.vaults import (
    MINUTE,
    NOW,
    Installation,
    body,
    incoming,
    installed,
    server_folder,
    settings_in,
    submitted,
)

AP = Role.ACCESS_POINT

CHILD = """
import asyncio, os, sys
from pathlib import Path
from samdrift.accesspoint.events import APEvent
from samdrift.vault import moments
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.contracts.principals import Purpose, Role
from tests.vaults import MINUTE, NOW, WORKER, body, outgoing, settings_in

async def main(folder, organisation, size, how):
    if how == "unheard":
        moments._TOGETHER = 3600
    gate = await Gate.start(settings_in(Path(folder)))
    organisation = ParticipantIdentifier(organisation)
    while True:
        async with gate.open(WORKER, organisation, Role.ACCESS_POINT, Purpose.SUBMIT) as vault:
            envelope, data = outgoing(), await body(vault, os.urandom(size))
            if how == "expecting":
                vault.expect()
                vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=envelope.envelope_id)
            await vault.submit(envelope, data, as4_message_id="a@b", now=NOW, lease=MINUTE)
            if how != "expecting":
                vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=envelope.envelope_id)
                await vault.next_due()
            if how == "hang":
                print("inside", flush=True)
                await asyncio.sleep(60)
        print(envelope.envelope_id, flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
"""


@pytest_asyncio.fixture(scope="module")
async def own() -> AsyncIterator[Installation]:
    """Yield an installation whose server may be stopped."""
    with server_folder() as folder:
        async with installed(settings_in(folder)) as running:
            yield running


async def hosted(own: Installation) -> ParticipantIdentifier:
    """Add a new organisation, over a connection that no earlier restart has cut."""
    provisioner = await Provisioner.connect(own.settings)
    try:
        return await replace(own, provisioner=provisioner).organisation([AP])
    finally:
        await provisioner.close()


async def child(
    own: Installation, organisation: ParticipantIdentifier, *how: str
) -> asyncio.subprocess.Process:
    folder = str(own.settings.secrets.parent)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, folder, organisation.value, *how,
        stdout=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


async def stored(
    own: Installation, organisation: ParticipantIdentifier, now: datetime = NOW + 10 * MINUTE
) -> tuple[set[str], set[str]]:
    """Return the envelopes with a readable body in the vault, and those in its unbroken log."""
    async with own.open(organisation, AP) as vault:
        transfers = await vault.claim_transfers(now=now, lease=MINUTE, limit=10_000)
        log = await vault.log(limit=10_000)
        assert verify_chain(log, vault.log_origin).intact
        readers = [await vault.outgoing_body(transfer.id) for transfer in transfers]
    for reader in readers:
        assert len(await reader.read_all()) == reader.size
    queued = {entry.ids["envelope"] for entry in log if entry.event == APEvent.AP_TRANSFER_QUEUED}
    return {transfer.envelope.envelope_id for transfer in transfers}, queued


async def settled(own: Installation, organisation: ParticipantIdentifier) -> tuple[set[str], set[str]]:
    """Return the same, after the server has ended a killed process's requests between two looks."""
    transfers, log = await stored(own, organisation)
    for look in range(2, 600):
        if transfers == log:
            break
        await asyncio.sleep(0.1)
        transfers, log = await stored(own, organisation, NOW + 10 * look * MINUTE)
    return transfers, log


async def test_the_next_start_knows_what_became_due_just_before_a_kill(own: Installation) -> None:
    """The work is stored, but the registry has not been informed."""
    organisation = await hosted(own)
    process = await child(own, organisation, "10", "unheard")
    stored = {await line(process)}
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert organisation not in dict(await own.gate.due(AP, NOW + MINUTE))
    provisioner = await Provisioner.connect(own.settings)
    try:
        await provisioner.install()
    finally:
        await provisioner.close()
    assert organisation in dict(await own.gate.due(AP, NOW + MINUTE))
    transfers, _ = await settled(own, organisation)
    assert transfers >= stored


@pytest.mark.parametrize(
    "size", sampled(["10000", "300000"]), ids=["body in the row", "body in the object store"]
)
async def test_a_process_killed_inside_an_opening_leaves_nothing(own: Installation, size: str) -> None:
    organisation = await hosted(own)
    process = await child(own, organisation, size, "hang")
    assert await line(process) == "inside"
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert await stored(own, organisation) == (set(), set())
    async with own.open(organisation, AP) as vault:
        await asyncio.wait_for(submitted(vault), 60)
    lost = [path for path in Path(own.settings.objects).rglob("*") if path.is_file()]
    assert len(lost) == (size == "300000"), "an object without a row must be left to the sweep"
    for path in lost:
        os.utime(path, (0, 0))
    async with own.open(organisation, AP) as vault:
        assert await vault.sweep() == len(lost)


@soak
@pytest.mark.parametrize(
    ("how", "size"), sampled([("go", "20000"), ("expecting", "20000"), ("expecting", "300000")]), ids=str
)
async def test_a_process_killed_at_any_moment_loses_nothing_that_it_was_told_is_stored(
    own: Installation, how: str, size: str
) -> None:
    """The openings have several round trips, or one that stores, logs and commits."""
    organisation = await hosted(own)
    chance = random.Random(seed(7))
    told: set[str] = set()
    rounds = count(3, 100)
    for _ in range(rounds):
        process = await child(own, organisation, size, how)
        told.add(await line(process))
        await asyncio.sleep(chance.uniform(0, 0.1))
        process.kill()
        output, _ = await process.communicate()
        told.update(output.decode().split("\n")[:-1])
    transfers, log = await settled(own, organisation)
    assert told <= transfers == log
    assert len(transfers) <= len(told) + rounds


async def restart(own: Installation) -> None:
    """Crash the server and start it again."""
    folder = own.settings.database
    assert isinstance(folder, Path)
    server = EmbeddedPostgres(folder, str)
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.control, "stop", "-m", "immediate")
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.stop)


async def test_idle_connections_that_a_restart_cut_are_replaced(own: Installation) -> None:
    organisation = await hosted(own)
    async with own.open(organisation, AP) as vault:
        transfer = await submitted(vault)
    await restart(own)
    async with own.open(organisation, AP) as vault:
        (claimed,) = await vault.claim_transfers(now=NOW, lease=MINUTE, limit=9)
    assert claimed.id == transfer.id


async def test_an_opening_that_a_restart_cut_fails_typed_and_can_be_repeated(own: Installation) -> None:
    organisation = await hosted(own)
    item = incoming()

    async def accept(*, cut: bool) -> bool:
        async with own.open(organisation, AP) as vault:
            accepted = await vault.accept(item, await body(vault, os.urandom(300_000)), b"<r/>", now=NOW)
            if cut:
                await restart(own)
        return accepted

    with pytest.raises(VaultUnavailable):
        await accept(cut=True)
    assert await accept(cut=False)
    async with own.open(organisation, AP) as vault:
        (waiting,) = await vault.inbox(9)
        reader = await vault.incoming_body(waiting.id)
    assert reader is not None
    assert len(await reader.read_all()) == 300_000


async def test_while_the_server_is_down_openings_fail_typed_and_afterwards_they_work(
    own: Installation,
) -> None:
    organisation = await hosted(own)
    folder = own.settings.database
    assert isinstance(folder, Path)
    server = EmbeddedPostgres(folder, str)
    await asyncio.to_thread(server.control, "stop", "-m", "fast")
    for _ in range(3):
        with pytest.raises(VaultUnavailable):
            async with own.open(organisation, AP) as vault:
                await vault.inbox(1)
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.stop)
    async with own.open(organisation, AP) as vault:
        assert await vault.inbox(1) == ()


async def test_a_server_that_was_killed_is_started_again(own: Installation) -> None:
    organisation = await hosted(own)
    async with own.open(organisation, AP) as vault:
        transfer = await submitted(vault)
    folder = own.settings.database
    assert isinstance(folder, Path)
    os.kill(int((folder / "data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    async with asyncio.timeout(60):
        claimed: tuple[Transfer, ...] = ()
        while not claimed:
            with contextlib.suppress(VaultUnavailable):
                async with own.open(organisation, AP) as vault:
                    claimed = await vault.claim_transfers(now=NOW, lease=MINUTE, limit=9)
            await asyncio.sleep(0.05)
    assert [each.id for each in claimed] == [transfer.id]


async def test_wakeups_come_back_after_a_restart(own: Installation) -> None:
    organisation = await hosted(own)
    wakeups = own.gate.wakeups()
    await restart(own)
    async with asyncio.timeout(60):
        while await anext(wakeups) != (organisation, AP):
            pass


async def test_the_commit_of_a_cut_connection_is_reported_as_unknown(
    own: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection breaks during the COMMIT; the caller gets an error, and repeats the work."""
    organisation = await hosted(own)
    run = Session.run

    async def run_then_cut(session: Session, statements: list[tuple[str, tuple[object, ...]]]) -> object:
        answer = await run(session, statements)
        if statements[-1][0] == "COMMIT":
            session.close()
            raise VaultUnavailable
        return answer

    item, large = incoming(), os.urandom(300_000)

    async def accept() -> bool:
        async with own.open(organisation, AP) as vault:
            return await vault.accept(item, await body(vault, large), b"<r/>", now=NOW)

    with monkeypatch.context() as patched:
        patched.setattr(Session, "run", run_then_cut)
        with pytest.raises(VaultUnavailable):
            await accept()
    assert not await accept(), "it was committed, and repeating it must be harmless"
    async with own.open(organisation, AP) as vault:
        (waiting,) = await vault.inbox(9)
        reader = await vault.incoming_body(waiting.id)
    assert reader is not None
    assert await reader.read_all() == large, "a body must be kept if its row may be committed"


# --- a server process that is killed while it is asked --------------------------------------------------

ANSWERED = ("SELECT repeat('x', 200000)", ())
THEN_WORKS = ("DO $$ BEGIN PERFORM 1 FROM generate_series(1, 1e9); END $$", ())


async def killed_while_asked(own: Installation, unread: int, *, deaf: bool) -> None:
    """Send two requests; kill the server after the first, with ``unread`` bytes of the second left.

    With ``deaf``, the answer so far and the end of the connection are noticed at the same moment.
    """
    session, witness = await connected(own), await connected(own)
    asked = asyncio.create_task(session.run([ANSWERED, THEN_WORKS, ("SELECT $1::bytea", (bytes(unread),))]))
    await asyncio.sleep(0)
    if deaf:
        time.sleep(0.3)
    else:
        await asyncio.sleep(0.3)
    os.kill(session.backend, signal.SIGKILL)
    time.sleep(0.3 if deaf else 0)
    async with asyncio.timeout(60):
        with pytest.raises(VaultUnavailable):
            await asked
    assert session.closed
    await ended(witness)  # PostgreSQL ends all other sessions, too, and restarts.


@pytest.mark.parametrize(
    ("unread", "deaf"),
    sampled([(unread, deaf) for unread in (10, 100_000, 5_000_000) for deaf in (False, True)], every=3),
)
async def test_a_killed_server_process_is_noticed_whatever_it_left_unread(
    own: Installation, unread: int, deaf: bool
) -> None:
    await killed_while_asked(own, unread, deaf=deaf)


async def test_connections_after_one_that_was_cut_while_it_was_written_to(own: Installation) -> None:
    """The event loop must not keep anything that it could mistake for the next one with its number."""
    await killed_while_asked(own, 5_000_000, deaf=False)
    async with asyncio.timeout(60):
        await answers(own)
        session = await Session.connect(own.gate._operator.address)
        assert await session.run([("SELECT $1::bytea", (bytes(5_000_000),))]) == [[(bytes(5_000_000),)]]
        session.close()


async def connected(own: Installation) -> Session:
    """Return a connection, as soon as the server has recovered from the last kill."""
    while True:
        with contextlib.suppress(VaultUnavailable):
            return await Session.connect(own.gate._operator.address)
        await asyncio.sleep(0.1)


async def ended(session: Session) -> None:
    """Wait until the server has ended the connection."""
    with contextlib.suppress(VaultUnavailable):
        while True:
            await session.run([("SELECT 1", ())])


async def answers(own: Installation) -> None:
    while True:
        with contextlib.suppress(VaultUnavailable):
            await own.gate.read_operator_log(limit=1)
            return
        await asyncio.sleep(0.1)
