"""Two access points in a local federation: ours with its message service, and phase4."""

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
    """The running programs, with the functions that tests need."""

    federation: LocalFederation
    habo: Party
    """The organisation served by us."""
    as4_address: str
    as4_certificate: x509.Certificate
    phase4: Phase4
    phase4_identity: Identity
    agency: Neighbour
    """An organisation served by phase4."""
    stranger: Neighbour
    """An organisation that phase4 does not serve although SMP names its access point."""
    unlucky: Neighbour
    """An organisation served by phase4, behind an unreliable relay."""
    misled: Neighbour
    """An organisation for which SMP combines phase4's address with another access point's certificate."""
    folder: Path

    @property
    def tls_issuer(self) -> str:
        """Return the issuer of the federation's TLS servers, in PEM."""
        return pem(self.federation.authority.certificate(Ca.TLS))

    async def phase4_sends(
        self, envelope: Packed, *, document: DocumentIdentifier = SDK_MESSAGE_EXTENDED, **changes: Any
    ) -> dict[str, Any]:
        """Send ``envelope`` with phase4 from the agency to Habo; return phase4's verdict on our response."""
        file = self.folder / f"{uuid4()}.xml"
        file.write_bytes(envelope.data)
        named = properties(self.agency.identifier.value, self.habo.organisation.value)
        message = request(self.as4_address, self.as4_certificate, document, envelope.id, named)
        try:
            return await self.phase4.send(**(message | {"file": str(file)} | changes))
        finally:
            file.unlink()

    async def status(self, message_id: str, direction: Direction) -> tuple[MessageStatus, list[str]]:
        """Return the final status of Habo's message, and the details of its events, newest first."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                known = await self.habo.operator.messages.status(
                    self.habo.principal, self.habo.organisation, message_id, direction
                )
                if known is not None and known[0].final:
                    return known[0], [event.detail for event in known[1]]
                await asyncio.sleep(0.05)

    async def logged(self, identifier: str) -> list[LogEntry]:
        """Return the entries about a message in Habo's log at our access point, oldest first."""
        gate = self.habo.operator.gate
        async with gate.open(_OBSERVER, self.habo.organisation, Role.ACCESS_POINT, Purpose.TRACE) as vault:
            return list(await vault.find_log(identifier))

    async def arrived(
        self, conversation: str, document: DocumentIdentifier = SDK_MESSAGE_EXTENDED
    ) -> dict[str, Any]:
        """Return what phase4 received in a conversation as a given document type."""
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
    """Return a request to phase4 to send a message in DIGG's profile, without the file for its payload."""
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
    """Return the message properties of DIGG's profile in phase4's format."""
    named = {"originalSender": original_sender, "finalRecipient": final_recipient}
    return [{"name": name, "type": PARTICIPANT_SCHEME, "value": value} for name, value in named.items()]


@contextlib.asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Set up the federation and both access points in ``folder``."""
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
    """Change the configuration to two attempts, a second apart."""
    assert config.access_point is not None
    return replace(config, access_point=replace(config.access_point, attempts=ATTEMPTS, interval_seconds=1))


def access_point(federation: LocalFederation, party: str) -> Identity:
    """Return the identity of an access point of the federation."""
    own = key(3, 3072)
    return Identity(own, federation.authority.issue_access_point(party, own.public_key()))


def peer_settings(
    federation: LocalFederation, identity: Identity, served: Iterable[Neighbour]
) -> PeerSettings:
    """Return settings for phase4 as an access point of the federation that serves given organisations."""
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
