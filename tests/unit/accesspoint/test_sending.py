"""Transfers in flight: their maximum number, and transfers whose attempts never end well."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import pytest

from samdrift.accesspoint.outbound import Sending
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import TransferEvent, TransferReason, TransferState
from samdrift.scheduling import dispatch
from samdrift.scheduling.claims import Claimant
from samdrift.vault.bodies import BodyReader
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.records import Transfer
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.settings import access_point_settings, retry_policy
from tests.unit.accesspoint.ends import settling
from tests.vaults import WORKER, Installation, due_now, submitted

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
    """A stand-in for outbound where every attempt delivers."""

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
    """A stand-in for outbound where every attempt raises an unexpected error."""

    def __init__(self) -> None:
        self.made = 0

    async def attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> datetime | None:
        self.made += 1
        raise RuntimeError


@contextlib.asynccontextmanager
async def sending(
    installation: Installation,
    organisation: ParticipantIdentifier,
    outbound: object,
    settings: AccessPointSettings = SETTINGS,
) -> AsyncIterator[Sending]:
    made = Sending(settings, installation.gate, cast(Any, outbound), settling(installation.gate), now)
    running = asyncio.create_task(made.dispatcher.run(due_now(organisation)))
    try:
        yield made
    finally:
        running.cancel()
        await made.stop()


async def told(
    installation: Installation, organisation: ParticipantIdentifier, ended: int
) -> tuple[TransferEvent, ...]:
    """Return the events once a number of transfers have ended."""
    for _ in range(6000):
        async with installation.open(organisation, Role.ACCESS_POINT) as vault:
            events = await vault.events(0, 100)
        if sum(event.state is not TransferState.QUEUED for event in events) >= ended:
            return events
        await asyncio.sleep(0.01)
    raise AssertionError(f"{ended} transfers do not end within a minute")


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


class Unrecorded(Delivers):
    """A stand-in for outbound where the database fails before the first attempt is recorded."""

    cut = False

    async def attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> datetime | None:
        if not self.cut:
            self.cut = True
            raise VaultUnavailable("connection refused")
        return await super().attempt(organisation, transfer, body)


async def test_an_attempt_that_an_outage_cuts_off_does_not_wait_for_its_lease_and_counts_for_nothing(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is alive, and knows that it is no longer making the attempt."""
    monkeypatch.setattr(dispatch, "_AFTER_FAILURE", timedelta(milliseconds=10))
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        transfer = await submitted(vault)
    hour = replace(SETTINGS, lease=timedelta(hours=1))
    async with sending(installation, organisation, Unrecorded(installation), hour):
        (event,) = await told(installation, organisation, 1)
    assert event.state is TransferState.DELIVERED
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        status = await vault.status(transfer.id)
    assert status is not None
    assert (status.attempts, status.spared) == (1, 1)


class Hangs:
    """A stand-in for outbound where no attempt ends."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> datetime | None:
        self.begun.set()
        await asyncio.sleep(3600)
        return None


async def test_what_is_in_flight_when_a_process_stops_waits_for_nothing_and_has_spent_no_attempt(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    outbound = Hangs()
    made = Sending(
        replace(SETTINGS, lease=timedelta(hours=1)),
        installation.gate,
        cast(Any, outbound),
        settling(installation.gate),
        now,
    )
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        transfer = await submitted(vault)
    running = asyncio.create_task(made.run(due_now(organisation)))
    async with asyncio.timeout(60):
        await outbound.begun.wait()
    running.cancel()
    await made.stop()
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        status = await vault.status(transfer.id)
        assert status is not None
        assert (status.attempts, status.spared) == (0, 1)
        (again,) = await vault.claim_transfers(now=now(), lease=timedelta(minutes=1), limit=1)
    assert again.counted == 1


async def test_what_a_killed_process_had_in_flight_is_sent_by_the_next_one_at_once(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The lease lasts an hour, and according to the registry nothing is due earlier."""
    hour = timedelta(hours=1)
    killed = await Gate.start(installation.settings)
    async with killed.open(WORKER, organisation, Role.ACCESS_POINT, Purpose.SEND) as vault:
        await submitted(vault)
        await vault.claim_transfers(now=now(), lease=hour, limit=1)
    await killed.close()
    ended = Claimant(ended=frozenset({killed.claimant.name}))
    gate = await Gate.start(installation.settings, claimant=ended)
    try:
        made = Sending(
            replace(SETTINGS, lease=hour), gate, cast(Any, Delivers(installation)), settling(gate), now
        )
        running = asyncio.create_task(made.run(partial(gate.due, Role.ACCESS_POINT)))
        await told(installation, organisation, 1)
        running.cancel()
        await made.stop()
    finally:
        await gate.close()


class Slow(Delivers):
    """A stand-in for outbound where attempts at one recipient wait for the test, and others deliver."""

    def __init__(self, installation: Installation, recipient: ParticipantIdentifier) -> None:
        super().__init__(installation)
        self.recipient = recipient
        self.begun = 0
        self.may_end = asyncio.Event()

    async def attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> datetime | None:
        if transfer.envelope.recipient == self.recipient:
            self.begun += 1
            await self.may_end.wait()
        return await super().attempt(organisation, transfer, body)


async def test_a_slow_recipient_holds_up_no_other_one_of_its_sender_and_is_sent_all_in_the_end(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """One recipient has at most three of four places."""
    slow, other = ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se")
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        for recipient in [slow] * 9 + [other] * 6:
            await submitted(vault, recipient=recipient)
    outbound = Slow(installation, slow)
    settings = replace(SETTINGS, parallel=4, lease=timedelta(hours=1))
    made = Sending(settings, installation.gate, cast(Any, outbound), settling(installation.gate), now)
    running = asyncio.create_task(made.run(due_now(organisation)))
    assert len(await told(installation, organisation, 6)) == 6, (
        "transfers to the other recipient must end while the slow one hangs"
    )
    assert outbound.begun == 3
    assert not made.room_for(organisation, slow)
    assert made.room_for(organisation, other)
    outbound.may_end.set()
    events = await told(installation, organisation, 15)
    assert {event.state for event in events} == {TransferState.DELIVERED}
    running.cancel()
    await made.stop()
