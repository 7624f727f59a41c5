"""The message service, assembled from its parts."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, MutableMapping
from dataclasses import dataclass, field
from functools import partial

from samdrift.audit.operations import failing
from samdrift.contracts.addressbook import AddressBook
from samdrift.contracts.clock import Clock
from samdrift.contracts.discovery import CertificateChecks, Discovery
from samdrift.contracts.errors import Temporary
from samdrift.contracts.evidence import MessageEvidence
from samdrift.contracts.malware import MalwareScanner
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import AccessPoint
from samdrift.messageservice.access import Authorization
from samdrift.messageservice.incoming.inbox import Inbox
from samdrift.messageservice.incoming.judging import Judging
from samdrift.messageservice.incoming.polling import Polling
from samdrift.messageservice.incoming.together import Together
from samdrift.messageservice.interface_d.application import InterfaceD
from samdrift.messageservice.interface_d.mailboxes import Mailboxes
from samdrift.messageservice.interface_d.posting import Posting
from samdrift.messageservice.lifecycle.transfers import Transfers
from samdrift.messageservice.outgoing.sealing import Sealing
from samdrift.messageservice.outgoing.sender import Sender
from samdrift.messageservice.screening import Screening
from samdrift.messageservice.service import MessageService
from samdrift.messageservice.settings import MessageServiceSettings, OrganisationProfile
from samdrift.net.background import in_background
from samdrift.scheduling.held import Held
from samdrift.scheduling.pace import Pace
from samdrift.scheduling.rounds import Rounds, Served
from samdrift.vault.gate import Gate
from samdrift.vault.upkeep import keep_up
from samdrift.wire.crypto.keys import Random
from samdrift.wire.identifiers import ParticipantIdentifier

_APART = 0.02
"""Seconds between the first polls of two organisations: each opens a vault and makes a TLS handshake."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The role's environment: everything that depends on the network, time or chance."""

    gate: Gate
    discovery: Discovery
    checks: CertificateChecks
    address_book: AddressBook
    scanner: MalwareScanner
    access_points: MutableMapping[ParticipantIdentifier, AccessPoint]
    """Interface C of each organisation's access point, on this platform or from another supplier."""
    clock: Clock
    rng: Random
    held: Held = field(default_factory=Held)
    pace: Pace = field(default_factory=Pace)
    """The pace of organisations' work in this process, for all roles."""


class MessageServiceRole:
    """One message service for the organisations in ``profiles``; more can be added while it runs."""

    def __init__(
        self,
        settings: MessageServiceSettings,
        around: Surroundings,
        profiles: MutableMapping[ParticipantIdentifier, OrganisationProfile],
    ) -> None:
        self._gate = around.gate
        self._around = around
        self._profiles = profiles
        self._further: asyncio.Queue[ParticipantIdentifier] = asyncio.Queue()
        sealing = Sealing(settings.federation, around.discovery, around.checks, around.rng)
        screening = Screening(around.scanner)
        self._sender = Sender(
            settings,
            around.gate,
            sealing,
            screening,
            around.access_points,
            around.clock,
            around.held,
            around.pace,
        )
        judging = Judging(settings, around.discovery, around.checks, screening, around.rng)
        inbox = self._inbox = Inbox(
            settings,
            around.gate,
            judging,
            around.address_book,
            around.access_points,
            profiles,
            self._sender,
            around.clock,
            _new_ids(around.rng),
        )
        transfers = Transfers(settings, around.gate, around.clock)
        self._polling = Polling(
            settings,
            around.access_points,
            inbox,
            transfers,
            Together(around.gate, inbox, transfers, self._sender, around.clock, around.pace),
            self._served,
            around.clock,
            around.held,
            around.pace,
            around.gate.leases,
        )
        self.service = MessageService(
            settings, around.gate, self._sender, screening, around.address_book, profiles, around.clock
        )

    @property
    def meaningless(self) -> int:
        """Return the number of envelopes since the start that were meaningless when decrypted."""
        return self._inbox.meaningless

    def interface_d(self, authorization: Authorization, evidence: MessageEvidence) -> InterfaceD:
        """Return interface D for the clients that ``authorization`` accepts."""
        gate, clock, new_id = self._around.gate, self._around.clock, _new_ids(self._around.rng)
        posting = Posting(gate, self.service, clock, new_id)
        return InterfaceD(gate, authorization, self._profiles.keys(), Mailboxes(gate), posting, evidence)

    def serve(self, profile: OrganisationProfile, access_point: AccessPoint) -> None:
        """Start to serve a further organisation."""
        self._around.access_points[profile.organisation] = access_point
        self._profiles[profile.organisation] = profile
        self._further.put_nowait(profile.organisation)

    async def _poll_further(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._polling.run(await self._further.get()))

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Send due messages and take over incoming ones while the context lasts."""
        rounds = Rounds(
            partial(self._gate.due, Role.MESSAGE_SERVICE),
            Served(self._profiles, self._works_for, lambda: self._gate.registry.version),
            self._around.clock,
        )
        work = [
            self._polling.run(organisation, place * _APART)
            for place, organisation in enumerate(self._profiles)
        ]
        along = rounds.go_along(
            self._gate.visits.listen(Role.MESSAGE_SERVICE), Role.MESSAGE_SERVICE, self._sender.dispatcher.wake
        )
        work += [self._sender.run(rounds.due), along, self._listen(), self._poll_further()]
        failed = failing("message-service", Temporary)
        work.append(keep_up(self._gate, Role.MESSAGE_SERVICE, failed))
        async with in_background(*work, on_failure=failed):
            try:
                yield
            finally:
                await self._sender.stop()

    def _served(self, organisation: ParticipantIdentifier) -> bool:
        return self._gate.registry.serves(organisation, Role.MESSAGE_SERVICE)

    def _works_for(self, organisation: ParticipantIdentifier) -> bool:
        return self._gate.registry.works_for(organisation, Role.MESSAGE_SERVICE)

    async def _listen(self) -> None:
        async for organisation, role in self._gate.wakeups():
            if role is Role.MESSAGE_SERVICE and organisation in self._profiles:
                self._sender.dispatcher.wake(organisation)
                self._gate.news.notify(organisation)


def _new_ids(rng: Random) -> Callable[[], str]:
    return lambda: str(uuid.UUID(bytes=rng(16), version=4))
