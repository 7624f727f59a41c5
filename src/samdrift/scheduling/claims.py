"""Claims of a process on work in the vaults, and claims left by processes that have ended.

A claim ends with its lease (invariant 8), which is longer than any attempt. Work claimed by a process that
has ended need not wait for that: each start of a process has its own name, which its claims carry, and a
process that starts later is given the names of those that have ended (:mod:`samdrift.installation.lives`).
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
"""A function that returns the organisations in which something becomes due by a moment, and when."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """A process as named by its claims, which end with their leases unless its end becomes known earlier."""

    name: str = field(default_factory=lambda: secrets.token_hex(16))
    """A random name for this start of the process."""
    ended: frozenset[str] = frozenset()
    """Processes of the installation that had ended when this one began."""


class Leftovers:
    """A schedule of vaults in which another process may have left claims, without waiting for their leases.

    Such a process is either one on this machine that had ended before this one started or, when this process
    takes over an organisation's work, the one that was in charge of it before. Vaults are visited in the
    organisations' ordinary turns, so this is just as fair, and a vault that cannot be opened does not delay
    the others.
    """

    def __init__(
        self,
        claimant: Claimant,
        lease: timedelta,
        clock: Clock,
        leases: Leases | None = None,
        role: Role = Role.ACCESS_POINT,
    ) -> None:
        """Track leftovers; ``lease`` is the longest that a claim can last.

        ``leases`` determine which organisations' work in ``role`` is done by this process.
        """
        self._ended = claimant.ended
        self._own = claimant.name
        self._lease = lease
        self._clock = clock
        self._leases = leases or Leases()
        self._role = role
        self._asked = -1
        """Number of gains of partitions when all vaults were last asked about."""
        self._done: dict[ParticipantIdentifier, int] = {}

    async def asked(self, due: Due, until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
        """Call ``due``; if claims may be left, extend the time asked about to cover the end of such claims.

        Vaults with leftovers are returned as if they were due now. A vault with a claim has something that
        becomes due when the claim ends, so no other vault needs to be opened.
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
        """Return the processes whose claims are to be released in an organisation's vault; none once done."""
        gained = self._leases.gained(organisation, self._role)
        if self._done.get(organisation) == gained.number:
            return []
        return sorted(self._ended if gained.former is None else {*self._ended, gained.former})

    def own(self, organisation: ParticipantIdentifier) -> bool:
        """Return whether this process's own claims are to be released there: it had lost its lease."""
        return self._own in self.of(organisation)

    def done(self, organisation: ParticipantIdentifier) -> None:
        """Record that the release of leftover claims in an organisation's vault is committed."""
        if self.of(organisation):
            self._done[organisation] = self._leases.gained(organisation, self._role).number
