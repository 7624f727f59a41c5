"""component-accesspoint 3.1.5 b: the peer is sent to under the name in its certificate."""

from __future__ import annotations

from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from samdrift.accesspoint.route import NoRoute, Routes
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.contracts.transfer import TransferReason
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, ParticipantIdentifier, ProcessIdentifier
from samdrift.wire.profile import AS4_1_2
from samdrift.wire.smp import Endpoint, ServiceMetadata
from samdrift.wire.verdicts import CertificateVerdict, TrustReason
from tests import pki

RECIPIENT = ParticipantIdentifier("0203:b.se")
SETTINGS = AccessPointSettings("AP0001-SDK-TEST", "test", "ap.test")


class Published:
    """Discovery of one service, and trust in whatever certificate it has."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self._endpoint = Endpoint(AS4_1_2.identifier, "https://peer.test/as4", certificate)

    async def service(self, *asked: object) -> ServiceMetadata:
        return ServiceMetadata(RECIPIENT, SDK_MESSAGE_EXTENDED, ProcessIdentifier("p"), (self._endpoint,))

    async def check(self, *asked: object) -> CertificateVerdict:
        return CertificateVerdict(TrustReason.TRUSTED)


def routes(subject: str | x509.Name) -> Routes:
    world: Any = Published(pki.root("Root", 0).issue(subject, private_key=pki.key(1)).certificate)
    return Routes(SETTINGS, cast(Any, world), cast(Any, world))


async def test_the_party_is_the_common_name() -> None:
    route = await routes("AP0002-SDK-TEST").find(RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert route.party == "AP0002-SDK-TEST"


async def test_a_peer_without_a_name_cannot_be_sent_to() -> None:
    nameless = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Bolaget")])
    with pytest.raises(NoRoute) as caught:
        await routes(nameless).find(RECIPIENT, SDK_MESSAGE_EXTENDED, pki.NOW)
    assert (caught.value.reason, caught.value.final) == (TransferReason.PEER_UNTRUSTED, True)
