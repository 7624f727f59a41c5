"""The platform's own lookups and checks against a federation that runs (interface B, end to end)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
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
from samdrift.federation.server import Failure, LocalFederation, Service
from samdrift.federation.shapes import Ca, Use, Validity
from samdrift.net.addressbook import AddressBookClient, AddressBookUnavailable
from samdrift.net.certificates import FederationCertificates
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.net.discovery import SmpDiscovery
from samdrift.net.dns import NaptrResolver
from samdrift.net.revocation import RevocationSource
from samdrift.net.trustfolder import read_policies
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.identifiers import (
    RECEIPT_EXTENDED,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from samdrift.wire.smp import build_signed_service_metadata
from samdrift.wire.verdicts import TrustReason

HABO = ParticipantIdentifier.parse("0203:habo.se")
EDA = ParticipantIdentifier.parse("0203:eda.se")
AT_ONCE = timedelta(0)


@dataclass
class Clients:
    """The clients of an access point or a message service for the federation, without a cache."""

    discovery: SmpDiscovery
    checks: FederationCertificates
    book: AddressBookClient


@pytest_asyncio.fixture
async def clients(federation: LocalFederation, tmp_path: Path) -> AsyncIterator[Clients]:
    federation.write_trust(tmp_path / "trust")
    policies = read_policies(tmp_path / "trust")
    async with http_client(public_only=False) as http:
        source = RevocationSource(http, system_clock, keep=AT_ONCE, retry=AT_ONCE)
        checks = FederationCertificates(lambda: policies, source, keep=AT_ONCE, keep_temporary=AT_ONCE)
        resolver = NaptrResolver([("127.0.0.1", federation.dns_port)], within=1.0)
        discovery = SmpDiscovery(federation.sml_zone, resolver, http, checks, system_clock, keep=AT_ONCE)
        yield Clients(discovery, checks, AddressBookClient(http, federation.address_book_url))


@pytest.fixture
def access_point(federation: LocalFederation, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """Return the certificate of the access point that Håbo is registered with."""
    public = key.public_key()
    certificate = federation.authority.issue_access_point("AP0001-SDK-DEMO", public)
    signing = federation.authority.issue_organisation(HABO, "Håbo kommun", public, Use.SIGNING)
    encryption = federation.authority.issue_organisation(HABO, "Håbo kommun", public, Use.ENCRYPTION)
    federation.register_participant(
        HABO,
        "Håbo kommun",
        "2120000241",
        "https://127.0.0.1:9/as4",
        certificate,
        signing,
        encryption,
        [FunctionalAddress("SE2120000241-00001", "Registrator")],
    )
    return certificate


async def reason(clients: Clients, certificate: x509.Certificate, purpose: CertificatePurpose) -> TrustReason:
    return (await clients.checks.check(certificate, purpose, system_clock())).reason


@pytest.mark.parametrize("document", [SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED])
async def test_everything_that_is_looked_up_is_trusted_for_its_purpose(
    clients: Clients, access_point: x509.Certificate, document: DocumentIdentifier
) -> None:
    metadata = await clients.discovery.service(HABO, document)
    endpoint = metadata.endpoint_for(["digg-transport-as4-v1_2"], system_clock())
    assert endpoint is not None
    assert endpoint.certificate == access_point
    assert await reason(clients, access_point, CertificatePurpose.ACCESS_POINT) is TrustReason.TRUSTED
    for own in (*metadata.certificates.signing, *metadata.certificates.encryption):
        assert await reason(clients, own, CertificatePurpose.ORGANISATION) is TrustReason.TRUSTED
        assert await reason(clients, own, CertificatePurpose.ACCESS_POINT) is TrustReason.UNKNOWN_ISSUER


async def test_tf_02_a_revoked_access_point_is_refused(
    clients: Clients, federation: LocalFederation, access_point: x509.Certificate
) -> None:
    assert await reason(clients, access_point, CertificatePurpose.ACCESS_POINT) is TrustReason.TRUSTED
    federation.authority.revoke(access_point)
    assert await reason(clients, access_point, CertificatePurpose.ACCESS_POINT) is TrustReason.REVOKED


async def test_tf_03_an_access_point_of_another_federation_is_refused(
    clients: Clients, federation: LocalFederation, key: rsa.RSAPrivateKey
) -> None:
    other = federation.authority.issue_access_point(
        "AP0001-OPEN-DEMO", key.public_key(), ca=Ca.OTHER_FEDERATION
    )
    assert await reason(clients, other, CertificatePurpose.ACCESS_POINT) is TrustReason.UNKNOWN_ISSUER


async def test_tf_03_an_access_point_of_another_environment_is_refused(
    clients: Clients, federation: LocalFederation, key: rsa.RSAPrivateKey
) -> None:
    authority = federation.other_environment()
    other = authority.issue_access_point("AP0005-SDK-ELSEWHERE", key.public_key())
    assert await reason(clients, other, CertificatePurpose.ACCESS_POINT) is TrustReason.UNKNOWN_ISSUER


@pytest.mark.parametrize(("days", "expected"), [(-9, TrustReason.EXPIRED), (1, TrustReason.NOT_YET_VALID)])
async def test_7_an_access_point_whose_certificate_is_not_valid_now_is_refused(
    clients: Clients, federation: LocalFederation, key: rsa.RSAPrivateKey, days: int, expected: TrustReason
) -> None:
    start = system_clock() + timedelta(days=days)
    validity = Validity(start, start + timedelta(days=1))
    certificate = federation.authority.issue_access_point(
        "AP0002-SDK-DEMO", key.public_key(), validity=validity
    )
    assert await reason(clients, certificate, CertificatePurpose.ACCESS_POINT) is expected


async def test_2_10_f_metadata_that_an_access_point_signed_is_not_trusted(
    clients: Clients, federation: LocalFederation, access_point: x509.Certificate, key: rsa.RSAPrivateKey
) -> None:
    for service in federation.smp.services(HABO):
        body = build_signed_service_metadata(service, SoftwareSigningKey(key, access_point))
        federation.smp.publish(HABO, service.document, body)
    with pytest.raises(DiscoveryUntrusted):
        await clients.discovery.service(HABO, SDK_MESSAGE_EXTENDED)


async def test_2_10_g_metadata_of_a_revoked_signer_is_not_trusted(
    clients: Clients, federation: LocalFederation, access_point: x509.Certificate
) -> None:
    federation.authority.revoke(federation.authority.smp_signer().certificate)
    with pytest.raises(DiscoveryUntrusted):
        await clients.discovery.service(HABO, SDK_MESSAGE_EXTENDED)


async def test_3_2_4_who_is_not_there_is_not_registered(
    clients: Clients, federation: LocalFederation, access_point: x509.Certificate
) -> None:
    with pytest.raises(NotRegistered):
        await clients.discovery.service(EDA, SDK_MESSAGE_EXTENDED)
    federation.smp.remove(HABO)
    with pytest.raises(NotRegistered):
        await clients.discovery.service(HABO, SDK_MESSAGE_EXTENDED)


@pytest.mark.parametrize("service", [Service.SML, Service.SMP, Service.RESPONDER])
async def test_3_2_3_a_service_that_fails_may_answer_later(
    clients: Clients, federation: LocalFederation, access_point: x509.Certificate, service: Service
) -> None:
    federation.outages.failures[service] = Failure.ERROR
    with pytest.raises(DiscoveryUnavailable):
        await clients.discovery.service(HABO, SDK_MESSAGE_EXTENDED)
    federation.outages.failures.clear()
    assert await clients.discovery.service(HABO, SDK_MESSAGE_EXTENDED)


async def test_address_book(
    clients: Clients, federation: LocalFederation, access_point: x509.Certificate
) -> None:
    (habo,) = await clients.book.organisations()
    assert (habo.participant, habo.name) == (HABO, "Håbo kommun")
    (registrator,) = await clients.book.addresses(HABO)
    assert registrator.organisation == habo
    assert await clients.book.address("SE2120000241-00001") == registrator
    assert await clients.book.address("SE2120000241-00002") is None
    federation.outages.failures[Service.ADDRESS_BOOK] = Failure.ERROR
    with pytest.raises(AddressBookUnavailable):
        await clients.book.organisations()
