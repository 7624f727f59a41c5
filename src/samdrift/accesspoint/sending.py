"""Transfers in flight: attempts, and the end of those that never have an outcome."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from samdrift.accesspoint.facts import transfer_facts
from samdrift.accesspoint.outbound import Outbound
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.audit.events import AuditEvent
from samdrift.audit.operations import unexpected
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.scheduling.inflight import InFlight
from samdrift.scheduling.signals import Signals
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.bodies import BodyReader
from samdrift.vault.gate import Gate
from samdrift.vault.records import Transfer
from samdrift.wire.identifiers import ParticipantIdentifier


class Sending(InFlight):
    """Starts attempts, either straight from a submission or from the queue in the vault.

    Clauses: architecture-sad 6.1 sentence 3.
    """

    def __init__(
        self, settings: AccessPointSettings, gate: Gate, outbound: Outbound, signals: Signals, clock: Clock
    ) -> None:
        super().__init__(
            clock,
            parallel=settings.parallel,
            lease=settings.lease,
            on_failure=unexpected("access-point-outbound"),
        )
        self._settings = settings
        self._vaults = gate.worker("access-point-outbound", Role.ACCESS_POINT)
        self._outbound = outbound
        self._signals = signals

    def queued(self, organisation: ParticipantIdentifier) -> None:
        """Tell that a transfer was stored for which there was no room; by now there may be."""
        self.dispatcher.wake(organisation)

    def start(self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader) -> None:
        """Begin an attempt at a claimed transfer, in the background."""
        self._start(organisation, partial(self._attempt, organisation, transfer, body))

    async def _attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> datetime | None:
        later = await self._outbound.attempt(organisation, transfer, body)
        self._signals.raise_for(organisation)
        return later

    async def _claim(self, organisation: ParticipantIdentifier, room: int) -> datetime | None:
        now = self._clock()
        async with self._vaults.open(organisation, Purpose.SEND) as vault:
            claimed = await vault.claim_transfers(now=now, lease=self._lease, limit=room)
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
