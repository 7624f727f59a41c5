"""Work that waits in the vaults and is done in the background: how much of one organisation at once.

Fair turns for organisations whose vaults hold work.

The queue itself is in the database. This decides only whose turn it is: every
organisation with due work gets one turn before any gets a second one, so that
one with a backlog cannot delay the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import NotServed, Temporary
from samdrift.wire.identifiers import ParticipantIdentifier

Turn = Callable[[ParticipantIdentifier], Awaitable[datetime | None]]
"""Does a bounded amount of an organisation's due work; returns when more is due, ``None`` when none waits."""

_AFTER_FAILURE = timedelta(seconds=5)


class Dispatcher:
    """Gives turns to organisations as work becomes due or is announced."""

    def __init__(self, turn: Turn, clock: Clock, *, on_failure: Callable[[Exception], None]) -> None:
        self._turn = turn
        self._clock = clock
        self._on_failure = on_failure
        self._ready: dict[ParticipantIdentifier, None] = {}
        self._known: dict[ParticipantIdentifier, None] = {}
        self._due: list[tuple[datetime, str, ParticipantIdentifier]] = []
        self._changed = asyncio.Event()

    def wake(self, organisation: ParticipantIdentifier) -> None:
        """Tell that the organisation may have work now."""
        self._ready[organisation] = None
        self._changed.set()

    def wake_at(self, organisation: ParticipantIdentifier, when: datetime) -> None:
        """Tell that the organisation has work that becomes due at ``when``."""
        heapq.heappush(self._due, (when, organisation.value, organisation))
        self._changed.set()

    def expecting(self) -> set[ParticipantIdentifier]:
        """Organisations that have work now, or will at a time that is known."""
        return {*self._ready, *(organisation for _, _, organisation in self._due)}

    async def run(self, organisations: Iterable[ParticipantIdentifier], idle_check: float = 300) -> None:
        """Give turns until cancelled; every organisation first gets one for what an earlier run left.

        Every ``idle_check`` seconds a new round goes over all that had a turn
        before, however busy others are: a net under lost announcements, and under
        deadlines that were set without one.
        """
        self._known = dict.fromkeys(organisations)
        self._ready |= self._known
        clock = asyncio.get_running_loop().time
        next_round = clock() + idle_check
        while True:
            if clock() >= next_round:
                self._ready |= self._known
                next_round = clock() + idle_check
            if not self._ready:
                await self._wait(next_round - clock())
                continue
            organisation = next(iter(self._ready))
            del self._ready[organisation]
            self._known[organisation] = None
            await self._give_turn(organisation)

    async def _give_turn(self, organisation: ParticipantIdentifier) -> None:
        try:
            due = await self._turn(organisation)
        except Temporary as outage:
            if not outage.expected:
                self._on_failure(outage)
            due = None if outage.announced else self._clock() + _AFTER_FAILURE
        except NotServed:
            # It has left, and is announced if it comes back. The gate has logged the denial.
            due = self._known.pop(organisation, None)
        except Exception as failure:
            self._on_failure(failure)
            due = self._clock() + _AFTER_FAILURE
        if due is not None:
            self.wake_at(organisation, due)

    async def _wait(self, most: float) -> None:
        """Until there is news, something is due, or ``most`` seconds have passed."""
        self._changed.clear()
        if self._due:
            most = min(most, (self._due[0][0] - self._clock()).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._changed.wait()
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            self._ready[heapq.heappop(self._due)[2]] = None


Job = Callable[[], Awaitable[datetime | None]]
"""Does something that was claimed; returns when to try again, if that is known."""


class InFlight(ABC):
    """Starts jobs, straight after they were stored or from the queue in the vault.

    A job holds a lease in the vault: one that breaks, or is cancelled, comes back
    when its lease has ended (invariant 8).
    """

    def __init__(
        self, clock: Clock, *, parallel: int, lease: timedelta, on_failure: Callable[[BaseException], None]
    ) -> None:
        self._clock = clock
        self._parallel = parallel
        self._lease = lease
        self._on_failure = on_failure
        self._flying: defaultdict[ParticipantIdentifier, set[asyncio.Task[None]]] = defaultdict(set)
        self._backlog: set[ParticipantIdentifier] = set()
        self.dispatcher = Dispatcher(self._turn, clock, on_failure=on_failure)

    @abstractmethod
    async def _claim(self, organisation: ParticipantIdentifier, room: int) -> datetime | None:
        """Claim and start up to ``room`` jobs; returns when more is due, ``None`` when none waits."""

    def room(self, organisation: ParticipantIdentifier) -> int:
        """How many more jobs of the organisation may be in flight."""
        return self._parallel - len(self._flying[organisation])

    def busy(self) -> set[ParticipantIdentifier]:
        """Organisations that this process knows to have work that has not ended."""
        flying = {organisation for organisation, tasks in self._flying.items() if tasks}
        return flying | self._backlog | self.dispatcher.expecting()

    async def stop(self) -> None:
        """Cancel what is in flight; leases bring it back at the next start."""
        tasks = [task for flying in self._flying.values() for task in flying]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, organisation: ParticipantIdentifier, job: Job) -> None:
        task = asyncio.create_task(self._fly(organisation, job))
        self._flying[organisation].add(task)
        task.add_done_callback(lambda done: self._landed(organisation, done))

    async def _fly(self, organisation: ParticipantIdentifier, job: Job) -> None:
        again = await job()
        if again is not None:
            self.dispatcher.wake_at(organisation, again)

    def _landed(self, organisation: ParticipantIdentifier, task: asyncio.Task[None]) -> None:
        self._flying[organisation].discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            if not (isinstance(failure, Temporary) and failure.expected):
                self._on_failure(failure)
            self.dispatcher.wake_at(organisation, self._clock() + self._lease)
        if organisation in self._backlog:
            self.dispatcher.wake(organisation)

    async def _turn(self, organisation: ParticipantIdentifier) -> datetime | None:
        room = self.room(organisation)
        if room <= 0:
            self._backlog.add(organisation)
            return None
        self._backlog.discard(organisation)
        return await self._claim(organisation, room)
