"""The federation as participants see it: through the lookups and checks of interface B.

What the test bed will rely on: each way in which a peer, an SMP or a shared
service can be wrong leads to the verdict that the access point acts on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.contracts.discovery import (
    CertificatePurpose,
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    NotRegistered,
)
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.outages import Failure, Service
from samdrift.federation.server import LocalFederation
from samdrift.federation.shapes import Ca, Use, Validity
from samdrift.net.addressbook import AddressBookClient
from samdrift.net.certificates import FederationCertificates
from samdrift.net.clock import system_clock
from samdrift.net.discovery import SmpDiscovery
from samdrift.net.dns import NaptrResolver
from samdrift.net.http import FetchLimits, http_client
from samdrift.net.revocation import RevocationSource
from samdrift.net.trustfolder import read_policies
from samdrift.wire.identifiers import (
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
    ParticipantIdentifier,
)
from samdrift.wire.smp import build_signed_service_metadata
from samdrift.wire.softwarekeys import SoftwareSigningKey
from samdrift.wire.verdicts import TrustReason

HABO = ParticipantIdentifier.parse("0203:habo.se")
AP_URL = "https://127.0.0.1:9/as4"


@dataclass
class Participant:
    """Somebody who trusts the federation and looks others up in it."""

    federation: LocalFederation
    key: rsa.RSAPrivateKey
    checks: FederationCertificates
    discovery: SmpDiscovery
    address_book: AddressBookClient

    def access_point(self, validity: Validity | None = None, ca: Ca = Ca.ACCESS_POINT) -> x509.Certificate:
        return self.federation.authority.issue_access_point(
            "AP0001-SDK-DEMO", self.key.public_key(), validity=validity, ca=ca
        )

    def register(self) -> None:
        signing, encryption = (
            self.federation.authority.issue_organisation(HABO, "Habo kommun", self.key.public_key(), use)
            for use in (Use.SIGNING, Use.ENCRYPTION)
        )
        address = FunctionalAddress("SE2120001611-0001", "Registrator")
        self.federation.register_participant(
            HABO, "Habo kommun", "2120001611", AP_URL, self.access_point(), signing, encryption, [address]
        )

    async def reason(
        self,
        certificate: x509.Certificate,
        purpose: CertificatePurpose = CertificatePurpose.ACCESS_POINT,
    ) -> TrustReason:
        return (await self.checks.check(certificate, purpose, datetime.now(UTC))).reason


@pytest_asyncio.fixture
async def participant(
    federation: LocalFederation, key: rsa.RSAPrivateKey, tmp_path: Path
) -> AsyncIterator[Participant]:
    federation.write_trust(tmp_path / "trust")
    async with http_client(public_only=False) as client:
        checks = FederationCertificates(
            read_policies(tmp_path / "trust"), RevocationSource(client, system_clock)
        )
        resolver = NaptrResolver([("127.0.0.1", federation.dns_port)], within=0.5)
        limits = FetchLimits(max_bytes=1 << 20, seconds=0.5)
        discovery = SmpDiscovery(federation.sml_zone, resolver, client, checks, system_clock, limits=limits)
        book = AddressBookClient(client, federation.address_book_url)
        yield Participant(federation, key, checks, discovery, book)


async def test_registered_participant_is_found_and_trusted(participant: Participant) -> None:
    participant.register()
    for document in (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED):
        metadata = await participant.discovery.service(HABO, document)
        (endpoint, *_) = metadata.endpoints
        assert endpoint.address == AP_URL
        assert await participant.reason(endpoint.certificate) is TrustReason.TRUSTED
        for certificate in (*metadata.certificates.signing, *metadata.certificates.encryption):
            assert (
                await participant.reason(certificate, CertificatePurpose.ORGANISATION) is TrustReason.TRUSTED
            )


async def test_tf_02_revoked_access_point(participant: Participant) -> None:
    certificate = participant.access_point()
    participant.federation.authority.revoke(certificate)
    assert await participant.reason(certificate) is TrustReason.REVOKED


async def test_tf_03_access_point_of_another_environment(participant: Participant) -> None:
    other = participant.federation.other_environment()
    certificate = other.issue_access_point("AP0005-SDK-ELSEWHERE", participant.key.public_key())
    assert await participant.reason(certificate) is TrustReason.UNKNOWN_ISSUER


async def test_access_point_of_another_federation(participant: Participant) -> None:
    """accesspoint-test-cases 7: the other federation's issuer is below the same root."""
    certificate = participant.access_point(ca=Ca.OTHER_FEDERATION)
    assert await participant.reason(certificate) is TrustReason.UNKNOWN_ISSUER


