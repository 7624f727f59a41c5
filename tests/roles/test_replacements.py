"""Replacement of certificates, keys and trust while everything runs, which takes effect immediately.

It uses an operator of its own, because the replacements would disturb other tests.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.config.malware import MalwareConfig
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.transfer import TransferReason
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import enrol
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.shapes import Ca
from samdrift.installation.operator import running
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyName
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.roles import web
from tests.roles.interfacec import InterfaceC
from tests.roles.member import Member, until
from tests.roles.peer import Peer
from tests.roles.stage import BOTH_MODELS, HOST, Stage, hasty, member_of
from tests.vaults import server_folder

pytestmark = pytest.mark.usefixtures("files_looked_at_always")

TRANAS = DemoOrganisation(
    ParticipantIdentifier("0203:tranas.se"),
    "Tranås kommun",
    "2120000613",
    FunctionalAddress("sdk.registrator.0203:tranas.se", "Registrator"),
)
OPERATOR = DemoOperator("operator-e", "AP0005-SDK-DEMO", (TRANAS,))
UNKNOWN_ISSUER = [("EBMS:0101", "certificate of the sending access point: unknown-issuer")]


@dataclass
class Place:
    """The operator, and its files as an administrator reaches them."""

    stage: Stage
    folder: Path
    tranas: Member
    keys: KeyStore

    @property
    def trust(self) -> Path:
        return self.folder / "trust/access-point"

    @property
    def config_file(self) -> Path:
        return self.folder / "samdrift.toml"

    def request(self, vault: str, name: KeyName) -> bytes:
        """Create the next key; return its certificate request."""
        return self.keys.create_key(vault, name, x509.Name([]), bits=2048)

    def new_certificate(self) -> x509.Certificate:
        """Replace the access point's certificate; the old one stays until it is retired."""
        request = self.request(OPERATOR_KEYS, KeyName.ACCESS_POINT)
        certificate = self.stage.federation.authority.issue_access_point(OPERATOR.party, request)
        self.keys.install_certificate(OPERATOR_KEYS, KeyName.ACCESS_POINT, certificate)
        return certificate

    def at(self, certificate: x509.Certificate) -> Member:
        """Return the organisation as seen by a peer that found that certificate in SMP."""
        return replace(self.tranas, certificate=certificate)

    def publish(self, certificate: x509.Certificate) -> None:
        """Publish that certificate of the access point in SMP."""
        smp = self.stage.federation.smp
        services = smp.services(TRANAS.identifier)
        assert {service.document for service in services} == set(BOTH_MODELS)
        self.stage.federation.publish(
            replace(
                service,
                endpoints=tuple(replace(one, certificate=certificate) for one in service.endpoints),
            )
            for service in services
        )
        self.tranas = self.at(certificate)


@pytest_asyncio.fixture(scope="module")
async def place(stage: Stage) -> AsyncIterator[Place]:
    with server_folder() as folder:
        enrolled = await enrol(stage.federation, OPERATOR, folder)
        async with running(hasty(enrolled.config, MalwareConfig(None))) as run:
            settings = vault_settings(enrolled.config)
            keys = open_keys(settings)
            yield Place(stage, folder, member_of(stage.federation, run, TRANAS), keys)


# --- whom to trust ------------------------------------------------------------------------------------------


@pytest.fixture
def trust(place: Place, tmp_path: Path) -> Iterator[Path]:
    """Folder of access point issuers, which is restored after the test."""
    before = tmp_path / "before"
    shutil.copytree(place.trust, before)
    yield place.trust
    shutil.rmtree(place.trust)
    shutil.copytree(before, place.trust)


