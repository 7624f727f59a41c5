"""Two access points in one local federation: ours with its message service, and phase4."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography import x509

from samdrift.audit.entries import LogEntry
from samdrift.config.model import Config
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.demo.cast import HABO, DemoOperator
from samdrift.demo.enrolment import HOST, enrol
from samdrift.demo.scenario import Party
from samdrift.federation.server import LocalFederation
from samdrift.federation.server import running as federation_running
from samdrift.federation.shapes import Ca
from samdrift.installation.operator import running
from samdrift.installation.services import shared_services
from samdrift.wire.crypto.certificates import common_name
from samdrift.wire.identifiers import (
    NO_PROCESS,
    PARTICIPANT_SCHEME,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
)
from tests.interop.phase4.driver import Identity, PeerSettings, Phase4, pem
from tests.interop.phase4.neighbours import Neighbour, Packed, neighbour
from tests.pki import key

_OURS = "AP0001-SDK-DEMO"
THEIRS = "AP0002-SDK-DEMO"
ATTEMPTS = 2
_PATIENCE = 60.0
_OBSERVER = Principal(PrincipalKind.WORKER, "test")


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that runs, and what tests do with it."""

    federation: LocalFederation
    habo: Party
    """The organisation that we serve."""
    as4_address: str
    as4_certificate: x509.Certificate
    phase4: Phase4
    phase4_identity: Identity
    agency: Neighbour
    """An organisation that phase4 serves."""
    stranger: Neighbour
    """One that phase4 does not serve although SMP says so."""
    unlucky: Neighbour
    """One that phase4 serves, behind a line where things go wrong."""
    misled: Neighbour
    """One that SMP has at phase4's address under another access point's name."""
    folder: Path

    @property
    def tls_issuer(self) -> str:
        """Who certifies servers in the federation, in PEM."""
        return pem(self.federation.authority.certificate(Ca.TLS))

    async def phase4_sends(
        self, envelope: Packed, *, document: DocumentIdentifier = SDK_MESSAGE_EXTENDED, **changes: Any
    ) -> dict[str, Any]:
        """Have phase4 send ``envelope`` from the agency to Habo; gives what phase4 made of our answer."""
        file = self.folder / f"{uuid4()}.xml"
        file.write_bytes(envelope.data)
        named = properties(self.agency.identifier.value, self.habo.organisation.value)
        message = request(self.as4_address, self.as4_certificate, document, envelope.id, named)
        try:
            return await self.phase4.send(**(message | {"file": str(file)} | changes))
        finally:
            file.unlink()

    async def status(self, message_id: str, direction: Direction) -> tuple[MessageStatus, list[str]]:
        """What Habo's message ended as, and the details of its events, the newest first."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                known = await self.habo.operator.messages.status(
                    self.habo.principal, self.habo.organisation, message_id, direction
                )
                if known is not None and known[0].final:
                    return known[0], [event.detail for event in known[1]]
                await asyncio.sleep(0.05)

    async def logged(self, identifier: str) -> list[LogEntry]:
        """What our access point wrote down for Habo about a message, the oldest first."""
        gate = self.habo.operator.gate
        async with gate.open(_OBSERVER, self.habo.organisation, Role.ACCESS_POINT, Purpose.TRACE) as vault:
            return list(await vault.find_log(identifier))

    async def arrived(
        self, conversation: str, document: DocumentIdentifier = SDK_MESSAGE_EXTENDED
    ) -> dict[str, Any]:
        """What phase4 received in a conversation, of one type."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                for one in self.phase4.received():
                    if (one["conversation"], one["action"]) == (conversation, document.action):
                        return one
                await asyncio.sleep(0.05)


def request(
    address: str,
    certificate: x509.Certificate,
    document: DocumentIdentifier,
    conversation: str,
    named: list[dict[str, str]],
) -> dict[str, Any]:
    """A message for phase4 to send, in DIGG's profile, but for the file that is its payload."""
    return {
        "address": address,
        "to": common_name(certificate),
        "to_certificate": pem(certificate),
        "service_type": NO_PROCESS.scheme,
        "service": NO_PROCESS.value,
        "action": document.action,
        "conversation": conversation,
        "message_id": f"{uuid4()}@phase4.test",
        "properties": named,
    }


def properties(original_sender: str, final_recipient: str) -> list[dict[str, str]]:
    """The message properties of DIGG's profile, as phase4 takes them."""
    named = {"originalSender": original_sender, "finalRecipient": final_recipient}
    return [{"name": name, "type": PARTICIPANT_SCHEME, "value": value} for name, value in named.items()]


@contextlib.asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Set it up in ``folder``."""
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(federation_running(folder / "federation"))
        enrolled = await enrol(federation, DemoOperator("operator", _OURS, (HABO,)), folder / "operator")
        config = _impatient(enrolled.config)
        operator = await stack.enter_async_context(running(config))
        services = await stack.enter_async_context(shared_services(config))
        agency, stranger, unlucky, misled = (
            neighbour(name, federation, services)
            for name in ("arbetsformedlingen", "mullsjo", "gnosjo", "mark")
        )
        identity = access_point(federation, THEIRS)
        phase4 = await asyncio.to_thread(
            Phase4, folder, peer_settings(federation, identity, (agency, unlucky))
        )
        stack.callback(phase4.close)
        for one in (agency, stranger):
            one.live_at(phase4.address, identity)
        own = await services.discovery.service(HABO.identifier, SDK_MESSAGE_EXTENDED)
        yield Scene(
            federation,
            Party(operator, HABO.address),
            own.endpoints[0].address,
            own.endpoints[0].certificate,
            phase4,
            identity,
            agency,
            stranger,
            unlucky,
            misled,
            folder,
        )


def _impatient(config: Config) -> Config:
    """Two attempts, a second apart."""
    assert config.access_point is not None
    return replace(config, access_point=replace(config.access_point, attempts=ATTEMPTS, interval_seconds=1))


def access_point(federation: LocalFederation, party: str) -> Identity:
    """An access point of the federation by that name."""
    own = key(3, 3072)
    return Identity(own, federation.authority.issue_access_point(party, own.public_key()))


def peer_settings(
    federation: LocalFederation, identity: Identity, served: Iterable[Neighbour]
) -> PeerSettings:
    """phase4 as an access point of the federation that serves those organisations."""
    authority, tls = federation.authority, key(4, 3072)
    return PeerSettings(
        THEIRS,
        identity,
        [authority.certificate(ca) for ca in (Ca.ACCESS_POINT, Ca.ACCESS_POINT_ROOT)],
        Identity(tls, authority.issue_tls_server([HOST], tls.public_key())),
        [authority.certificate(Ca.TLS)],
        [SDK_MESSAGE_EXTENDED.action, RECEIPT_EXTENDED.action],
        [one.identifier.value for one in served],
    )
