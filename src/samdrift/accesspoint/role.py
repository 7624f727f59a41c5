"""The access point, assembled: its two applications and its worker."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial

from samdrift.accesspoint.inbound import Answers, Inbound
from samdrift.accesspoint.interface_c import InterfaceC, Polling, Submissions
from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.outbound import Outbound, QueueLengths, Sending
from samdrift.accesspoint.peers import Peers
from samdrift.accesspoint.refusals import Refusals
from samdrift.accesspoint.route import Routes
from samdrift.accesspoint.settings import AccessPointSettings, CurrentClients, CurrentKeys
from samdrift.accesspoint.settling import OUTBOUND, Settling
from samdrift.audit.operations import failing, unexpected
from samdrift.contracts.clock import Clock
from samdrift.contracts.discovery import CertificateChecks, Discovery
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Role
from samdrift.net.background import in_background
from samdrift.net.client import HttpClient
from samdrift.net.guard import guarded
from samdrift.scheduling.held import Held
from samdrift.scheduling.pace import Pace
from samdrift.scheduling.rounds import Rounds
from samdrift.scheduling.signals import Signals
from samdrift.vault.gate import Gate
from samdrift.vault.upkeep import keep_up
from samdrift.wire.as4 import As4Limits
from samdrift.wire.crypto.keys import Random


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The role's environment: everything that depends on the network, time or chance."""

    gate: Gate
    discovery: Discovery
    checks: CertificateChecks
    client: HttpClient
    """Client that posts to peers; its TLS context is chosen by the operator (transport-profile-as4 2.4)."""
    clock: Clock
    rng: Random
    meters: Meters
    held: Held = field(default_factory=Held)
    pace: Pace = field(default_factory=Pace)
    """The pace of organisations' work in this process, for all roles."""


class AccessPointRole:
    """One access point, with its applications and background work."""

    def __init__(
        self,
        settings: AccessPointSettings,
        around: Surroundings,
        keys: CurrentKeys,
        clients: CurrentClients,
        limits: As4Limits,
    ) -> None:
        self._gate = around.gate
        self._clock = around.clock
        self._signals = Signals()
        peers = Peers(settings, around.discovery, around.checks)
        answers = Answers(keys, settings.message_id_domain, around.rng)
        self._refusals = Refusals(around.gate.operator_log, around.clock)
        inbound = Inbound(
            settings,
            around.gate,
            peers,
            keys,
            answers,
            self._signals,
            around.clock,
            limits,
            around.meters,
            self._refusals,
            around.pace,
        )
        settling = Settling(around.gate.worker(OUTBOUND, Role.ACCESS_POINT), self._signals)
        routes = Routes(settings, around.discovery, around.checks)
        outbound = Outbound(
            settings,
            around.gate,
            routes,
            around.client,
            keys,
            around.clock,
            around.rng,
            around.meters,
            settling,
            around.held,
        )
        self._sending = Sending(settings, around.gate, outbound, settling, around.clock, around.pace)
        self.queue_lengths = QueueLengths(
            around.gate, self._sending, around.meters, around.clock, settings.measure_every
        )
        submissions = Submissions(settings, around.gate, self._sending, around.clock, around.rng)
        polling = Polling(around.gate, self._signals, settling, around.clock)
        self.interface_a = guarded(inbound.application(), unexpected("interface A"))
        self.interface_c = guarded(
            InterfaceC(around.gate, submissions, polling, clients, around.pace).application(),
            unexpected("interface C"),
        )

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Send due transfers, including those announced by other processes, while the context lasts."""
        role, gate = Role.ACCESS_POINT, self._gate
        rounds = Rounds(partial(gate.due, role), partial(gate.registry.worked_for, role), self._clock)
        dispatching = self._sending.run(rounds.due)
        along = rounds.go_along(gate.visits.listen(role), role, self._sending.dispatcher.wake)
        failed = failing("access-point", Temporary)
        upkeep = keep_up(self._gate, Role.ACCESS_POINT, failed)
        counting = self._refusals.run(failed)
        work = (dispatching, along, self._listen(), upkeep, counting)
        async with in_background(*work, on_failure=failed):
            try:
                yield
            finally:
                await self._sending.stop()
                with contextlib.suppress(Temporary):
                    await self._refusals.summarise()

    async def _listen(self) -> None:
        async for organisation, role in self._gate.wakeups():
            if role is Role.ACCESS_POINT:
                self._signals.notify(organisation)
                self._sending.dispatcher.wake(organisation)
