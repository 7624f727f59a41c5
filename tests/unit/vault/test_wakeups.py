"""Wake-ups: changes by other processes are heard, one's own are not, and a break loses none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from samdrift.contracts.messages import WorkKind
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.messageservice.events import MTEvent
from samdrift.vault import wakeups
from samdrift.vault.database.session import Row, Session, Statement
from samdrift.vault.errors import EndedByDatabase, ServerFailed, VaultUnavailable
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.wakeups import Hosted
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.vault.database.test_session import terminate
from tests.vaults import MINUTE, NOW, WORKER, Installation, body, incoming, submitted, until

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ROLES = (AP, MT)


@pytest_asyncio.fixture
async def other(installation: Installation) -> AsyncIterator[Gate]:
    """Open a second gate on the same database, as in another process."""
    gate = await Gate.start(installation.settings)
    yield gate
    await gate.close()


class Ear:
    """A collector of wake-ups in the background."""

    def __init__(self, gate: Gate) -> None:
        self.heard: list[Hosted] = []
        self._wakeups = gate.wakeups()
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for hosted in self._wakeups:
            self.heard.append(hosted)

    async def hears(self, *expected: Hosted) -> None:
        """Check that exactly these are heard, in this order."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                while len(self.heard) < len(expected):
                    await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        assert self.heard == list(expected)
        self.heard.clear()

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


@pytest_asyncio.fixture
async def ear(other: Gate) -> AsyncIterator[Ear]:
    listening = Ear(other)
    yield listening
    await listening.close()


async def test_what_somebody_else_may_have_to_act_on_is_heard_after_the_commit(
    installation: Installation, organisation: ParticipantIdentifier, ear: Ear
) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, lease=None)
        await asyncio.sleep(0.2)
        assert ear.heard == []
    await ear.hears((organisation, AP))
    async with installation.open(organisation, AP) as vault:
        await vault.accept(incoming(), await body(vault), b"", now=NOW)
    await ear.hears((organisation, AP))
    async with installation.open(organisation, AP) as vault:
        (transfer,) = await vault.claim_transfers(now=NOW, lease=MINUTE, limit=1)
        await vault.failed(transfer.id, now=NOW, reason=TransferReason.GIVEN_UP, detail="")
    await ear.hears((organisation, AP))
    async with installation.open(organisation, MT) as other:
        await other.schedule(WorkKind.DEADLINE, "d", NOW)
    await ear.hears((organisation, MT))


async def test_what_nobody_else_has_to_act_on_is_not_heard(
    installation: Installation, organisation: ParticipantIdentifier, ear: Ear
) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, lease=MINUTE)
        await vault.inbox(1)
    await ear.hears()


async def test_a_gate_does_not_hear_itself(
    organisation: ParticipantIdentifier, installation: Installation
) -> None:
    ear = Ear(installation.gate)
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    await ear.hears()
    await ear.close()


async def test_a_rolled_back_opening_is_not_heard(
    installation: Installation, organisation: ParticipantIdentifier, ear: Ear
) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with installation.open(organisation, AP) as vault:
            await submitted(vault)
            raise ZeroDivisionError
    await ear.hears()


async def test_several_listeners_hear_the_same(
    installation: Installation, organisation: ParticipantIdentifier, other: Gate
) -> None:
    ears = [Ear(other), Ear(other)]
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    for ear in ears:
        await ear.hears((organisation, AP))
        await ear.close()


async def test_a_new_organisation_is_heard_of_and_served(
    installation: Installation, other: Gate, ear: Ear
) -> None:
    organisation = await installation.organisation([AP])
    await ear.hears((organisation, AP))
    async with other.open(WORKER, organisation, AP, Purpose.SEND) as vault:
        assert await vault.inbox(1) == ()


async def test_after_a_lost_connection_everybody_may_have_spoken(
    installation: Installation, organisation: ParticipantIdentifier, other: Gate, ear: Ear
) -> None:
    session = other._wakeups._session
    assert session is not None
    await terminate(installation, session.backend)
    async with asyncio.timeout(60):
        while (organisation, AP) not in ear.heard or (organisation, MT) not in ear.heard:
            await asyncio.sleep(0.01)
    ear.heard.clear()
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    await ear.hears((organisation, AP))


