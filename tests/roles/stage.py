"""A federation with two operators under test, and further access points on request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from samdrift.config.malware import MalwareConfig
from samdrift.config.model import Config, MetricsConfig, OrganisationConfig, SocketAddress
from samdrift.contracts.messageclients import Scope, patterns
from samdrift.contracts.principals import Role
from samdrift.demo.cast import AGENCY, HABO, MULLSJO, OPERATORS, DemoOrganisation
from samdrift.demo.enrolment import enrol
from samdrift.federation.authority import Authority
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.ports import free_port
from samdrift.federation.server import DOCUMENTS, LocalFederation
from samdrift.federation.server import running as federation_running
from samdrift.federation.shapes import Use
from samdrift.installation.operator import Operator, running
from samdrift.messageservice.access import Access
from samdrift.messageservice.outgoing.compose import Address
from samdrift.net.clamd import ClamdAddress
from samdrift.net.dns import NaptrResolver
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import TlsIdentity, server_tls
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey
from samdrift.wire.identifiers import (
    RECEIPT_BASE,
    SDK_MESSAGE_BASE,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from tests import pki
from tests.roles import web
from tests.roles.member import Member
from tests.roles.messageclient import MessageClient, MessageClients
from tests.roles.peer import Peer, Peers
from tests.scanner import Clamd, clamd
from tests.vaults import IN_ORDER

HOST = "127.0.0.1"
ATTEMPTS = 3
INTERVAL = 0.4
"""Seconds between attempts, shorter than a configuration file allows, so that tests wait less."""
ANSWER_WITHIN = 60
"""Seconds for an answer, since a peer under test may be as slow as the machine."""
BOTH_MODELS = (*DOCUMENTS, SDK_MESSAGE_BASE, RECEIPT_BASE)
GNOSJO = DemoOrganisation(
    ParticipantIdentifier("0203:gnosjo.se"),
    "Gnosjö kommun",
    "2120000506",
    FunctionalAddress("sdk.registrator.0203:gnosjo.se", "Registrator"),
)
OF_THE_STAGE = frozenset(one.identifier for one in (HABO, MULLSJO, GNOSJO, AGENCY))
"""Organisations that are registered at the stage's own operators for the whole session."""
_NUMBERS = count(100)
_PASSWORD = "open sesame"


