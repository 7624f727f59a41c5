"""Which endpoint of a peer is taken, and under which name it is sent to (component-accesspoint 3.1.5 b)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from samdrift.accesspoint.route import NoRoute, Routes
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.contracts.transfer import TransferReason
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, ParticipantIdentifier, ProcessIdentifier
from samdrift.wire.profile import AS4_1_0, AS4_1_2, TransportProfile
from samdrift.wire.smp import Endpoint, ServiceMetadata
from samdrift.wire.verdicts import CertificateVerdict, TrustReason
from tests import pki

RECIPIENT = ParticipantIdentifier("0203:b.se")
ROOT = pki.root("Root", 0)
CERTIFICATE = ROOT.issue("AP0002-SDK-TEST", private_key=pki.key(1)).certificate
SETTINGS = AccessPointSettings("AP0001-SDK-TEST", "test", "ap.test")


class Published:
    """Discovery of one service, and trust in whatever certificates it has."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self._endpoints = endpoints

    async def service(self, *asked: object) -> ServiceMetadata:
        return ServiceMetadata(RECIPIENT, SDK_MESSAGE_EXTENDED, ProcessIdentifier("p"), self._endpoints)

    async def check(self, *asked: object) -> CertificateVerdict:
        return CertificateVerdict(TrustReason.TRUSTED)


def routes(subject: str | x509.Name) -> Routes:
    certificate = ROOT.issue(subject, private_key=pki.key(1)).certificate
    world: Any = Published(Endpoint(AS4_1_2.identifier, "https://peer.test/as4", certificate))
    return Routes(SETTINGS, cast(Any, world), cast(Any, world))


async def test_the_party_is_the_common_name() -> None:
    route = await routes("AP0002-SDK-TEST").find(RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert route.party == "AP0002-SDK-TEST"


async def test_a_peer_without_a_name_cannot_be_sent_to() -> None:
    nameless = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Bolaget")])
    with pytest.raises(NoRoute) as caught:
        await routes(nameless).find(RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert (caught.value.reason, caught.value.final) == (TransferReason.PEER_UNTRUSTED, True)


@pytest.mark.parametrize("party", ["AP0002-SDK-TEST", "AP0003-SDK-TEST"])
async def test_2_2_one_peer_gets_a_security_timestamp_where_the_operator_says_so(party: str) -> None:
    world: Any = Published(V1_0)
    settings = replace(SETTINGS, timestamp_peers=frozenset({party}))
    route = await Routes(settings, world, world).find(RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert route.profile.security_timestamp is (party == route.party)


V1_0 = Endpoint(AS4_1_0.identifier, "https://peer.test/1.0", CERTIFICATE)
V1_2 = Endpoint(AS4_1_2.identifier, "https://peer.test/1.2", CERTIFICATE)
GONE = replace(V1_2, expiration=pki.NOW - pki.DAY)
TO_COME = replace(V1_2, activation=pki.NOW + pki.DAY)
OTHER = Endpoint("bdxr-transport-ebms3-as4-v1p0", "https://peer.test/other", CERTIFICATE)


@pytest.mark.parametrize(
    ("accepted", "published", "taken"),
    [
        ((AS4_1_2, AS4_1_0), (V1_0, V1_2), V1_2),
        ((AS4_1_0, AS4_1_2), (V1_2, V1_0), V1_0),
        ((AS4_1_2, AS4_1_0), (OTHER, V1_0), V1_0),
        ((AS4_1_2, AS4_1_0), (GONE, TO_COME, V1_0), V1_0),
        ((AS4_1_0,), (V1_2, V1_0), V1_0),
        ((AS4_1_0,), (V1_2,), None),
        ((AS4_1_2, AS4_1_0), (OTHER,), None),
    ],
)
async def test_2_3_1_e_the_endpoint_of_the_preferred_profile_that_is_accepted_and_active(
    accepted: tuple[TransportProfile, ...], published: tuple[Endpoint, ...], taken: Endpoint | None
) -> None:
    world: Any = Published(*published)
    settings = replace(SETTINGS, profiles=accepted)
    finding = Routes(settings, world, world).find(RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    if taken is None:
        with pytest.raises(NoRoute) as caught:
            await finding
        assert (caught.value.reason, caught.value.final) == (TransferReason.RECIPIENT_NOT_REGISTERED, True)
    else:
        route = await finding
        assert (route.address, route.profile.identifier) == (taken.address, taken.transport_profile)