def of_the_other_federation(place: Place, trust: Path) -> None:
    """Replace the issuer in the folder by that of another federation."""
    certificate = place.stage.federation.authority.certificate(Ca.OTHER_FEDERATION)
    (trust / "other.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (trust / f"{Ca.ACCESS_POINT}.pem").unlink()


async def answers(place: Place, peer: Peer) -> list[tuple[str, str]]:
    """Return the errors that a peer gets for a message; empty if it gets a receipt."""
    posted = await peer.posts(peer.encloses(place.tranas), place.tranas)
    return [] if posted.is_receipt_of(place.tranas.certificate) else posted.errors()


async def signer(place: Place, peer: Peer) -> x509.Certificate:
    """Send a message to the peer; return the certificate that it is signed with."""
    message_id = await place.tranas.send(peer.address)

    async def look() -> x509.Certificate | None:
        headers = [one.header for one in peer.received]
        found = [one for one in headers if one.user_message.conversation_id == message_id]
        return found[0].certificate if found else None

    return await until(look, "the message at the peer")


async def test_a_peer_is_refused_when_its_issuer_is_removed_and_another_trusted_when_it_is_added(
    place: Place, trust: Path
) -> None:
    ours = place.stage.peer()
    theirs = place.stage.peer(
        certify=lambda party: place.stage.access_point_certificate(party, ca=Ca.OTHER_FEDERATION)
    )
    assert (await answers(place, ours), await answers(place, theirs)) == ([], UNKNOWN_ISSUER)
    of_the_other_federation(place, trust)
    assert (await answers(place, ours), await answers(place, theirs)) == (UNKNOWN_ISSUER, [])


async def test_nothing_is_sent_to_a_peer_whose_issuer_was_removed(place: Place, trust: Path) -> None:
    peer = place.stage.peer()
    before = await place.tranas.send(peer.address)
    await peer.gets()
    of_the_other_federation(place, trust)
    after = await place.tranas.send(peer.address)
    assert TransferReason.PEER_UNTRUSTED.value in await place.tranas.failure(after)
    assert {one.header.user_message.conversation_id for one in peer.received} == {before}
    await place.tranas.reaches(before, MessageStatus.WAITING_FOR_RECEIPT)


async def test_a_trust_folder_that_is_half_replaced_changes_nothing(place: Place, trust: Path) -> None:
    peer = place.stage.peer()
    assert await answers(place, peer) == []
    file = trust / f"{Ca.ACCESS_POINT}.pem"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert await answers(place, peer) == []
    for each in trust.iterdir():
        each.unlink()
    assert await answers(place, peer) == []


# --- who we are ---------------------------------------------------------------------------------------------


async def test_old_and_new_certificate_overlap_until_the_old_one_is_retired(place: Place) -> None:
    peer, old = place.stage.peer(), place.tranas.certificate
    new = place.new_certificate()
    assert await signer(place, peer) == new
    for certificate in (old, new):
        found = place.at(certificate)
        posted = await peer.posts(peer.encloses(found), found)
        assert posted.is_receipt_of(certificate), (
            "the receipt must be signed with the certificate that the sender knows"
        )
    place.publish(new)
    *_, number = place.keys.installed(OPERATOR_KEYS, KeyName.ACCESS_POINT)
    place.keys.retire(OPERATOR_KEYS, KeyName.ACCESS_POINT, number)
    posted = await peer.posts(peer.encloses(place.tranas), place.at(old))
    assert [code for code, _ in posted.errors()] == ["EBMS:0102"]
    assert await answers(place, peer) == []


async def test_a_certificate_is_replaced_during_traffic_and_nothing_is_lost(place: Place) -> None:
    tranas, agency = place.tranas, place.stage.agency
    sent: list[tuple[Member, Member, str]] = []

    async def traffic(sender: Member, recipient: Member) -> None:
        for _ in range(8):
            sent.append((sender, recipient, await sender.send(recipient.address)))
            await asyncio.sleep(0.05)

    async def rotation() -> None:
        while len(sent) < 6:
            await asyncio.sleep(0.01)
        new = place.new_certificate()
        while len(sent) < 12:
            await asyncio.sleep(0.01)
        place.publish(new)

    await asyncio.gather(traffic(tranas, agency), traffic(agency, tranas), rotation())
    for sender, recipient, message_id in sent:
        assert await sender.ends(message_id) is MessageStatus.ACCEPTED
        assert await recipient.ends(message_id, Direction.IN) is MessageStatus.NEW


async def test_a_key_that_waits_and_a_certificate_of_another_party_change_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    peer, former = place.stage.peer(), place.tranas.certificate
    request = place.request(OPERATOR_KEYS, KeyName.ACCESS_POINT)
    assert await answers(place, peer) == []
    wrong = place.stage.federation.authority.issue_access_point("AP0006-SDK-DEMO", request)
    place.keys.install_certificate(OPERATOR_KEYS, KeyName.ACCESS_POINT, wrong)
    assert await signer(place, peer) == former
    assert "access point keys: unusable; the previous version stays in use" in caplog.text
    place.publish(place.new_certificate())
    assert await answers(place, peer) == []


# --- TLS and interface C ------------------------------------------------------------------------------------


def shown_by(port: int, trust: Path) -> x509.Certificate:
    """Return the certificate that a server presents."""
    context = web.tls(trust)
    with (
        socket.create_connection((HOST, port)) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as tls,
    ):
        shown = tls.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


async def test_the_servers_show_a_new_certificate(place: Place) -> None:
    port, trust = place.tranas.access_point.listen.port, place.tranas.config.inner_issuers
    before = await asyncio.to_thread(shown_by, port, trust)
    request = place.request(OPERATOR_KEYS, KeyName.TLS_SERVER)
    certificate = place.stage.federation.authority.issue_tls_server([HOST], request)
    place.keys.install_certificate(OPERATOR_KEYS, KeyName.TLS_SERVER, certificate)
    assert await asyncio.to_thread(shown_by, port, trust) == certificate != before
    assert await answers(place, place.stage.peer()) == []


def fingerprint(file: Path) -> str:
    certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
    return certificate.fingerprint(hashes.SHA256()).hex()


async def test_a_client_of_interface_c_gets_a_new_certificate(place: Place) -> None:
    tranas, config = place.tranas, place.config_file
    old_file, password = await tranas.client_tls()
    vault = old_file.parent.parent.name
    request = place.request(vault, KeyName.TLS_CLIENT)
    certificate = place.stage.federation.authority.issue_tls_client("message-service", request)
    new = certificate.fingerprint(hashes.SHA256()).hex()
    old = fingerprint(old_file)
    text = config.read_text()
    config.write_text(text.replace(f'"{old}"', f'"{old}", "next" = "{new}"'))
    place.keys.install_certificate(vault, KeyName.TLS_CLIENT, certificate)
    message_id = await tranas.send(place.stage.agency.address)
    assert await tranas.ends(message_id) is MessageStatus.ACCEPTED

    base = f"{tranas.own_config.access_point}/c/v1"
    with_old = InterfaceC(base, web.tls(tranas.config.inner_issuers, (old_file, password)))
    assert (await with_old.poll()).status == 200
    config.write_text(text.replace(old, new)[:-9])
    assert (await with_old.poll()).status == 200, "a file that is half written changes nothing"
    config.write_text(text.replace(old, new))
    assert (await with_old.poll()).problem == (403, "client-unknown")
    message_id = await tranas.send(place.stage.agency.address)
    assert await tranas.ends(message_id) is MessageStatus.ACCEPTED
