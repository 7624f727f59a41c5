"""One attempt at a transfer, with a peer that never comes to an end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

from prometheus_client import CollectorRegistry

from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.outbound import Outbound
from samdrift.accesspoint.ownkeys import OwnKeys
from samdrift.accesspoint.route import Route
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.profile import AS4_1_2
from samdrift.wire.softwarekeys import SoftwareSigningKey
from tests import pki
from tests.vaults import MINUTE, NOW, Installation, submitted

CERTIFICATE = pki.root("AP0002-SDK-TEST", 1).certificate
SETTINGS = AccessPointSettings("AP0001-SDK-TEST", "test", "ap.test", lease=timedelta(milliseconds=100))


class OneRoute:
    async def find(self, *asked: object) -> Route:
        return Route("https://peer.test/as4", CERTIFICATE, "AP0002-SDK-TEST", AS4_1_2)


class Trickling:
    """A client whose peer gives one byte after the other, without end."""

    status, content_type = 200, "application/soap+xml"

    @contextlib.asynccontextmanager
    async def exchange(self, *asked: object, **how: object) -> AsyncIterator[Trickling]:
        yield self

    async def read(self, most: int) -> bytes:
        while True:
            await asyncio.sleep(0.01)


async def test_a_peer_that_trickles_is_given_up_when_the_claim_ends(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    outbound = Outbound(
        SETTINGS,
        installation.gate,
        cast(Any, OneRoute()),
        cast(Any, Trickling()),
        lambda: OwnKeys((SoftwareSigningKey(pki.key(1), CERTIFICATE),), ()),
        lambda: NOW,
        os.urandom,
        Meters(CollectorRegistry()),
    )
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        transfer = await submitted(vault, lease=MINUTE)
        body = await vault.outgoing_body(transfer.id)
    async with asyncio.timeout(5):
        later = await outbound.attempt(organisation, transfer, body)
    assert later is not None
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (event,) = await vault.events(0, 10)
    assert (event.reason, event.detail) == (TransferReason.PEER_UNREACHABLE, "the peer is too slow")