@contextmanager
def no_patience_with_dns() -> Iterator[None]:
    """Give new resolvers a very short timeout, for a name server that never answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NaptrResolver.__init__, "__kwdefaults__", {"within": 0.2, "trusted": ()})
        yield


def hasty(config: Config, malware: MalwareConfig) -> Config:
    """Return the configuration with short waits, a scanner, and no cache of SMP metadata."""
    assert config.access_point is not None
    assert config.message_service is not None
    served = {one.identifier for one in config.organisations}
    return replace(
        config,
        federation=replace(config.federation, metadata_seconds=0, retry_seconds=cast(Any, INTERVAL / 2)),
        access_point=replace(
            config.access_point,
            attempts=ATTEMPTS,
            interval_seconds=cast(Any, INTERVAL),
            answer_seconds=ANSWER_WITHIN,
        ),
        message_service=replace(config.message_service, retry_seconds=cast(Any, INTERVAL)),
        malware=malware,
        address_book=config.address_book if served == {AGENCY.identifier} else None,
        metrics=MetricsConfig(_free_address(), queue_seconds=cast(Any, INTERVAL / 4)),
        organisations=tuple(map(_as_it_is_here, config.organisations)),
    )


def _free_address() -> SocketAddress:
    return SocketAddress(HOST, free_port(HOST))


def _as_it_is_here(organisation: OrganisationConfig) -> OrganisationConfig:
    roles = (Role.ACCESS_POINT,) if organisation.identifier == GNOSJO.identifier else organisation.roles
    agency = organisation.identifier == AGENCY.identifier
    types = ("application/zip",) if agency else ("application/zip", "image/png")
    return replace(organisation, roles=roles, base_model=not agency, file_types=types)


@dataclass
class Stage:
    """All running parts of the federation.

    Of the organisations under test, only the agency has no base model, accepts no
    PNG and uses the address book, and Gnosjö uses another supplier's message service: the test.
    """

    federation: LocalFederation
    habo: Member
    mullsjo: Member
    gnosjo: Member
    agency: Member
    clients: MessageClients
    tls: Any
    """TLS context for calls to access points, without a client certificate."""
    peers_url: str
    untrusted_url: str
    """URL of the same peers behind an untrusted certificate."""
    scanner: Clamd
    """Malware scanner of both operators; nothing is scanned if it is not installed."""
    _peers: Peers

    def peer(
        self,
        *,
        certify: Callable[[str], x509.Certificate] | None = None,
        server: str | None = None,
        documents: tuple[DocumentIdentifier, ...] = DOCUMENTS,
    ) -> Peer:
        """Add an access point with a new organisation that is registered for ``documents``.

        ``certify`` issues its certificate instead of its authority;
        ``server`` is another address than that of the peers.
        """
        number = next(_NUMBERS)
        peer = self._made(number, certify or self.access_point_certificate)
        path = self._peers.add(peer)
        if documents:
            self._register(peer, f"{server or self.peers_url}{path}", documents)
        return peer

    def client(
        self, member: Member, *addresses: str, scopes: Collection[Scope] = tuple(Scope), name: str = "journal"
    ) -> MessageClient:
        """Return a message client of an organisation, for its own address unless others are given."""
        listen = member.config.message_service and member.config.message_service.listen_d
        assert listen is not None
        access = Access(
            member.organisation,
            name,
            frozenset(scopes),
            patterns(addresses or [member.address.functional_address]),
        )
        token = self.clients.admit(access)
        return MessageClient(f"https://{HOST}:{listen.port}", web.tls(member.config.inner_issuers), token)

    def renewed(self, peer: Peer) -> Peer:
        """Return the peer with a new certificate for its organisation's signatures."""
        organisation = peer.address.organisation
        (service, *_) = self.federation.smp.services(organisation)
        issue = self.federation.authority.issue_organisation
        certificate = issue(
            organisation, peer.address.organisation_name, pki.key(1).public_key(), Use.SIGNING
        )
        renewed = replace(peer, signing=SoftwareSigningKey(pki.key(1), certificate))
        self._register(renewed, service.endpoints[0].address, DOCUMENTS)
        return renewed

    def _register(self, peer: Peer, address: str, documents: tuple[DocumentIdentifier, ...]) -> None:
        self.federation.register_participant(
            peer.address.organisation,
            peer.address.organisation_name,
            "0000000000",
            address,
            peer.key.certificate,
            peer.signing.certificate,
            peer.encryption,
            [FunctionalAddress(peer.address.functional_address, peer.address.functional_address_name)],
            documents=documents,
        )

    def _made(self, number: int, certify: Callable[[str], x509.Certificate]) -> Peer:
        party, name = f"AP{number:04d}-SDK-DEMO", f"Motpart {number}"
        organisation = ParticipantIdentifier(f"0203:motpart{number}.se")
        issue = self.federation.authority.issue_organisation
        public = pki.key(1).public_key()
        certificate = certify(party)
        return Peer(
            party,
            SoftwareSigningKey(pki.key(1), certificate),
            SoftwareDecryptionKey(pki.key(1), certificate),
            Address(organisation, name, f"sdk.registrator.{organisation}", "Registrator"),
            SoftwareSigningKey(pki.key(1), issue(organisation, name, public, Use.SIGNING)),
            issue(organisation, name, public, Use.ENCRYPTION),
            self.tls,
        )

    @cached_property
    def other_environment(self) -> Authority:
        """Return authorities of another environment; making them takes seconds."""
        return self.federation.other_environment()

    def access_point_certificate(self, party: str, **how: Any) -> x509.Certificate:
        """Return a certificate for a peer's key."""
        return self.federation.authority.issue_access_point(party, pki.key(1).public_key(), **how)


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """Start everything in ``folder``."""
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(federation_running(folder / "federation"))
        clients = MessageClients()
        scanner = Clamd(folder / "clamd")
        malware = MalwareConfig(None)
        if clamd is not None:
            stack.callback(scanner.stop)
            await scanner.start()
            malware = MalwareConfig(ClamdAddress(scanner.socket))
        members: dict[DemoOrganisation, Member] = {}
        ours, theirs = OPERATORS
        for operator in (replace(ours, organisations=(*ours.organisations, GNOSJO)), theirs):
            enrolled = await enrol(federation, operator, folder / operator.folder)
            run = await stack.enter_async_context(running(hasty(enrolled.config, malware), clients=clients))
            IN_ORDER.add(run.gate.database.address)
            for organisation in operator.organisations:
                members[organisation] = member_of(federation, run, organisation)
        peers = Peers()
        tls = federation.authority.issue_tls_server([HOST], pki.key(2).public_key())
        yield Stage(
            federation,
            members[HABO],
            members[MULLSJO],
            members[GNOSJO],
            members[AGENCY],
            clients,
            web.tls(members[HABO].config.inner_issuers),
            await _serve(stack, peers, tls, folder / "peers.pem"),
            await _serve(stack, peers, pki.root(HOST, 2).certificate, folder / "untrusted.pem"),
            scanner,
            peers,
        )


async def _serve(stack: AsyncExitStack, peers: Peers, certificate: x509.Certificate, file: Path) -> str:
    """Serve peers with that certificate; return the URL."""
    socket = listening_socket(HOST)
    tls = server_tls(tls_identity(certificate, file))
    await stack.enter_async_context(serving(peers.application(), socket, tls=tls.serving))
    return f"https://{HOST}:{socket.getsockname()[1]}"


def member_of(federation: LocalFederation, operator: Operator, organisation: DemoOrganisation) -> Member:
    """Return the organisation, registered for exactly what it is configured for."""
    service = federation.smp.services(organisation.identifier)[0]
    endpoint = service.endpoints[0]
    member = Member(
        operator,
        organisation,
        endpoint.address,
        endpoint.certificate,
        service.certificates.encryption[0],
    )
    documents = BOTH_MODELS if member.own_config.base_model else DOCUMENTS
    federation.smp.remove(organisation.identifier)
    federation.publish(replace(service, document=document) for document in documents)
    return member


def tls_identity(certificate: x509.Certificate, file: Path) -> TlsIdentity:
    """Return a server's key and certificate."""
    protected = pki.key(2).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(_PASSWORD.encode())
    )
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + protected)
    return TlsIdentity(file, password=_PASSWORD)
