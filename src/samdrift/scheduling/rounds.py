"""Rounds over the organisations: those with due work, and regularly each of the others.

The registry knows when something becomes due in a vault: the vault's own code stores that moment in the
transaction that changes it, and the process that committed sends it to the registry. So no vault is opened
without need. If a moment is wrong after all, by a mistake or a manual change in the database, work waits for
one round at most. A check that is at least half due is made when the vault has just been opened for another
purpose: the login, which is most of its cost, is already done then.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.scheduling.agenda import Agenda
from samdrift.scheduling.claims import Due
from samdrift.wire.identifiers import ParticipantIdentifier

K = TypeVar("K", bound=Hashable)
Visits = AsyncIterator[tuple[ParticipantIdentifier, Role]]
"""An iterator over vaults that were just opened, so that there is a connection to each."""

EVERY = timedelta(hours=1)
"""Interval at which each organisation's vault is checked even if nothing is known to be due."""
_EARLY = EVERY / 2
"""Time before its turn from which a check may use a connection that exists already."""


def phase(organisation: ParticipantIdentifier) -> float:
    """Return an organisation's own offset in any shared interval, as a fraction of it.

    It spreads recurring work of all organisations over the interval, even if all of it began when a process
    started.
    """
    digest = hashlib.sha256(f"phase {organisation.value}".encode()).digest()
    return int.from_bytes(digest[:4]) / (1 << 32)


class Looks(Generic[K]):
    """A schedule of regular checks, which visits each of several items once in :data:`EVERY`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._read: datetime | None = None
        self._passed = timedelta()
        """Time since the beginning, independent of changes to the clock."""
        self._turns = Agenda[K, timedelta]()

    def follow(self, things: Iterable[K]) -> None:
        """Check these items from now on, and no others.

        New items are spread over the first round in an order that is the same within the process, so that
        checks for several reasons come at about the same time.
        """
        followed = set(things)
        known = self._turns.things()
        if followed == known:
            return
        self._pass()
        for gone in known - followed:
            self._turns.drop(gone)
        new = sorted(followed - known, key=hash)
        for place, each in enumerate(new, 1):
            self._turns.put(each, self._passed + EVERY * place / len(new))

    def due(self) -> list[K]:
        """Return the items to be checked now, each once."""
        self._pass()
        found = self._turns.take(self._passed)
        for each, when in found:
            self._turns.put(each, when + EVERY)
        return [each for each, _ in found]

    def along(self, thing: K) -> bool:
        """Return whether an item whose vault was just opened should be checked now instead of in its turn."""
        self._pass()
        turn = self._turns.moment(thing)
        soon = turn is not None and turn - self._passed <= _EARLY
        if soon:
            self.looked(thing)
        return soon

    def looked(self, thing: K) -> None:
        """Record that an item is checked now, for any reason; its next turn is a full round later."""
        self._pass()
        if thing in self._turns:
            self._turns.put(thing, self._passed + EVERY)

    def _pass(self) -> None:
        now = self._clock()
        since = now - self._read if self._read is not None else timedelta()
        self._read = now
        self._passed += min(max(since, timedelta()), EVERY)


class Served(Generic[K]):
    """The organisations that a process works for, selected again only when that may have changed."""

    def __init__(
        self, some: Collection[K], works_for: Callable[[K], bool], state: Callable[[], Hashable]
    ) -> None:
        """Select from ``some``, which may grow, by ``works_for``.

        ``state`` returns a value that changes whenever ``works_for`` may return another result.
        """
        self._some = some
        self._works_for = works_for
        self._state = state
        self._read: Hashable = None
        self._found: frozenset[K] = frozenset()

    def __call__(self) -> frozenset[K]:
        """Return the selected organisations: the same object while nothing has changed."""
        now = self._state(), len(self._some)
        if now != self._read:
            self._read, self._found = now, frozenset(filter(self._works_for, self._some))
        return self._found


class Rounds:
    """The turns of organisations: when something is due, and at regular intervals."""

    def __init__(
        self, moments: Due, organisations: Callable[[], Collection[ParticipantIdentifier]], clock: Clock
    ) -> None:
        """Plan turns by ``moments``, which returns due work, and for all of ``organisations``.

        ``organisations`` returns those that are served now: the same object while they are the same, so that
        they are not compared again.
        """
        self._moments = moments
        self._organisations = organisations
        self._read: Collection[ParticipantIdentifier] = ()
        self._served: frozenset[ParticipantIdentifier] = frozenset()
        self._clock = clock
        self._looks = Looks[ParticipantIdentifier](clock)

    async def due(self, until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
        """Return organisations in which something becomes due by ``until``, and those whose turn it is."""
        now, organisations = self._clock(), self._organisations()
        if organisations is not self._read:
            self._read, self._served = organisations, frozenset(organisations)
            self._looks.follow(self._served)
        moments = [(each, when) for each, when in await self._moments(until) if each in self._served]
        return [*moments, *((each, now) for each in self._looks.due())]

    async def go_along(
        self, visits: Visits, role: Role, wake: Callable[[ParticipantIdentifier], None]
    ) -> None:
        """Wake organisations near their turn when their vaults in ``role`` are opened, until cancelled."""
        async for organisation, opened in visits:
            if opened is role and self._looks.along(organisation):
                wake(organisation)
