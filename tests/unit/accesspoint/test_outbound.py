"""One attempt at a transfer: the message sent, the peer's response or its absence, and a lost envelope."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.outbound import Outbound
from samdrift.accesspoint.route import Route
from samdrift.accesspoint.settings import AccessPointSettings, OwnKeys
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.net.client import PeerUnreachable
from samdrift.scheduling.held import Held, HeldNumber
from samdrift.scheduling.signals import Signals
from samdrift.vault.bodies import BodyReader
from samdrift.vault.records import Attempt, Transfer
from samdrift.wire.as4 import EbmsError, EbmsErrorCode, build_error, build_receipt
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.ebms import NOT_SERVICED
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.profile import AS4_1_0, PROFILES, TransportProfile
from tests import pki
from tests.settings import access_point_settings
from tests.unit.accesspoint.ends import settling
from tests.vaults import ELSEWHERE, MINUTE, NOW, Installation, submitted

ROLES = (Role.ACCESS_POINT,)

CERTIFICATE = pki.root("AP0002-SDK-TEST", 1).certificate
SETTINGS = access_point_settings("AP0001-SDK-TEST", "test", "ap.test", lease=timedelta(milliseconds=100))


@dataclass(frozen=True)
class OneRoute:
    profile: TransportProfile
    party: str = "AP0002-SDK-TEST"

    async def find(self, *asked: object) -> Route:
        return Route("https://peer.test/as4", CERTIFICATE, self.party, self.profile)


def outbound(
    installation: Installation,
    client: object,
    profile: TransportProfile,
    held: Held | None = None,
    *,
    party: str = "AP0002-SDK-TEST",
    clock: Callable[[], datetime] = lambda: NOW,
    settings: AccessPointSettings = SETTINGS,
) -> Outbound:
    """Return the sender of transfers, with a peer that uses this profile."""
    return Outbound(
        settings,
        installation.gate,
        cast(Any, OneRoute(profile, party)),
        cast(Any, client),
        lambda: OwnKeys((SoftwareSigningKey(pki.key(1), CERTIFICATE),), ()),
        clock,
        os.urandom,
        Meters(CollectorRegistry()),
        settling(installation.gate, Signals()),
        held,
    )


async def claimed(
    installation: Installation,
    organisation: ParticipantIdentifier,
    data: bytes = b"<xhe/>",
    recipient: ParticipantIdentifier = ELSEWHERE,
) -> tuple[Transfer, BodyReader]:
    """Return a new transfer that is claimed for an attempt, and its envelope."""
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        transfer = await submitted(vault, data, lease=MINUTE, recipient=recipient)
        return transfer, await vault.outgoing_body(transfer.id)


async def attempted(
    installation: Installation,
    organisation: ParticipantIdentifier,
    sending: Outbound,
    *,
    spared: int = 0,
    before: int = 0,
    recipient: ParticipantIdentifier = ELSEWHERE,
) -> datetime | None:
    """Make an attempt at a new transfer, after a number of others; return when the next one is due."""
    transfer, body = await claimed(installation, organisation, recipient=recipient)
    attempts = (*[Attempt(NOW, error="peer-unreachable: silent")] * before, *transfer.attempts)
    return await sending.attempt(organisation, replace(transfer, spared=spared, attempts=attempts), body)


class Trickling:
    """A client whose peer sends a response slowly and without end."""

    status, content_type = 200, "application/soap+xml"

    @contextlib.asynccontextmanager
    async def exchange(self, *asked: object, **how: object) -> AsyncIterator[Trickling]:
        yield self

    async def read(self, most: int) -> bytes:
        while True:
            await asyncio.sleep(0.01)


class Listening:
    """A client whose peer accepts everything and responds with a bare HTTP status."""

    status, content_type = 500, "application/soap+xml;charset=UTF-8"

    def __init__(self, answer: bytes = b"") -> None:
        self.bodies: list[bytes] = []
        self.answer = answer

    @contextlib.asynccontextmanager
    async def exchange(
        self, method: str, address: str, content: bytes, **how: object
    ) -> AsyncIterator[Listening]:
        self.bodies.append(content)
        yield self

    async def read(self, most: int) -> bytes:
        return self.answer


class Taking(Listening):
    """A client that reads the whole request, as a real one does with a large message."""

    @contextlib.asynccontextmanager
    async def exchange(
        self, method: str, address: str, content: bytes | AsyncIterator[bytes], **how: object
    ) -> AsyncIterator[Listening]:
        if not isinstance(content, bytes):
            content = b"".join([piece async for piece in content])
        async with super().exchange(method, address, content, **how) as answer:
            yield answer


@pytest.mark.parametrize("profile", [*PROFILES.values(), replace(AS4_1_0, security_timestamp=True)])
async def test_2_2_a_security_timestamp_is_sent_where_the_profile_has_one_and_nowhere_else(
    installation: Installation, organisation: ParticipantIdentifier, profile: TransportProfile
) -> None:
    peer = Listening()
    await attempted(installation, organisation, outbound(installation, peer, profile))
    (body,) = peer.bodies
    assert (b"<wsu:Timestamp" in body) is profile.security_timestamp


async def test_2_5_c_not_serviced_with_a_fault_and_status_500_ends_the_transfer_at_once(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    error = EbmsError.of(EbmsErrorCode.OTHER, NOT_SERVICED, "m@own.test")
    answer = build_error(error, message_id="e@peer.test", now=NOW, signer=None).body
    fault = answer.replace(b"></S12:Body>", b"><S12:Fault></S12:Fault></S12:Body>")
    assert fault != answer
    sending = outbound(installation, Listening(fault), AS4_1_0)
    assert await attempted(installation, organisation, sending) is None
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (event,) = await vault.events(0, 10)
    assert (event.reason, event.detail) == (TransferReason.NOT_SERVICED, "EBMS:0004 NOT_SERVICED")


async def test_the_receipt_of_an_attempt_that_ended_with_its_process_counts(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A peer that knows the message repeats its first receipt, over another security timestamp.

    The signed references of that attempt were never stored.
    """
    later, profile = NOW + MINUTE, replace(AS4_1_0, security_timestamp=True)
    sending = outbound(installation, peer := Listening(), profile, clock=lambda: later)
    first, body = await claimed(installation, organisation)
    signed = sending._prepare(first, await OneRoute(profile).find(), NOW).references
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert await vault.give_back_claims(now=later) == 1
        (second,) = await vault.claim_transfers(now=later, lease=MINUTE, limit=1)
    peer.status = 200
    peer.answer = build_receipt(
        user_message=cast(Any, SimpleNamespace(message_id=first.as4_message_id)),
        references=signed,
        message_id="receipt@peer.test",
        now=NOW,
        signer=SoftwareSigningKey(pki.key(1), CERTIFICATE),
    ).body
    assert await sending.attempt(organisation, second, body) is None
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        event = (await vault.events(0, 10))[-1]
    assert (event.state, event.detail) == (TransferState.DELIVERED, "")


