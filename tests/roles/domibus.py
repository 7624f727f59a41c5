"""An operator of message services whose organisations use another supplier's Domibus as access point.

The stand-in for the plugin is served over HTTPS. Behind it a peer of the stage speaks real
AS4: the organisations' messages go to and from a Samdrift access point at the other end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from samdrift.config.model import Config, DomibusConfig, OrganisationConfig
from samdrift.config.roles import MessageServiceConfig
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import enrol
from samdrift.federation.directory import FunctionalAddress
from samdrift.installation.operator import running
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import server_tls
from samdrift.wire.as4 import ReceivedMessage, Response
from samdrift.wire.envelope import HeaderScanner
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import pki
from tests.domibus.standin import Domibus, Sent, Waiting
from tests.roles.letters import Envelope
from tests.roles.member import Member
from tests.roles.peer import Peer
from tests.roles.stage import HOST, Stage, member_of, tls_identity


def _organisation(name: str, number: str) -> DemoOrganisation:
    domain = f"0203:{name}.se"
    mailbox = FunctionalAddress(f"sdk.registrator.{domain}", "Registrator")
    return DemoOrganisation(ParticipantIdentifier(domain), name.title(), number, mailbox)


TRANAS, ANEBY = _organisation("tranas", "2120000555"), _organisation("aneby", "2120000563")
_ORGANISATIONS = (TRANAS, ANEBY)


@dataclass
class Customers:
    """The organisations, their Domibus, and the members that it can reach."""

    stage: Stage
    peer: Peer
    domibus: Domibus
    config: Config
    reachable: dict[str, Member]
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Event that lets the Domibus send submitted messages on."""
    posted: int = 0
    """Number of AS4 messages that it has sent."""
    _sending: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Member, Member]]:
        """Run their message service while the context lasts; yield the organisations."""
        async with running(self.config) as operator:
            federation = self.stage.federation
            tranas, aneby = (member_of(federation, operator, one) for one in _ORGANISATIONS)
            yield tranas, aneby

    async def submitted(self, sent: Sent) -> None:
        """Start sending in the background, because Domibus answers before it sends."""
        task = asyncio.create_task(self._send(sent))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, sent: Sent) -> None:
        await self.open.wait()
        if sent.recipient in {one.identifier.value for one in _ORGANISATIONS}:
            self.domibus.receive(_waiting(sent, self.peer.party))
            sent.status = "ACKNOWLEDGED"
            return
        scanner = HeaderScanner()
        scanner.feed(sent.envelope)
        header = scanner.close()
        to = self.reachable[sent.recipient]
        says = {"message_id": sent.message_id, "conversation_id": sent.conversation_id}
        posted = await self.peer.posts(Envelope(header.id, sent.envelope, header), to, says)
        self.posted += 1
        if posted.is_receipt_of(to.certificate):
            sent.status = "ACKNOWLEDGED"
        else:
            sent.errors = [(code, detail, "RECEIVING") for code, detail in posted.errors()]
            sent.status = "SEND_FAILURE"

    def receive(self, message: ReceivedMessage) -> Response:
        """Store an AS4 message from the other end, and return its receipt."""
        says = message.header.user_message
        self.domibus.receive(
            Waiting(
                says.message_id,
                says.conversation_id,
                says.from_party,
                says.action,
                says.property("originalSender") or "",
                says.property("finalRecipient") or "",
                message.payload,
            )
        )
        return self.peer.receipt(message)


def _waiting(sent: Sent, party: str) -> Waiting:
    """Return a sent message as it waits for an organisation at the same Domibus."""
    return Waiting(
        sent.message_id,
        sent.conversation_id,
        party,
        sent.action,
        sent.sender,
        sent.recipient,
        sent.envelope,
    )


@asynccontextmanager
async def customers_of_a_domibus(stage: Stage, folder: Path) -> AsyncIterator[Customers]:
    """Enrol the organisations, and serve their Domibus; their message service does not run yet."""
    async with AsyncExitStack() as stack:
        peer = stage.peer()
        operator = DemoOperator("operator-mt", peer.party, _ORGANISATIONS)
        enrolled = await enrol(stage.federation, operator, folder / operator.folder)
        for organisation in _ORGANISATIONS:
            _move(stage, peer, organisation)
        users = {one.name: (f"lösenord {one.name}", one.identifier.value) for one in _ORGANISATIONS}
        domibus = Domibus(peer.party, users)
        certificate = stage.federation.authority.issue_tls_server([HOST], pki.key(2).public_key())
        socket = listening_socket(HOST)
        tls = server_tls(tls_identity(certificate, folder / "domibus.pem"))
        await stack.enter_async_context(serving(domibus, socket, tls=tls.serving))
        url = f"https://{HOST}:{socket.getsockname()[1]}/domibus/services/wsplugin"
        config = _config(enrolled.config, url, users, folder)
        reachable = {stage.agency.organisation.value: stage.agency}
        customers = Customers(stage, peer, domibus, config, reachable)
        customers.open.set()
        domibus.on_submit = customers.submitted
        peer.respond = customers.receive
        yield customers


def _move(stage: Stage, peer: Peer, organisation: DemoOrganisation) -> None:
    """Register the Domibus in SMP as the organisation's access point."""
    (theirs, *_) = stage.federation.smp.services(peer.address.organisation)
    services = stage.federation.smp.services(organisation.identifier)
    stage.federation.publish(replace(service, endpoints=theirs.endpoints) for service in services)


def _config(config: Config, url: str, users: dict[str, tuple[str, str]], folder: Path) -> Config:
    """Return the message service operator's configuration: a plugin user for each, and no access point."""

    def at_domibus(one: OrganisationConfig) -> OrganisationConfig:
        password_file = folder / f"password-{one.name}"
        password_file.write_text(users[one.name][0], "utf-8")
        own = DomibusConfig(
            url=url,
            party=config.access_point.party if config.access_point else "",
            message_id_domain="meddelanden.test",
            issuers=config.inner_issuers,
            user=one.name,
            password_file=password_file,
            poll_seconds=cast(Any, 0.1),
        )
        roles = (Role.MESSAGE_SERVICE,)
        return replace(one, roles=roles, access_point="", domibus=own, clients={}, base_model=False)

    return replace(
        config,
        access_point=None,
        federation=replace(config.federation, metadata_seconds=0, retry_seconds=1),
        message_service=MessageServiceConfig(retry_seconds=1, lease_seconds=10),
        organisations=tuple(map(at_domibus, config.organisations)),
    )
