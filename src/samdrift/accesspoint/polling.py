"""Interface C, polling: what is new for an organisation, and what it has taken over."""

from __future__ import annotations

from dataclasses import replace

from samdrift.accesspoint.problems import Problem, ProblemKind
from samdrift.audit.events import AuditEvent
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Principal, Purpose, Role
from samdrift.contracts.transfer import Poll
from samdrift.net.pollrequest import PollRequest
from samdrift.scheduling.signals import Signals
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_MOST = 50


class Polling:
    """Long polls that open the vault only when something may be new."""

    def __init__(self, gate: Gate, signals: Signals, clock: Clock) -> None:
        self._gate = gate
        self._signals = signals
        self._clock = clock
        self._nothing: dict[ParticipantIdentifier, tuple[int, str, int]] = {}
        """The ``after``, the ``past`` and the signal count at which nothing was found last."""

    async def poll(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        asked: PollRequest,
    ) -> Poll:
        """Acknowledge what is taken, then give what is new; waits as long as asked for something."""
        count = self._signals.count(organisation)
        place = (asked.after, asked.past, count)
        if asked.taken or self._nothing.get(organisation) != place:
            poll = await self._look(principal, organisation, asked)
            if poll.events or poll.inbox:
                return poll
            self._nothing[organisation] = place
        if asked.wait and await self._signals.beyond(organisation, count, asked.wait):
            return await self._look(principal, organisation, replace(asked, taken=()))
        return Poll((), ())

    async def _look(
        self, principal: Principal, organisation: ParticipantIdentifier, asked: PollRequest
    ) -> Poll:
        async with self._gate.open(principal, organisation, Role.ACCESS_POINT, Purpose.DELIVER) as vault:
            for item_id in asked.taken:
                await self._acknowledge(vault, item_id)
            return Poll(await vault.events(asked.after, _MOST), await vault.inbox(_MOST, asked.past))

    async def acknowledge(
        self, principal: Principal, organisation: ParticipantIdentifier, item_id: str
    ) -> None:
        """The message service has the envelope durably: delete it here (invariant 7)."""
        async with self._gate.open(principal, organisation, Role.ACCESS_POINT, Purpose.DELIVER) as vault:
            if not await self._acknowledge(vault, item_id):
                raise Problem(ProblemKind.NOT_FOUND, "no such envelope waits here")

    async def _acknowledge(self, vault: AccessPointVault, item_id: str) -> bool:
        envelope_id = await vault.acknowledge(item_id, now=self._clock())
        if envelope_id is None:
            return False
        vault.record(AuditEvent.AP_ENVELOPE_ACKNOWLEDGED, envelope=envelope_id)
        return True