def test_no_profile_has_a_security_timestamp() -> None:
    """A Domibus with the p-mode published by DIGG refuses every message that has one."""
    assert not any(profile.security_timestamp for profile in PROFILES.values())


async def test_a_peer_that_trickles_is_given_up_when_the_claim_ends(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with asyncio.timeout(60):
        sending = outbound(installation, Trickling(), AS4_1_0, held := Held())
        later = await attempted(installation, organisation, sending)
    assert later is not None
    assert held.numbers(NOW) == (HeldNumber("ap", "peer-unreachable", 1),)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (event,) = await vault.events(0, 10)
    assert (event.reason, event.detail) == (TransferReason.PEER_UNREACHABLE, "the peer is too slow")


@pytest.mark.parametrize("size", [900_000, 2_000_000])
async def test_a_stored_envelope_that_is_lost_is_told_with_its_reason_and_looked_for_again(
    installation: Installation,
    organisation: ParticipantIdentifier,
    size: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An unmounted folder of objects looks the same, and may come back."""
    transfer, body = await claimed(installation, organisation, os.urandom(size))
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        await vault._room.shelf.objects.clear(vault._room.vault)
    later = await outbound(installation, Taking(), AS4_1_0).attempt(organisation, transfer, body)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (waits,) = await vault.waiting(9)
        (event,) = await vault.events(0, 10)
    assert later == waits.next_attempt
    assert (event.state, event.reason) == (TransferState.QUEUED, TransferReason.ENVELOPE_INVALID)
    assert event.detail == "the stored envelope is missing or was altered"
    (line,) = caplog.messages
    assert "Is the object store mounted?" in line


async def test_a_transfer_whose_envelope_stays_lost_ends_with_that_reason_and_a_line(
    installation: Installation, organisation: ParticipantIdentifier, caplog: pytest.LogCaptureFixture
) -> None:
    transfer, body = await claimed(installation, organisation, os.urandom(900_000))
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        await vault._room.shelf.objects.clear(vault._room.vault)
    earlier = [Attempt(NOW, error="peer-unreachable: silent")] * SETTINGS.retry.attempts
    last = replace(transfer, attempts=(*earlier, *transfer.attempts))
    assert await outbound(installation, Taking(), AS4_1_0).attempt(organisation, last, body) is None
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (event,) = await vault.events(0, 10)
    assert (event.state, event.reason) == (TransferState.FAILED, TransferReason.ENVELOPE_INVALID)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("size", [900_000, 2_000_000])
async def test_an_attempt_that_comes_after_the_end_of_its_transfer_tells_nothing(
    installation: Installation,
    organisation: ParticipantIdentifier,
    size: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The attempt's claim had expired, and the next claimant ended the transfer and dropped its envelope."""
    transfer, body = await claimed(installation, organisation, os.urandom(size))
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert await vault.failed(transfer.id, now=NOW, reason=TransferReason.GIVEN_UP, detail="by hand")
    await outbound(installation, Taking(), AS4_1_0).attempt(organisation, transfer, body)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (event,) = await vault.events(0, 10)
    assert (event.state, event.detail) == (TransferState.FAILED, "by hand")
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("party", "status", "spared", "counted"),
    [
        pytest.param(SETTINGS.party, 503, 0, 0, id="a restart of our own"),
        pytest.param(SETTINGS.party, 503, 20, 1, id="one that does not end"),
        pytest.param("AP0002-SDK-TEST", 503, 0, 1, id="a peer's restart"),
    ],
)
async def test_an_answer_of_our_own_front_counts_for_nothing_while_a_restart_can_last(
    installation: Installation,
    organisation: ParticipantIdentifier,
    party: str,
    status: int,
    spared: int,
    counted: int,
) -> None:
    front = Listening()
    front.status = status
    sending = outbound(installation, front, AS4_1_0, party=party)
    later = await attempted(installation, organisation, sending, spared=spared)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (transfer,) = await vault.waiting(9)
    assert transfer.attempts == counted
    assert later == transfer.next_attempt
    assert later is not None
    assert (later - NOW < MINUTE) is (counted == 0), "an attempt that does not count must be repeated soon"


async def test_a_silent_peer_gets_an_attempt_now_and_then_and_the_others_cost_nothing(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    now = NOW
    sending = outbound(installation, peer := Listening(), AS4_1_0, clock=lambda: now)
    for _ in range(20):
        assert await attempted(installation, organisation, sending) is not None
    assert len(peer.bodies) == 3
    now += SETTINGS.retry.interval
    for _ in range(20):
        await attempted(installation, organisation, sending)
    assert len(peer.bodies) == 4
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        waiting = await vault.waiting(50)
        details = {event.detail for event in await vault.events(0, 100)}
    assert {one.attempts for one in waiting} == {1}, "each transfer must have used one attempt"
    assert details == {"HTTP status 500", "not tried, as several failed with: HTTP status 500"}


class Refusing(Listening):
    """A client whose peer refuses every connection."""

    @contextlib.asynccontextmanager
    async def exchange(
        self, method: str, address: str, content: bytes, **how: object
    ) -> AsyncIterator[Listening]:
        self.bodies.append(content)
        raise PeerUnreachable("no HTTP answer (refused)")
        yield self


NEIGHBOURS = [ParticipantIdentifier(f"0203:neighbour{number}.se") for number in range(5)]


async def test_a_recipient_that_is_not_served_now_does_not_delay_its_neighbours_at_the_access_point(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Our own access points answer 503 for an organisation that is suspended, and serve the others."""
    sending = outbound(installation, peer := Listening(), AS4_1_0)
    for each in NEIGHBOURS:
        for _ in range(5):
            await attempted(installation, organisation, sending, recipient=each)
    assert len(peer.bodies) == 3 * len(NEIGHBOURS)


async def test_a_peer_that_answers_nothing_is_silent_for_all_recipients(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    sending = outbound(installation, peer := Refusing(), AS4_1_0)
    for each in NEIGHBOURS:
        await attempted(installation, organisation, sending, recipient=each)
    assert len(peer.bodies) == 3


async def test_a_silent_peer_of_one_organisation_is_met_by_another(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    other = await installation.organisation(ROLES)
    sending = outbound(installation, peer := Listening(), AS4_1_0)
    for _ in range(5):
        await attempted(installation, organisation, sending)
    assert len(peer.bodies) == 3
    await attempted(installation, other, sending)
    assert len(peer.bodies) == 4


async def test_a_transfer_fails_by_an_attempt_that_was_made_after_its_last_one_was_due(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    now = NOW
    sending = outbound(installation, peer := Listening(), AS4_1_0, clock=lambda: now)
    for _ in range(3):
        await attempted(installation, organisation, sending)
    last = SETTINGS.retry.attempts - 1
    later = await attempted(installation, organisation, sending, before=last)
    assert later is not None, "the last attempt must wait for one that contacts the peer"
    assert later - now <= timedelta(seconds=10)
    now += SETTINGS.retry.interval
    assert await attempted(installation, organisation, sending, before=last) is None
    assert len(peer.bodies) == 4


async def test_a_last_attempt_waits_for_one_that_tries_however_long_that_takes(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    now = NOW
    retry = replace(SETTINGS.retry, interval=timedelta(hours=1))
    settings = replace(SETTINGS, retry=retry)
    sending = outbound(installation, peer := Listening(), AS4_1_0, clock=lambda: now, settings=settings)
    for _ in range(3):
        await attempted(installation, organisation, sending)
    last = retry.attempts - 1
    later = await attempted(installation, organisation, sending, before=last)
    assert later == now + retry.interval / 32
    now = later
    assert await attempted(installation, organisation, sending, before=last + 1, spared=1) is None
    assert len(peer.bodies) == 4, "the transfer must fail by an attempt of its own"