async def test_progress_of_a_message_is_heard_so_that_who_follows_it_elsewhere_is_told(
    installation: Installation, organisation: ParticipantIdentifier, ear: Ear
) -> None:
    async with installation.open(organisation, MT) as vault:
        vault.record(MTEvent.MT_MESSAGE_SUBMITTED, message="a", transfer="b")
    await ear.hears((organisation, MT))


async def test_a_statement_is_heard_in_other_processes_so_that_cover_and_reminders_follow_it_there(
    installation: Installation, organisation: ParticipantIdentifier, ear: Ear
) -> None:
    async with installation.open(organisation, MT) as vault:
        vault.record(VaultEvent.GOV_STATEMENT_KEPT, statement="1")
    await ear.hears((organisation, MT))


async def test_an_entry_is_heard_where_the_log_is_signed_unless_that_is_where_it_was_written(
    installation: Installation, organisation: ParticipantIdentifier, ear: Ear
) -> None:
    command = await Gate.start(installation.settings)
    async with installation.open(organisation, MT) as vault:
        vault.record(MTEvent.MT_CLIENT_DENIED, reason="a")
    async with command.open(WORKER, organisation, MT, Purpose.PROCESS) as vault:
        assert await vault.log_end() > 0
    await asyncio.sleep(0.3)
    assert ear.heard == [], "a look leaves no entry, so it must not notify"
    async with command.open(WORKER, organisation, MT, Purpose.PROCESS) as vault:
        vault.record(MTEvent.MT_CLIENT_DENIED, reason="a")
    await command.close()
    await ear.hears((organisation, MT))


async def test_a_server_that_cannot_be_restarted_for_a_while_is_tried_again_and_heard_afterwards(
    installation: Installation,
    organisation: ParticipantIdentifier,
    other: Gate,
    ear: Ear,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(wakeups, "_AGAIN_AFTER", 0.0)
    listening, task = other._wakeups, other._wakeups._task
    session, log_in = listening._session, listening._log_in
    assert session is not None
    assert task is not None
    full = "the embedded PostgreSQL in /srv/database cannot be started: no space left on device"
    faults: list[Exception] = [
        ServerFailed(full),
        ServerFailed(full),
        OSError("unforeseen"),
        VaultUnavailable(),
    ]

    async def away() -> Session:
        if faults:
            raise VaultUnavailable("no socket at /srv/database")
        return await log_in()

    async def revive() -> None:
        if faults:
            raise faults.pop(0)

    monkeypatch.setattr(listening, "_log_in", away)
    monkeypatch.setattr(listening, "_revive", revive)
    session.close()
    await until(lambda: task.done() or (not faults and len(ear.heard) > 1))
    assert not task.done()
    ear.heard.clear()
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    await ear.hears((organisation, AP))
    lines = [each for each in caplog.messages if "/srv/" in each or "unexpected" in each]
    assert lines[0] == f"database: {full}"
    assert lines[1].startswith("unexpected OSError in the connection that listens to the database (revive:")
    assert len(lines) == 2


async def test_a_fault_while_listening_begins_is_followed_by_another_attempt(
    installation: Installation,
    organisation: ParticipantIdentifier,
    other: Gate,
    ear: Ear,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wakeups, "_AGAIN_AFTER", 0.0)
    listening, task = other._wakeups, other._wakeups._task
    session, log_in, faults = listening._session, listening._log_in, 2
    assert session is not None
    assert task is not None

    async def faulty() -> Session:
        made = await log_in()
        run = made.run

        async def ended(statements: Sequence[Statement]) -> list[list[Row]]:
            nonlocal faults
            if faults and len(statements) > 1:
                faults -= 1
                raise (EndedByDatabase(), ZeroDivisionError())[faults]
            return await run(statements)

        made.run = ended  # type: ignore[method-assign]
        return made

    monkeypatch.setattr(listening, "_log_in", faulty)
    session.close()
    await until(lambda: task.done() or not faults)
    async with installation.open(organisation, AP):
        pass
    await until(lambda: task.done() or len(ear.heard) > 1)
    assert not task.done()
    ear.heard.clear()
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    await ear.hears((organisation, AP))
