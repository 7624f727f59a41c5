"""Routes of transfers: whether the sender may send, the peer's endpoint, and the peer's party name.

component-accesspoint 3.1.5 b, transport-model-extended 3.2 c.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from samdrift.accesspoint.route import NoRoute, Routes
from samdrift.contracts.discovery import (
    DiscoveryError,
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    NotRegistered,
    SharedService,
)
from samdrift.contracts.transfer import TransferReason
from samdrift.wire.identifiers import (
    RECEIPT_BASE,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
    ProcessIdentifier,
)
from samdrift.wire.profile import AS4_1_0, AS4_1_2, TransportProfile
from samdrift.wire.smp import Endpoint, ServiceMetadata
from samdrift.wire.verdicts import CertificateVerdict, TrustReason
from tests import pki
from tests.settings import access_point_settings

SENDER = ParticipantIdentifier("0203:a.se")
RECIPIENT = ParticipantIdentifier("0203:b.se")
ROOT = pki.root("Root", 0)
CERTIFICATE = ROOT.issue("AP0002-SDK-TEST", private_key=pki.key(1)).certificate
SETTINGS = access_point_settings("AP0001-SDK-TEST", "test", "ap.test")


class Published:
    """Discovery of the recipient's and the sender's services, whose certificates are trusted."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self.recipient: tuple[Endpoint, ...] | DiscoveryError = endpoints
        self.sender: tuple[Endpoint, ...] | DiscoveryError = (V1_0,)
        self.looked_up: list[tuple[ParticipantIdentifier, DocumentIdentifier]] = []

    async def service(
        self, participant: ParticipantIdentifier, document: DocumentIdentifier
    ) -> ServiceMetadata:
        self.looked_up.append((participant, document))
        endpoints = self.sender if participant == SENDER else self.recipient
        if isinstance(endpoints, DiscoveryError):
            raise endpoints
        return ServiceMetadata(participant, document, ProcessIdentifier("p"), endpoints)

    async def check(self, *asked: object) -> CertificateVerdict:
        return CertificateVerdict(TrustReason.TRUSTED)


def routes(subject: str | x509.Name) -> Routes:
    certificate = ROOT.issue(subject, private_key=pki.key(1)).certificate
    world: Any = Published(Endpoint(AS4_1_2.identifier, "https://peer.test/as4", certificate))
    return Routes(SETTINGS, cast(Any, world), cast(Any, world))


async def test_the_party_is_the_common_name() -> None:
    """Clauses: component-accesspoint 3.1.5 b."""
    route = await routes("AP0002-SDK-TEST").find(SENDER, RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert route.party == "AP0002-SDK-TEST"


async def test_a_peer_without_a_name_cannot_be_sent_to() -> None:
    nameless = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Bolaget")])
    with pytest.raises(NoRoute) as caught:
        await routes(nameless).find(SENDER, RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert (caught.value.reason, caught.value.final) == (TransferReason.PEER_UNTRUSTED, True)


@pytest.mark.parametrize("party", ["AP0002-SDK-TEST", "AP0003-SDK-TEST"])
async def test_2_2_one_peer_gets_a_security_timestamp_where_the_operator_says_so(party: str) -> None:
    world: Any = Published(V1_0)
    settings = replace(SETTINGS, timestamp_peers=frozenset({party}))
    route = await Routes(settings, world, world).find(SENDER, RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
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
    """Clauses: component-accesspoint 3.1.3 a; transport-model-base 2.12 a; transport-profile-as4 2.3.1 e."""
    world: Any = Published(*published)
    settings = replace(SETTINGS, profiles=accepted)
    finding = Routes(settings, world, world).find(SENDER, RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    if taken is None:
        with pytest.raises(NoRoute) as caught:
            await finding
        assert (caught.value.reason, caught.value.final) == (TransferReason.RECIPIENT_NOT_REGISTERED, True)
    else:
        route = await finding
        assert (route.address, route.profile.identifier) == (taken.address, taken.transport_profile)


# --- the sender ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "receipt"),
    [
        (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED),
        (SDK_MESSAGE_BASE, RECEIPT_BASE),
        (RECEIPT_EXTENDED, RECEIPT_EXTENDED),
        (RECEIPT_BASE, RECEIPT_BASE),
    ],
)
async def test_3_2_c_a_sender_that_can_receive_the_receipt_sends(
    document: DocumentIdentifier, receipt: DocumentIdentifier
) -> None:
    """transport-model-extended 3.2 c, transport-model-base 3.2 b: a receipt has its message's model."""
    world = Published(V1_2)
    await Routes(SETTINGS, world, world).find(SENDER, RECIPIENT, document, pki.NOW)
    assert (SENDER, receipt) in world.looked_up


@pytest.mark.parametrize(
    "found", [NotRegistered("x"), (), (GONE, TO_COME)], ids=["unknown", "none", "inactive"]
)
async def test_3_2_c_a_sender_that_cannot_receive_the_receipt_sends_nothing(
    found: tuple[Endpoint, ...] | DiscoveryError,
) -> None:
    """transport-model-extended 3.2 c, transport-profile-as4 2.6 b."""
    world = Published(V1_2)
    world.sender = found
    with pytest.raises(NoRoute) as caught:
        await Routes(SETTINGS, world, world).find(SENDER, RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert (caught.value.reason, caught.value.final) == (TransferReason.SENDER_NOT_REGISTERED, True)
    assert "the sender is not registered" in caught.value.detail
    assert RECIPIENT not in {participant for participant, _ in world.looked_up}


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (DiscoveryUnavailable("x", SharedService.SMP), TransferReason.DISCOVERY_UNAVAILABLE),
        (DiscoveryUntrusted("x"), TransferReason.DISCOVERY_UNTRUSTED),
    ],
)
async def test_3_2_c_while_nothing_is_known_of_the_sender_the_transfer_waits(
    failure: DiscoveryError, reason: TransferReason
) -> None:
    """transport-model-extended 3.2 c, component-accesspoint 3.2.3 a."""
    world = Published(V1_2)
    world.sender = failure
    with pytest.raises(NoRoute) as caught:
        await Routes(SETTINGS, world, world).find(SENDER, RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert (caught.value.reason, caught.value.final) == (reason, False)


@pytest.mark.parametrize(
    ("reason", "final"),
    [
        (TrustReason.REVOKED, True),
        (TrustReason.EXPIRED, True),
        (TrustReason.UNKNOWN_ISSUER, True),
        (TrustReason.REVOCATION_UNKNOWN, False),
    ],
)
async def test_a_peers_certificate_that_is_refused_ends_the_transfer_unless_that_may_pass(
    reason: TrustReason, final: bool
) -> None:
    """Clauses: transport-profile-as4 2.10 a, b."""

    class Refusing(Published):
        async def check(self, *asked: object) -> CertificateVerdict:
            return CertificateVerdict(reason)

    world = Refusing(V1_2)
    with pytest.raises(NoRoute) as caught:
        await Routes(SETTINGS, world, world).find(SENDER, RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert (caught.value.reason, caught.value.final) == (TransferReason.PEER_UNTRUSTED, final)
    assert reason.value in caught.value.detail


async def test_a_recipient_that_is_not_registered_ends_the_transfer() -> None:
    """The sender learns it now, not after days of attempts.

    Clauses: component-accesspoint 3.2.3 a.
    """
    world = Published()
    world.recipient = NotRegistered("x")
    with pytest.raises(NoRoute) as caught:
        await Routes(SETTINGS, world, world).find(SENDER, RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert (caught.value.reason, caught.value.final) == (TransferReason.RECIPIENT_NOT_REGISTERED, True)