async def test_access_point_whose_certificate_has_run_out(participant: Participant) -> None:
    """accesspoint-test-cases 7."""
    now = datetime.now(UTC)
    past = Validity(now - timedelta(days=9), now - timedelta(days=1))
    future = Validity(now + timedelta(days=1), now + timedelta(days=9))
    assert await participant.reason(participant.access_point(past)) is TrustReason.EXPIRED
    assert await participant.reason(participant.access_point(future)) is TrustReason.NOT_YET_VALID


async def test_organisation_certificate_is_no_access_points(participant: Participant) -> None:
    authority, public = participant.federation.authority, participant.key.public_key()
    certificate = authority.issue_organisation(HABO, "Habo kommun", public, Use.SIGNING)
    assert await participant.reason(certificate) is TrustReason.UNKNOWN_ISSUER


async def test_metadata_signed_by_somebody_else_is_not_trusted(participant: Participant) -> None:
    """transport-profile-as4 2.10 f."""
    participant.register()
    signer = SoftwareSigningKey(participant.key, participant.access_point())
    for service in participant.federation.smp.services(HABO):
        body = build_signed_service_metadata(service, signer)
        participant.federation.smp.publish(HABO, service.document, body)
    with pytest.raises(DiscoveryUntrusted):
        await participant.discovery.service(HABO, SDK_MESSAGE_EXTENDED)


async def test_metadata_of_a_revoked_signer_is_not_trusted(participant: Participant) -> None:
    """transport-profile-as4 2.10 g."""
    participant.register()
    authority = participant.federation.authority
    authority.revoke(authority.smp_signer().certificate)
    with pytest.raises(DiscoveryUntrusted):
        await participant.discovery.service(HABO, SDK_MESSAGE_EXTENDED)


async def test_who_is_not_registered_is_not_found(participant: Participant) -> None:
    with pytest.raises(NotRegistered):
        await participant.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    other = ParticipantIdentifier.parse("0203:solna.se")
    participant.federation.sml.register([other], participant.federation.smp_url)
    with pytest.raises(NotRegistered):
        await participant.discovery.service(other, SDK_MESSAGE_BASE)


@pytest.mark.parametrize(
    ("service", "failure"),
    [
        (Service.SML, Failure.ERROR),
        (Service.SML, Failure.SILENCE),
        (Service.SMP, Failure.ERROR),
        (Service.SMP, Failure.SILENCE),
        (Service.RESPONDER, Failure.ERROR),
    ],
)
async def test_outage_of_a_shared_service(
    participant: Participant, service: Service, failure: Failure
) -> None:
    participant.register()
    participant.federation.outages.failures[service] = failure
    with pytest.raises(DiscoveryUnavailable):
        await participant.discovery.service(HABO, SDK_MESSAGE_EXTENDED)


async def test_address_book_is_read(participant: Participant) -> None:
    participant.register()
    (organisation,) = await participant.address_book.organisations()
    assert organisation.participant == HABO
    (address,) = await participant.address_book.addresses(HABO)
    assert address.identifier == "SE2120001611-0001"
    assert await participant.address_book.address("SE2120001611-0001") == address
    assert await participant.address_book.address("SE2120001611-0002") is None
