"""Claims of a process on work in the vaults, and those that processes before it have left.

A claim ends with its lease (invariant 8), which is longer than any attempt. What a process had claimed
that has ended need not wait for that: each process has a name of its own for each start, its claims carry
it, and whoever starts later is given the names of those that have ended (:mod:`samdrift.installation.lives`).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.scheduling.leases import Leases
from samdrift.wire.identifiers import ParticipantIdentifier

Due = Callable[[datetime], Awaitable[Iterable[tuple[ParticipantIdentifier, datetime]]]]
"""Organisations in which something becomes due until then, and when."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """A process as claims name it; one that nobody was told of has its claims end with their leases."""

    name: str = field(default_factory=lambda: secrets.token_hex(16))
    """Random, of this start of the process."""
    ended: frozenset[str] = frozenset()
    """Processes of the installation that had ended when this one began."""


class Leftovers:
    """Schedules vaults in which another process may have left claims, without waiting for the leases.

    Such a process is one of this machine that is known to have ended, soon after the start; and, whenever
    work of organisations becomes this process's, the one that was in charge of it before. Vaults are visited
    in the ordinary turns of the organisations, so that it is as fair as they are, and one vault that cannot
    be opened now keeps no other waiting.
    """

    def __init__(
        self,
        claimant: Claimant,
        lease: timedelta,
        clock: Clock,
        leases: Leases | None = None,
        role: Role = Role.ACCESS_POINT,
    ) -> None:
        """``lease`` is the longest that a claim can last; ``leases`` say whose work in ``role`` is done."""
        self._ended = claimant.ended
        self._own = claimant.name
        self._lease = lease
        self._clock = clock
        self._leases = leases or Leases()
        self._role = role
        self._asked = -1
        """The number of gains of partitions after which all vaults were asked for."""
        self._done: dict[ParticipantIdentifier, int] = {}

    async def asked(self, due: Due, until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
        """Ask ``due``; where something may be left, for all that is due before such a claim can have ended.

        Vaults with leftovers are returned as if they were due now. A vault with a claim has something that
        becomes due when the claim ends, so that no other is opened.
        """
        gains = self._leases.gains
        if gains == self._asked or not (self._ended or gains):
            return [*await due(until)]
        now = self._clock()
        found = [*await due(max(until, now + self._lease))]
        self._asked = gains
        return [
            (organisation, now if self.of(organisation) else when)
            for organisation, when in found
            if when <= until or self.of(organisation)
        ]

    def of(self, organisation: ParticipantIdentifier) -> list[str]:
        """Return the processes whose claims are to be taken up in an organisation's vault; none once done."""
        gained = self._leases.gained(organisation, self._role)
        if self._done.get(organisation) == gained.number:
            return []
        return sorted(self._ended if gained.former is None else {*self._ended, gained.former})

    def own(self, organisation: ParticipantIdentifier) -> bool:
        """Return whether claims of this process itself are to be taken up there: it had lost its lease."""
        return self._own in self.of(organisation)

    def done(self, organisation: ParticipantIdentifier) -> None:
        """Note that it is committed that they were taken up."""
        if self.of(organisation):
            self._done[organisation] = self._leases.gained(organisation, self._role).number
