"""Transfers in flight: how many at once, and what becomes of one whose attempts never end well."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from samdrift.accesspoint.outbound import Sending
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferEvent, TransferReason, TransferState
from samdrift.scheduling.signals import Signals
from samdrift.vault.bodies import BodyReader
from samdrift.vault.events import VaultEvent
from samdrift.vault.records import Transfer
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.settings import access_point_settings, retry_policy
from tests.vaults import Installation, due_now, submitted

ROLES = (Role.ACCESS_POINT,)

SETTINGS = access_point_settings(
    party="AP0001-SDK-TEST",
    federation="test",
    message_id_domain="ap.test",
    retry=retry_policy(attempts=2),
    lease=timedelta(milliseconds=20),
    parallel=2,
)


def now() -> datetime:
    return datetime.now(UTC)


class Delivers:
    """Stands for outbound: every attempt delivers."""

    def __init__(self, installation: Installation) -> None:
        self.at_once = 0
        self.most_at_once = 0
        self._installation = installation

    async def attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> datetime | None:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0.005)
        async with self._installation.open(organisation, Role.ACCESS_POINT) as vault:
            await vault.delivered(transfer.id, now=now(), receipt=b"<receipt/>", peer="AP0002-SDK-TEST")
        self.at_once -= 1
        return None


class Breaks:
    """Stands for outbound: every attempt ends in a way that nobody foresaw."""

    def __init__(self) -> None:
        self.made = 0

    async def attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> datetime | None:
        self.made += 1
        raise RuntimeError


@contextlib.asynccontextmanager
async def sending(
    installation: Installation, organisation: ParticipantIdentifier, outbound: object
) -> AsyncIterator[Sending]:
    made = Sending(SETTINGS, installation.gate, cast(Any, outbound), Signals(), now)
    running = asyncio.create_task(made.dispatcher.run(due_now(organisation)))
    try:
        yield made
    finally:
        running.cancel()
        await made.stop()


async def told(
    installation: Installation, organisation: ParticipantIdentifier, ended: int
) -> tuple[TransferEvent, ...]:
    """The events, once so many transfers have ended."""
    async with asyncio.timeout(60):
        while True:
            async with installation.open(organisation, Role.ACCESS_POINT) as vault:
                events = await vault.events(0, 100)
            if sum(event.state is not TransferState.QUEUED for event in events) >= ended:
                return events
            await asyncio.sleep(0.01)


async def test_what_waits_for_a_free_place_is_sent_as_soon_as_there_is_one(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        for _ in range(7):
            await submitted(vault)
    outbound = Delivers(installation)
    async with sending(installation, organisation, outbound):
        events = await told(installation, organisation, 7)
    assert {event.state for event in events} == {TransferState.DELIVERED}
    assert outbound.most_at_once == SETTINGS.parallel


async def test_what_found_no_place_when_it_came_and_one_when_it_was_stored_is_sent(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with sending(installation, organisation, Delivers(installation)) as made:
        await asyncio.sleep(0.1)
        async with installation.open(organisation, Role.ACCESS_POINT) as vault:
            await submitted(vault)
        made.queued(organisation)
        await told(installation, organisation, 1)


async def test_invariant_8_a_transfer_whose_attempts_never_have_an_outcome_is_given_up(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        transfer = await submitted(vault)
    outbound = Breaks()
    async with sending(installation, organisation, outbound):
        (event,) = await told(installation, organisation, 1)
    assert (event.state, event.reason) == (TransferState.FAILED, TransferReason.GIVEN_UP)
    assert outbound.made == 2 * SETTINGS.retry.attempts
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (entry,) = await vault.find_log(transfer.envelope.envelope_id)
    assert entry.event == VaultEvent.AP_TRANSFER_FAILED
    assert entry.ids["reason"] == "given-up"
