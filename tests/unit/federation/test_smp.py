"""SMP and certificate publishing over HTTP (component-smp 2.8, 2.9; certpub-rest-binding 3)."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.federation.server import Failure, LocalFederation, Service, running
from samdrift.federation.shapes import Ca, Use
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.identifiers import (
    NO_PROCESS,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
    ParticipantIdentifier,
)
from samdrift.wire.profile import PROFILES
from samdrift.wire.smp import (
    Endpoint,
    PublishedCertificates,
    ServiceMetadata,
    build_signed_service_metadata,
    parse_service_group,
    service_group_path,
    service_metadata_path,
    verify_signed_service_metadata,
)

HABO = ParticipantIdentifier.parse("0203:habo.se")
AP_URL = "http://127.0.0.1:9/as4"


def access_point(federation: LocalFederation, key: rsa.RSAPrivateKey) -> x509.Certificate:
    return federation.authority.issue_access_point("AP0001-SDK-DEMO", key.public_key())


def register(federation: LocalFederation, key: rsa.RSAPrivateKey) -> tuple[x509.Certificate, ...]:
    public = key.public_key()
    certificates = (
        access_point(federation, key),
        federation.authority.issue_organisation(HABO, "Habo kommun", public, Use.SIGNING),
        federation.authority.issue_organisation(HABO, "Habo kommun", public, Use.ENCRYPTION),
    )
    federation.register_participant(HABO, "Habo kommun", "2120001611", AP_URL, *certificates)
    return certificates


async def test_service_group_leads_to_the_metadata(
    federation: LocalFederation, key: rsa.RSAPrivateKey, http: httpx.AsyncClient
) -> None:
    register(federation, key)
    answer = await http.get(federation.smp_url + service_group_path(HABO))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    group = parse_service_group(answer.content)
    assert group.participant == HABO
    assert len(group.references) == 2
    for reference in group.references:
        found = await http.get(reference)
        assert verify_signed_service_metadata(found.content).valid


async def test_metadata_is_signed_and_carries_endpoints_and_certificates(
    federation: LocalFederation, key: rsa.RSAPrivateKey, http: httpx.AsyncClient
) -> None:
    """certpub-rest-binding 3: signing certificate under the receipt, encryption under the message."""
    ap_certificate, signing, encryption = register(federation, key)
    for document in (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED):
        answer = await http.get(federation.smp_url + service_metadata_path(HABO, document))
        verdict = verify_signed_service_metadata(answer.content)
        assert verdict.valid, verdict.reason
        assert verdict.metadata is not None
        assert verdict.signer is not None
        verdict.signer.verify_directly_issued_by(federation.authority.certificate(Ca.SMP))
        metadata = verdict.metadata
        assert (metadata.participant, metadata.document, metadata.process) == (HABO, document, NO_PROCESS)
        assert metadata.certificates == PublishedCertificates((signing,), (encryption,))
        assert metadata.endpoints == tuple(Endpoint(one, AP_URL, ap_certificate) for one in PROFILES)


async def test_path_may_be_encoded_in_several_ways(
    federation: LocalFederation, key: rsa.RSAPrivateKey, http: httpx.AsyncClient
) -> None:
    register(federation, key)
    encoded = service_metadata_path(HABO, SDK_MESSAGE_EXTENDED)
    for path in (encoded, encoded.replace("%3A", ":"), encoded.replace("habo", "HABO")):
        answer = await http.get(federation.smp_url + path)
        assert verify_signed_service_metadata(answer.content).valid


async def test_unknown_participant_document_and_path_are_not_found(
    federation: LocalFederation, key: rsa.RSAPrivateKey, http: httpx.AsyncClient
) -> None:
    register(federation, key)
    other = ParticipantIdentifier.parse("0203:other.se")
    for path in (
        service_group_path(other),
        service_metadata_path(other, SDK_MESSAGE_EXTENDED),
        service_metadata_path(HABO, SDK_MESSAGE_BASE),
        "/",
        service_group_path(HABO) + "/services",
        "/%FF%FE",
    ):
        assert (await http.get(federation.smp_url + path)).status_code == 404
    assert (await http.post(federation.smp_url + service_group_path(HABO))).status_code == 405


async def test_removed_participant_is_gone(
    federation: LocalFederation, key: rsa.RSAPrivateKey, http: httpx.AsyncClient
) -> None:
    register(federation, key)
    path = federation.smp_url + service_metadata_path(HABO, SDK_MESSAGE_EXTENDED)
    assert (await http.get(path)).status_code == 200
    federation.remove_participant(HABO)
    assert (await http.get(path)).status_code == 404


async def test_changed_registration_is_published_at_once(
    federation: LocalFederation, key: rsa.RSAPrivateKey, http: httpx.AsyncClient
) -> None:
    certificate, *_ = register(federation, key)
    path = federation.smp_url + service_metadata_path(HABO, SDK_MESSAGE_EXTENDED)
    await http.get(path)
    federation.register_participant(
        HABO, "Habo kommun", "2120001611", federation.unreachable_url, certificate
    )
    metadata = verify_signed_service_metadata((await http.get(path)).content).metadata
    assert metadata is not None
    assert {one.address for one in metadata.endpoints} == {federation.unreachable_url}
    assert metadata.certificates == PublishedCertificates()


async def test_unreachable_address_refuses_connections(
    federation: LocalFederation, http: httpx.AsyncClient
) -> None:
    with pytest.raises(httpx.ConnectError):
        await http.get(federation.unreachable_url)


async def test_metadata_of_a_strange_signer_can_be_published(
    federation: LocalFederation, key: rsa.RSAPrivateKey, http: httpx.AsyncClient
) -> None:
    """transport-profile-as4 2.10 f: metadata for the test bed that must not be trusted."""
    register(federation, key)
    certificate = federation.authority.issue_tls_client("not an SMP", key.public_key())
    (service, *_) = federation.smp.services(HABO)
    body = build_signed_service_metadata(service, SoftwareSigningKey(key, certificate))
    federation.smp.publish(HABO, service.document, body)
    path = federation.smp_url + service_metadata_path(HABO, service.document)
    verdict = verify_signed_service_metadata((await http.get(path)).content)
    assert verdict.valid
    assert verdict.signer == certificate
    federation.smp.publish(HABO, service.document, body.replace(b"0203:habo.se", b"0203:hubo.se"))
    assert not verify_signed_service_metadata((await http.get(path)).content).valid
    federation.smp.put([service])
    signer = verify_signed_service_metadata((await http.get(path)).content).signer
    assert signer == federation.authority.smp_signer().certificate


async def test_registrations_survive_a_restart(federation_folder: Path, key: rsa.RSAPrivateKey) -> None:
    async with running(federation_folder) as first:
        certificates = register(first, key)
        activated = ServiceMetadata(
            ParticipantIdentifier.parse("0203:solna.se"),
            SDK_MESSAGE_BASE,
            NO_PROCESS,
            (
                Endpoint(
                    "digg-transport-as4-v1_0",
                    AP_URL,
                    certificates[0],
                    certificates[0].not_valid_before_utc,
                    certificates[0].not_valid_after_utc,
                    "Solna",
                    "support@example.se",
                ),
            ),
        )
        first.publish([activated])
        services = first.smp.services(HABO)
    async with running(federation_folder) as second:
        assert second.smp.services(HABO) == services
        assert second.smp.services(activated.participant) == [activated]
        assert second.smp_url == first.smp_url
        assert second.dns_port == first.dns_port
        assert [entry.organisation.participant for entry in second.directory.entries()] == [HABO]


async def test_outages(federation: LocalFederation, key: rsa.RSAPrivateKey, http: httpx.AsyncClient) -> None:
    register(federation, key)
    path = federation.smp_url + service_group_path(HABO)
    federation.outages.failures[Service.SMP] = Failure.ERROR
    assert (await http.get(path)).status_code == 503
    federation.outages.failures[Service.SMP] = Failure.SILENCE
    with pytest.raises(httpx.ReadTimeout):
        await http.get(path, timeout=0.1)
    federation.outages.failures.clear()
    assert (await http.get(path)).status_code == 200
