"""Rounds over the organisations: where something is due, and each one now and then.

The registry knows when something becomes due in a vault: the vault's own code keeps that moment in
the transaction that changes it, and whoever committed brings it to the registry. So nobody opens a vault in
order to find nothing. Should a moment be wrong after all, by a mistake or by a hand in the database, nothing
waits for longer than one round. A look that is half due is made when somebody else has just opened the vault:
the login, which is most of its cost, has been paid for then.
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
        self._turns = Agenda[K, timedelta]()

    def follow(self, things: Iterable[K]) -> None:
        """Look at these from now on, and at no others. Those that are new are spread over the first round,
        in an order that is the process's own: looks for several reasons come at about the same time.
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
        """Return what is to be looked at now, each once."""
        self._pass()
        found = self._turns.take(self._passed)
        for each, when in found:
            self._turns.put(each, when + EVERY)
        return [each for each, _ in found]

    def along(self, thing: K) -> bool:
        """Return whether a thing whose vault was just opened is looked at now rather than in its turn."""
        self._pass()
        turn = self._turns.moment(thing)
        soon = turn is not None and turn - self._passed <= _EARLY
        if soon:
            self.looked(thing)
        return soon

    def looked(self, thing: K) -> None:
        """Note that a thing is looked at now, for whatever reason; its turn is a whole round away."""
        self._pass()
        if thing in self._turns:
            self._turns.put(thing, self._passed + EVERY)

    def _pass(self) -> None:
        now = self._clock()
        since = now - self._read if self._read is not None else timedelta()
        self._read = now
        self._passed += min(max(since, timedelta()), EVERY)


class Served(Generic[K]):
    """The organisations among some that a process works for, gone through again when that has changed."""

    def __init__(
        self, some: Collection[K], works_for: Callable[[K], bool], state: Callable[[], Hashable]
    ) -> None:
        """``some`` may grow; ``state`` changes whenever the answer of ``works_for`` may be another one."""
        self._some = some
        self._works_for = works_for
        self._state = state
        self._read: Hashable = None
        self._found: frozenset[K] = frozenset()

    def __call__(self) -> frozenset[K]:
        """Return them: the same object while nothing has changed."""
        now = self._state(), len(self._some)
        if now != self._read:
            self._read, self._found = now, frozenset(filter(self._works_for, self._some))
        return self._found


class Rounds:
    """Organisations that are to get a turn: those whose moment comes, and the others now and then."""

    def __init__(
        self, moments: Due, organisations: Callable[[], Collection[ParticipantIdentifier]], clock: Clock
    ) -> None:
        """``organisations`` returns those that are served now: the same object while these are the same,
        which is then not gone through again.
        """
        self._moments = moments
        self._organisations = organisations
        self._read: Collection[ParticipantIdentifier] = ()
        self._served: frozenset[ParticipantIdentifier] = frozenset()
        self._clock = clock
        self._looks = Looks[ParticipantIdentifier](clock)

    async def due(self, until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
        """Return organisations in which something becomes due until then, and those whose turn it is."""
        now, organisations = self._clock(), self._organisations()
        if organisations is not self._read:
            self._read, self._served = organisations, frozenset(organisations)
            self._looks.follow(self._served)
        moments = [(each, when) for each, when in await self._moments(until) if each in self._served]
        return [*moments, *((each, now) for each in self._looks.due())]

    async def go_along(
        self, visits: Visits, role: Role, wake: Callable[[ParticipantIdentifier], None]
    ) -> None:
        """Wake organisations whose turn is near when their vaults in ``role`` are opened, until cancelled."""
        async for organisation, opened in visits:
            if opened is role and self._looks.along(organisation):
                wake(organisation)
