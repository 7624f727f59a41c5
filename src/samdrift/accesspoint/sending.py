"""Which transfers are in flight, and how many of one organisation at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime

from samdrift.accesspoint.facts import transfer_facts
from samdrift.accesspoint.outbound import Outbound
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.accesspoint.signals import Signals
from samdrift.audit.events import AuditEvent
from samdrift.audit.operations import unexpected
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.bodies import BodyReader
from samdrift.vault.dispatch import Dispatcher
from samdrift.vault.gate import Gate
from samdrift.vault.records import Transfer
from samdrift.wire.identifiers import ParticipantIdentifier

_WORKER = Principal(PrincipalKind.WORKER, "access-point-outbound")


class Sending:
    """Starts attempts, either straight from a submission or from the queue in the vault."""

    def __init__(
        self, settings: AccessPointSettings, gate: Gate, outbound: Outbound, signals: Signals, clock: Clock
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._outbound = outbound
        self._signals = signals
        self._clock = clock
        self._flying: defaultdict[ParticipantIdentifier, set[asyncio.Task[None]]] = defaultdict(set)
        self._backlog: set[ParticipantIdentifier] = set()
        self._unexpected = unexpected("access-point-outbound")
        self.dispatcher = Dispatcher(self._turn, clock, on_failure=self._unexpected)

    def room(self, organisation: ParticipantIdentifier) -> int:
        """How many more transfers of the organisation may be in flight."""
        return self._settings.parallel - len(self._flying[organisation])

    def queued(self, organisation: ParticipantIdentifier) -> None:
        """Tell that a transfer was stored for which there was no room; by now there may be."""
        self.dispatcher.wake(organisation)

    def busy(self) -> set[ParticipantIdentifier]:
        """Organisations that this process knows to have transfers that are not final."""
        flying = {organisation for organisation, tasks in self._flying.items() if tasks}
        return flying | self._backlog | self.dispatcher.expecting()

    def start(self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader) -> None:
        """Begin an attempt at a claimed transfer, in the background."""
        task = asyncio.create_task(self._attempt(organisation, transfer, body))
        self._flying[organisation].add(task)
        task.add_done_callback(lambda done: self._landed(organisation, done))

    async def stop(self) -> None:
        """Cancel what is in flight; leases bring it back at the next start."""
        tasks = [task for flying in self._flying.values() for task in flying]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> None:
        later = await self._outbound.attempt(organisation, transfer, body)
        if later is not None:
            self.dispatcher.wake_at(organisation, later)
        self._signals.raise_for(organisation)

    def _landed(self, organisation: ParticipantIdentifier, task: asyncio.Task[None]) -> None:
        self._flying[organisation].discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._unexpected(failure)
            self.dispatcher.wake_at(organisation, self._clock() + self._settings.lease)
        if organisation in self._backlog:
            self.dispatcher.wake(organisation)

    async def _turn(self, organisation: ParticipantIdentifier) -> datetime | None:
        room = self.room(organisation)
        if room <= 0:
            self._backlog.add(organisation)
            return None
        self._backlog.discard(organisation)
        now = self._clock()
        async with self._gate.open(_WORKER, organisation, Role.ACCESS_POINT, Purpose.SEND) as vault:
            claimed = await vault.claim_transfers(now=now, lease=self._settings.lease, limit=room)
            hopeful = [one for one in claimed if not await self._given_up(organisation, vault, one, now)]
            bodies = [await vault.outgoing_body(transfer.id) for transfer in hopeful]
            due = await vault.next_due()
        for transfer, body in zip(hopeful, bodies, strict=True):
            self.start(organisation, transfer, body)
        return now if len(claimed) == room else due

    async def _given_up(
        self, organisation: ParticipantIdentifier, vault: AccessPointVault, transfer: Transfer, now: datetime
    ) -> bool:
        """End a transfer whose attempts have no outcome, time and again (invariant 8)."""
        if len(transfer.attempts) <= self._settings.retry.most:
            return False
        reason, detail = TransferReason.GIVEN_UP, "too many attempts ended without an outcome"
        await vault.failed(transfer.id, now=now, reason=reason, detail=detail)
        facts = transfer_facts(transfer)
        vault.record(AuditEvent.AP_TRANSFER_FAILED, **facts, reason=reason.value, detail=detail)
        self._signals.raise_for(organisation)
        return True
