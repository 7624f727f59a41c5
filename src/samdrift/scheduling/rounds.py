"""Rounds over the organisations: where something is due, and each one now and then.

The registry knows when something becomes due in a vault: the vault's own code keeps that moment in
the transaction that changes it, and whoever committed brings it to the registry. So nobody opens a vault in
order to find nothing. Should a moment be wrong after all, by a mistake or by a hand in the database, nothing
waits for longer than one round. A look that is half due is made when somebody else has just opened the vault:
the login, which is most of its cost, has been paid for then.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.scheduling.claims import Due
from samdrift.wire.identifiers import ParticipantIdentifier

K = TypeVar("K", bound=Hashable)
Visits = AsyncIterator[tuple[ParticipantIdentifier, Role]]
"""Vaults that were just opened, so that a connection to each stands."""

EVERY = timedelta(hours=1)
"""In which each organisation's vault is looked at once although nothing is known to be due."""
_EARLY = EVERY / 2
"""Time before its turn from which a look is made over a connection that stands."""


def phase(organisation: ParticipantIdentifier) -> float:
    """Return the moment of an organisation within a time that many share, as a fraction of it.

    What begins for all of them with a start, and comes again after the same time, comes to each at its own.
    """
    digest = hashlib.sha256(f"phase {organisation.value}".encode()).digest()
    return int.from_bytes(digest[:4]) / (1 << 32)


class Looks(Generic[K]):
    """The moments at which each of several things is looked at, once in :data:`EVERY`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._read: datetime | None = None
        self._passed = timedelta()
        """Time since the beginning, whatever the clock is set to."""
        self._next: dict[K, timedelta] = {}
        self._turns: list[tuple[timedelta, int, K]] = []
        """Moment, number and thing of each turn; one that is not in ``_next`` was replaced by another."""
        self._number = 0

    def follow(self, things: Iterable[K]) -> None:
        """Look at these from now on, and at no others. Those that are new are spread over the first round,
        in an order that is the process's own: looks for several reasons come at about the same time.
        """
        followed = set(things)
        if followed == self._next.keys():
            return
        self._pass()
        for gone in self._next.keys() - followed:
            del self._next[gone]
        new = sorted(followed - self._next.keys(), key=hash)
        for place, each in enumerate(new, 1):
            self._put(each, self._passed + EVERY * place / len(new))

    def due(self) -> list[K]:
        """Return what is to be looked at now, each once."""
        self._pass()
        found = []
        while self._turns and self._turns[0][0] <= self._passed:
            when, _, each = heapq.heappop(self._turns)
            if self._next.get(each) == when:
                found.append(each)
                self._put(each, when + EVERY)
        return found

    def along(self, thing: K) -> bool:
        """Return whether a thing whose vault was just opened is looked at now rather than in its turn."""
        self._pass()
        soon = thing in self._next and self._next[thing] - self._passed <= _EARLY
        if soon:
            self.looked(thing)
        return soon

    def looked(self, thing: K) -> None:
        """Note that a thing is looked at now, for whatever reason; its turn is a whole round away."""
        self._pass()
        if thing in self._next:
            self._put(thing, self._passed + EVERY)

    def _pass(self) -> None:
        now = self._clock()
        since = now - self._read if self._read is not None else timedelta()
        self._read = now
        self._passed += min(max(since, timedelta()), EVERY)

    def _put(self, thing: K, when: timedelta) -> None:
        self._next[thing] = when
        self._number += 1
        heapq.heappush(self._turns, (when, self._number, thing))


class Rounds:
    """Organisations that are to get a turn: those whose moment comes, and the others now and then."""

    def __init__(
        self, moments: Due, organisations: Callable[[], Iterable[ParticipantIdentifier]], clock: Clock
    ) -> None:
        """``organisations`` returns those that are served now."""
        self._moments = moments
        self._organisations = organisations
        self._clock = clock
        self._looks = Looks[ParticipantIdentifier](clock)

    async def due(self, until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
        """Return organisations in which something becomes due until then, and those whose turn it is."""
        now, served = self._clock(), set(self._organisations())
        moments = [(each, when) for each, when in await self._moments(until) if each in served]
        self._looks.follow(served)
        return [*moments, *((each, now) for each in self._looks.due())]

    async def go_along(
        self, visits: Visits, role: Role, wake: Callable[[ParticipantIdentifier], None]
    ) -> None:
        """Wake organisations whose turn is near when their vaults in ``role`` are opened, until cancelled."""
        async for organisation, opened in visits:
            if opened is role and self._looks.along(organisation):
                wake(organisation)
