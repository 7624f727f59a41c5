"""Looks how much waits, when somebody asks, and not more often than it costs little."""

from __future__ import annotations

from datetime import datetime, timedelta

from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.sending import Sending
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose, Role
from samdrift.vault.errors import VaultLocked
from samdrift.vault.gate import Gate
from samdrift.vault.records import Backlog
from samdrift.wire.identifiers import ParticipantIdentifier


class QueueLengths:
    """The lengths of the queues that this process knows to have something in them.

    Each look opens a vault and stands in its log, so that organisations without
    work are left alone, and the others are looked at at most once in ``every``.
    """

    def __init__(self, gate: Gate, sending: Sending, meters: Meters, clock: Clock, every: timedelta) -> None:
        self._vaults = gate.worker("access-point-meters", Role.ACCESS_POINT)
        self._sending = sending
        self._meters = meters
        self._clock = clock
        self._every = every
        self._looked: datetime | None = None
        self._backlogs: dict[ParticipantIdentifier, Backlog] = {}

    async def measure(self) -> None:
        """Bring the meters up to date; ``VaultUnavailable`` when a vault cannot be reached."""
        now = self._clock()
        if self._looked is None or now - self._looked >= self._every:
            looked = [(each, await self._backlog(each)) for each in self._sending.busy()]
            self._backlogs = {each: backlog for each, backlog in looked if backlog is not None}
            self._looked = now
        self._meters.queues(self._backlogs, now)

    async def _backlog(self, organisation: ParticipantIdentifier) -> Backlog | None:
        """``None`` while its vault is locked: then nobody knows, and nothing moves."""
        try:
            async with self._vaults.open(organisation, Purpose.MEASURE) as vault:
                return await vault.backlog()
        except VaultLocked:
            return None
