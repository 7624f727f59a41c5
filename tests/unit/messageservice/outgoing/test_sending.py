"""An organisation's sending: a limit in parallel, and waiting messages that follow."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import pytest

from samdrift.contracts.messages import WorkKind
from samdrift.contracts.principals import Role
from samdrift.messageservice.outgoing.sender import Sender
from samdrift.scheduling import dispatch
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.records import MessageRecord
from samdrift.wire.identifiers import FEDERATION_TEST, ParticipantIdentifier
from tests.settings import message_service_settings
from tests.vaults import MINUTE, Installation, body, due_now, message

MT: Final = Role.MESSAGE_SERVICE
ROLES = (MT,)
SETTINGS = message_service_settings(FEDERATION_TEST, parallel=2)


def now() -> datetime:
    return datetime.now(UTC)


class HandsOver(Sender):
    """A sender that hands over every message."""

    def __init__(self, installation: Installation) -> None:
        nothing = cast(Any, None)
        super().__init__(SETTINGS, installation.gate, nothing, nothing, nothing, now)
        self.done: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self._installation = installation

    async def message(
        self,
        organisation: ParticipantIdentifier,
        record: MessageRecord,
        payload: bytes,
        *,
        scanned: bool = False,
    ) -> datetime | None:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0.005)
        async with self._installation.open(organisation, MT) as vault:
            await vault.finish_work(WorkKind.MESSAGE, record.id)
        self.at_once -= 1
        self.done.append(record.id)
        return None


async def test_what_waits_for_a_free_place_is_taken_up_as_soon_as_there_is_one(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        records = [message() for _ in range(7)]
        for record in records:
            assert await vault.create_outgoing(record, await body(vault), now=now(), lease=None)
    sender = HandsOver(installation)
    running = asyncio.create_task(sender.dispatcher.run(due_now(organisation)))
    async with asyncio.timeout(60):
        while len(sender.done) < len(records):
            await asyncio.sleep(0.01)
    running.cancel()
    await sender.stop()
    assert sorted(sender.done) == sorted(record.id for record in records)
    assert sender.most_at_once == SETTINGS.parallel


async def test_what_a_former_run_left_is_taken_up_when_its_lease_has_ended(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        record = message()
        began = now() - MINUTE
        assert await vault.create_outgoing(record, await body(vault), now=began, lease=MINUTE)
    sender = HandsOver(installation)
    running = asyncio.create_task(sender.dispatcher.run(due_now(organisation)))
    async with asyncio.timeout(60):
        while not sender.done:
            await asyncio.sleep(0.01)
    running.cancel()
    await sender.stop()


class Unsealed(HandsOver):
    """A sender whose database goes away during the first attempt at a message."""

    cut = False

    async def message(
        self,
        organisation: ParticipantIdentifier,
        record: MessageRecord,
        payload: bytes,
        *,
        scanned: bool = False,
    ) -> datetime | None:
        if not self.cut:
            self.cut = True
            raise VaultUnavailable("connection refused")
        return await super().message(organisation, record, payload, scanned=scanned)


async def test_what_an_outage_cuts_off_does_not_wait_for_its_lease(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease lasts five minutes, but the process is alive and knows that it has stopped the work."""
    monkeypatch.setattr(dispatch, "_AFTER_FAILURE", timedelta(milliseconds=10))
    assert SETTINGS.lease > 2 * MINUTE
    async with installation.open(organisation, MT) as vault:
        record = message()
        assert await vault.create_outgoing(record, await body(vault), now=now(), lease=None)
    sender = Unsealed(installation)
    running = asyncio.create_task(sender.dispatcher.run(due_now(organisation)))
    async with asyncio.timeout(60):
        while not sender.done:
            await asyncio.sleep(0.01)
    running.cancel()
    await sender.stop()
    assert sender.done == [record.id]
