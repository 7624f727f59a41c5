"""Rounds over the organisations: where something is due, and each one now and then.

The registry knows when something becomes due in a vault: the vault's own code keeps that moment in
the transaction that changes it, and whoever committed brings it to the registry. So nobody opens a vault in
order to find nothing. Should a moment be wrong after all, by a mistake or by a hand in the database, nothing
waits for longer than one round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.scheduling.claims import Due
from samdrift.wire.identifiers import ParticipantIdentifier

EVERY = timedelta(hours=1)
"""In which each organisation's vault is looked at once although nothing is known to be due."""


class Rounds:
    """Organisations that are to get a turn: those whose moment comes, and a share of the others."""

    def __init__(
        self, moments: Due, organisations: Callable[[], Iterable[ParticipantIdentifier]], clock: Clock
    ) -> None:
        """``organisations`` returns those that are served now."""
        self._moments = moments
        self._organisations = organisations
        self._clock = clock
        self._looked: datetime | None = None
        self._owed = 0.0
        self._left: list[ParticipantIdentifier] = []
        """Organisations whose turn has not come in this round."""

    async def due(self, until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
        """Return organisations in which something becomes due until then, and those whose turn it is."""
        now, served = self._clock(), set(self._organisations())
        moments = [(each, when) for each, when in await self._moments(until) if each in served]
        return [*moments, *((each, now) for each in self._in_turn(served, now))]

    def _in_turn(self, served: set[ParticipantIdentifier], now: datetime) -> list[ParticipantIdentifier]:
        """Return as many as make each come once in :data:`EVERY`, in an order that is the process's own.

        Several rounds come to an organisation at about the same time, so that they share a connection.
        """
        since = now - self._looked if self._looked is not None else timedelta()
        self._looked = now
        self._owed += len(served) * min(max(since / EVERY, 0.0), 1.0)
        found = []
        while self._owed >= 1:
            self._owed -= 1
            if not self._left:
                self._left = sorted(served, key=hash)
            if (organisation := self._left.pop()) in served:
                found.append(organisation)
        return found
