"""A whole federation that runs: from a name to an access point, restart, and refusals."""

from __future__ import annotations

import socket
from pathlib import Path

import dns.asyncresolver
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.federation import ports
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.ports import free_port
from samdrift.federation.server import LocalFederation, running
from samdrift.federation.shapes import Ca
from samdrift.federation.store import FederationError
from samdrift.net.trustfolder import read_policies
from samdrift.wire import bdxl
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, ParticipantIdentifier
from samdrift.wire.smp import service_metadata_path, verify_signed_service_metadata
from tests.unit.federation.conftest import no_key

HABO = ParticipantIdentifier.parse("0203:habo.se")


async def test_from_participant_to_access_point(
    federation: LocalFederation, key: rsa.RSAPrivateKey, http: httpx.AsyncClient
) -> None:
    """transport-profile-as4 2.10: SML, SMP and certificate, and the address book in addition."""
    certificate = federation.authority.issue_access_point("AP0001-SDK-DEMO", key.public_key())
    address = FunctionalAddress("SE2120001611-0001", "Registrator")
    federation.register_participant(
        HABO,
        "Habo kommun",
        "2120001611",
        "https://127.0.0.1:9/as4",
        certificate,
        functional_addresses=[address],
    )
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], federation.dns_port
    (found,) = await resolver.resolve(bdxl.host(HABO, federation.sml_zone), "NAPTR")
    record = bdxl.Naptr(
        found.order,
        found.preference,
        found.flags.decode(),
        found.service.decode(),
        found.regexp.decode(),
        str(found.replacement),
    )
    smp = bdxl.smp_address([record])
    answer = await http.get(smp + service_metadata_path(HABO, SDK_MESSAGE_EXTENDED))
    metadata = verify_signed_service_metadata(answer.content).metadata
    assert metadata is not None
    endpoint = metadata.endpoint_for(["digg-transport-as4-v1_0"], certificate.not_valid_before_utc)
    assert endpoint is not None
    assert (endpoint.address, endpoint.certificate) == ("https://127.0.0.1:9/as4", certificate)
    answer = await http.get(f"{federation.address_book_url}/addresses?include=organization")
    assert [one["attributes"]["identifier"] for one in answer.json()["data"]] == [address.identifier]
    assert answer.json()["included"][0]["attributes"]["participantIdentifier"] == HABO.value
    federation.remove_participant(HABO)
    with pytest.raises(dns.resolver.NXDOMAIN):
        await resolver.resolve(bdxl.host(HABO, federation.sml_zone), "NAPTR")
    assert (await http.get(f"{federation.address_book_url}/addresses")).json()["data"] == []


async def test_second_start_makes_no_key_and_moves_nothing(
    federation_folder: Path,
    key: rsa.RSAPrivateKey,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(federation_folder) as first:
        certificate = first.authority.issue_access_point("AP0001-SDK-DEMO", key.public_key())
        addresses = (first.smp_url, first.responder_url, first.address_book_url, first.unreachable_url)
    monkeypatch.setattr(rsa, "generate_private_key", no_key)
    async with running(federation_folder) as second:
        assert addresses == (
            second.smp_url,
            second.responder_url,
            second.address_book_url,
            second.unreachable_url,
        )
        second.authority.revoke(certificate)
        revoked = x509.load_der_x509_crl((await http.get(f"{addresses[1]}/crl/apca.crl")).content)
        assert revoked.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


async def test_taken_port_is_an_error(federation_folder: Path) -> None:
    async with running(federation_folder) as local:
        with pytest.raises(FederationError, match="port"):
            async with running(federation_folder):
                pass
        dns_port = local.dns_port
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", dns_port))
        with pytest.raises(FederationError, match="port"):
            async with running(federation_folder):
                pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "localhost.example"])
async def test_it_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    """Invariant 12: a federation for demonstration cannot be reached from outside."""
    with pytest.raises(FederationError, match="loopback"):
        async with running(tmp_path, host):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_trust_folder_is_read_as_the_federations_policies(
    federation: LocalFederation, tmp_path: Path
) -> None:
    federation.write_trust(tmp_path / "trust")
    policies = read_policies(tmp_path / "trust")
    assert {purpose: (policy.anchors, policy.issuers) for purpose, policy in policies.items()} == {
        purpose: tuple(tuple(map(federation.authority.certificate, cas)) for cas in (anchors, issuers))
        for purpose, anchors, issuers in (
            (CertificatePurpose.ACCESS_POINT, [Ca.ACCESS_POINT_ROOT], [Ca.ACCESS_POINT]),
            (CertificatePurpose.SMP, [Ca.SMP], []),
            (CertificatePurpose.ORGANISATION, [Ca.ORGANISATION_ROOT], [Ca.ORGANISATION]),
        )
    }
    tls = (tmp_path / "trust" / "tls" / "tlsca.pem").read_bytes()
    assert x509.load_pem_x509_certificate(tls) == federation.authority.certificate(Ca.TLS)


async def test_other_environment_shares_no_authority(
    federation: LocalFederation, key: rsa.RSAPrivateKey
) -> None:
    """accesspoint-test-cases TF-03: the sender's certificate belongs to another environment."""
    other = federation.other_environment()
    certificate = other.issue_access_point("AP0005-SDK-ELSEWHERE", key.public_key())
    certificate.verify_directly_issued_by(other.certificate(Ca.ACCESS_POINT))
    ours, theirs = ([one.certificate(ca) for ca in Ca] for one in (federation.authority, other))
    assert all(mine.public_key() != their.public_key() for mine in ours for their in theirs)
    assert certificate.issuer not in {one.subject for one in ours}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("ports.json", "{"),
        ("smp/0203%3Ahabo.se.json", "["),
        ("addressbook/1.json", "no"),
        ("authority/register.jsonl", "{}\n"),
        ("authority/apca.key", ""),
    ],
)
async def test_damaged_folder_is_told_by_file(federation_folder: Path, file: str, content: str) -> None:
    (federation_folder / file).parent.mkdir(exist_ok=True)
    (federation_folder / file).write_text(content)
    with pytest.raises(FederationError):
        async with running(federation_folder):
            pass


def test_a_port_for_later_is_none_that_an_outgoing_connection_is_given() -> None:
    """The port is still free when an installation starts again on it."""
    start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = {free_port("127.0.0.1") for _ in range(20)}
    assert len(found) > 1
    assert max(found) < start
    for port in found:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_no_port_is_given_twice() -> None:
    """Several ports are found before anything listens on the first."""
    found = [free_port("127.0.0.1") for _ in range(1000)]
    assert len(set(found)) == len(found)


def test_a_port_that_is_taken_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    free = free_port("127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(ports, "_ports", lambda: iter([taken.getsockname()[1], free]))
        assert free_port("127.0.0.1") == free
