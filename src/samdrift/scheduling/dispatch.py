"""Background work that waits in the vaults: turns of the organisations, and limits on work in progress.

The queue itself is in the database; :class:`Dispatcher` only decides whose turn it is. Every organisation
with due work gets one turn before any gets a second one, so that one with a backlog cannot delay the others.
A vault is only opened when something is due in it: the registry knows when that is. In its turn an
organisation starts jobs, up to a limit on those in flight (:class:`InFlight`).
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import NotServed, Temporary
from samdrift.contracts.principals import Role
from samdrift.scheduling.claims import Claimant, Due, Leftovers
from samdrift.scheduling.leases import Leases, NotLeased
from samdrift.scheduling.pace import Pace
from samdrift.scheduling.ticks import until_tick
from samdrift.wire.identifiers import ParticipantIdentifier

Turn = Callable[[ParticipantIdentifier], Awaitable[datetime | None]]
"""A function that does a bounded amount of an organisation's due work, and returns when more is due.

It returns ``None`` if no more work is waiting.
"""

_AFTER_FAILURE = timedelta(seconds=5)
"""Time until an organisation gets another turn after a turn failed."""

_AGAIN_AFTER = 1.0
"""Seconds until the next attempt to find due work after the last one failed."""

_STOP_SECONDS = 5.0
"""Maximum number of seconds by which releasing claims may delay the end of a process."""

_CUT_AT_MOST = 5
"""Maximum number of consecutive outages after which a claim is released rather than left to its lease."""

_AT_ONCE = 4
"""Maximum number of concurrent turns; several, so that one slow vault does not delay other organisations."""

Job = Callable[[], Coroutine[Any, Any, datetime | None]]
"""A function that does a claimed piece of work, and returns when to try again, if that is known."""


class Dispatcher:
    """A dispatcher that gives turns to organisations as work becomes due or is announced."""

    def __init__(self, turn: Turn, clock: Clock, *, on_failure: Callable[[Exception], None]) -> None:
        self._turn = turn
        self._clock = clock
        self._on_failure = on_failure
        self._ready: dict[ParticipantIdentifier, None] = {}
        self._due: list[tuple[datetime, str, ParticipantIdentifier]] = []
        self._turns: dict[ParticipantIdentifier, asyncio.Task[None]] = {}
        self._again: set[ParticipantIdentifier] = set()
        """Organisations that get another turn after their present one."""
        self._left: set[ParticipantIdentifier] = set()
        """Organisations that are not served here, and are ignored until they are announced again."""
        self._changed = asyncio.Event()
        self._looks_now = False

    def look(self) -> None:
        """Look for due work now, because this process may have taken over more organisations."""
        self._looks_now = True
        self._changed.set()

    def wake(self, organisation: ParticipantIdentifier) -> None:
        """Mark an organisation as one that may have work now."""
        self._left.discard(organisation)
        self._make_ready(organisation)
        self._changed.set()

    def wake_at(self, organisation: ParticipantIdentifier, when: datetime) -> None:
        """Schedule a turn for the organisation at ``when``, when its work becomes due."""
        heapq.heappush(self._due, (when, organisation.value, organisation))
        self._changed.set()

    def expecting(self) -> set[ParticipantIdentifier]:
        """Return organisations that have work now, or will have at a known time."""
        return {*self._ready, *self._turns, *(organisation for _, _, organisation in self._due)}

    async def run(self, due: Due, look_every: float = 30) -> None:
        """Give turns until cancelled, several at a time, to organisations that are woken or become due.

        ``due`` returns the latter. It is called at the start, for work left by an earlier run, and every
        ``look_every`` seconds, however busy the process is: this finds work whose announcement was lost.
        """
        clock = asyncio.get_running_loop().time
        next_look = clock()
        try:
            while True:
                if self._looks_now or clock() >= next_look:
                    self._looks_now = False
                    looked = await self._look(due, look_every)
                    next_look = clock() + (until_tick(look_every) if looked else _AGAIN_AFTER)
                self._begin_turns()
                await self._wait(next_look - clock())
        finally:
            await self._end_turns()

    async def _look(self, due: Due, ahead: float) -> bool:
        """Schedule the work that becomes due before the next look; false if it could not be read."""
        now = self._clock()
        try:
            found = await due(now + timedelta(seconds=ahead))
        except Exception as failure:
            if not (isinstance(failure, Temporary) and failure.expected):
                self._on_failure(failure)
            return False
        for organisation, when in found:
            if organisation in self._left:
                continue
            if when <= now:
                self._make_ready(organisation)
            else:
                self.wake_at(organisation, when)
        return True

    def _begin_turns(self) -> None:
        while self._ready and len(self._turns) < _AT_ONCE:
            organisation = next(iter(self._ready))
            del self._ready[organisation]
            turn = self._turns[organisation] = asyncio.create_task(self._give_turn(organisation))
            turn.add_done_callback(partial(self._turn_ended, organisation))

    def _turn_ended(self, organisation: ParticipantIdentifier, _: asyncio.Task[None]) -> None:
        del self._turns[organisation]
        if organisation in self._again:
            self._again.remove(organisation)
            self._ready[organisation] = None
        self._changed.set()

    async def _end_turns(self) -> None:
        turns = list(self._turns.values())
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)

    async def _give_turn(self, organisation: ParticipantIdentifier) -> None:
        try:
            due = await self._turn(organisation)
        except Temporary as outage:
            if not outage.expected:
                self._on_failure(outage)
            due = None if outage.announced else self._clock() + _AFTER_FAILURE
        except NotServed:
            due = None  # The gate has logged the denial.
            self._left.add(organisation)
        except Exception as failure:
            self._on_failure(failure)
            due = self._clock() + _AFTER_FAILURE
        if due is not None:
            self.wake_at(organisation, due)

    async def _wait(self, most: float) -> None:
        """Wait until there is news, work is due, a turn has ended, or ``most`` seconds have passed."""
        if self._due:
            most = min(most, (self._due[0][0] - self._clock()).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._changed.wait()
        self._changed.clear()
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            self._make_ready(heapq.heappop(self._due)[2])

    def _make_ready(self, organisation: ParticipantIdentifier) -> None:
        """Queue an organisation for a turn, behind all others; after its present turn, if it has one."""
        if organisation in self._turns:
            self._again.add(organisation)
        else:
            self._ready[organisation] = None


@dataclass(slots=True)
class _Cut:
    """A job that an outage interrupted, perhaps repeatedly."""

    times: int
    """Number of interruptions in a row."""
    at: datetime
    gained: int
    """Number of the partition gain that gave the organisation's work to this process."""
    given_back: bool = False


class InFlight(ABC):
    """Jobs in flight, started directly after they were stored or from the queue in the vault.

    A job holds a lease in the vault: a job that fails becomes due again when its lease has ended (invariant
    8). Claims of jobs that an outage interrupted are released when the organisation next claims work, and
    those in flight are released when the process stops. The claims of a killed process are released by the
    next one (:class:`~samdrift.scheduling.claims.Leftovers`).
    """

    def __init__(
        self,
        clock: Clock,
        *,
        parallel: int,
        lease: timedelta,
        on_failure: Callable[[BaseException], None],
        claimant: Claimant | None = None,
        pace: Pace | None = None,
        leases: Leases | None = None,
        role: Role = Role.ACCESS_POINT,
    ) -> None:
        """Prepare to run jobs in ``role``.

        ``claimant`` is the process as named by its claims, ``pace`` is shared by the process's organisations,
        and ``leases`` determine which organisations' work in ``role`` is done by this process.
        """
        self._clock = clock
        self._parallel = parallel
        self._lease = lease
        self._on_failure = on_failure
        self._pace = pace or Pace()
        self._leases = leases or Leases()
        self._role = role
        self._leftovers = Leftovers(claimant or Claimant(), lease, clock, self._leases, role)
        self._flying: defaultdict[ParticipantIdentifier, set[asyncio.Task[None]]] = defaultdict(set)
        self._cut: defaultdict[ParticipantIdentifier, dict[Hashable, _Cut]] = defaultdict(dict)
        self._backlog: set[ParticipantIdentifier] = set()
        self._stopped = False
        self.dispatcher = Dispatcher(self._turn, clock, on_failure=on_failure)

    @abstractmethod
    async def _claim(
        self, organisation: ParticipantIdentifier, room: int, cut: Sequence[Any]
    ) -> datetime | None:
        """Claim and start up to ``room`` jobs; return when more is due, or ``None`` if no more is waiting.

        ``cut`` are claims of this process on jobs that an outage interrupted; they are released first.
        """

    @abstractmethod
    async def _give_back(self, organisation: ParticipantIdentifier) -> None:
        """Release this process's claims on the organisation's work, which it no longer works on."""

    async def run(self, due: Due) -> None:
        """Give turns until cancelled, to organisations that are woken or that ``due`` returns."""

        async def asked(until: datetime) -> Iterable[tuple[ParticipantIdentifier, datetime]]:
            return await self._leftovers.asked(due, until)

        self._leases.on_gain(self.dispatcher.look)
        await self.dispatcher.run(asked)

    def room(self, organisation: ParticipantIdentifier) -> int:
        """Return the number of further jobs of the organisation that may be started.

        It is 0 when this process is stopping, when another process is in charge, and until the claims that
        this process itself left are released.
        """
        if self._stopped or not self._leases.holds(organisation, self._role):
            return 0
        if self._leftovers.own(organisation):
            return 0
        return self._parallel - self._taken(organisation)

    def _taken(self, organisation: ParticipantIdentifier) -> int:
        """Return the number of places that the organisation's jobs occupy."""
        return len(self._flying[organisation])

    def busy(self) -> set[ParticipantIdentifier]:
        """Return the organisations that this process knows to have unfinished work."""
        flying = {organisation for organisation, tasks in self._flying.items() if tasks}
        known = flying | self._backlog | self.dispatcher.expecting()
        return {each for each in known if self._leases.holds(each, self._role)}

    async def stop(self) -> None:
        """Cancel jobs in flight, release their claims, and start nothing more.

        A turn that is claiming meanwhile would start its jobs after what they need is closed. Claims that
        cannot be released now are released at the next start.
        """
        self._stopped = True
        flying = {organisation: [*tasks] for organisation, tasks in self._flying.items() if tasks}
        tasks = [task for each in flying.values() for task in each]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                for organisation in flying:
                    with contextlib.suppress(Temporary, NotServed):
                        await self._give_back(organisation)

    def _start(
        self,
        organisation: ParticipantIdentifier,
        claimed: Hashable,
        job: Job,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """Start a job for a claim; ``ended`` is called once the job has ended, before anything follows."""
        if self._stopped:
            ended()
            return
        task = asyncio.create_task(self._fly(organisation, job))
        self._flying[organisation].add(task)
        task.add_done_callback(lambda _: ended())
        task.add_done_callback(lambda done: self._landed(organisation, claimed, done))

    async def _fly(self, organisation: ParticipantIdentifier, job: Job) -> None:
        if not self._leases.holds(organisation, self._role):
            await self._left(organisation)  # The lease was lost while the job was being claimed.
            return
        try:
            async with self._leases.working(organisation, self._role, partial(self._left, organisation)):
                again = await self._pace.of(organisation, job)
        except NotLeased:
            return  # Another process continues the work.
        if again is not None:
            self.dispatcher.wake_at(organisation, again)

    async def _left(self, organisation: ParticipantIdentifier) -> None:
        """Release this process's claims on an organisation's work, which another process takes over."""
        with contextlib.suppress(TimeoutError, Temporary, NotServed):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._give_back(organisation)

    def _landed(
        self, organisation: ParticipantIdentifier, claimed: Hashable, task: asyncio.Task[None]
    ) -> None:
        self._flying[organisation].discard(task)
        times = cut.times if (cut := self._cut[organisation].pop(claimed, None)) else 0
        if not task.cancelled() and (failure := task.exception()) is not None:
            if not (isinstance(failure, Temporary) and failure.expected):
                self._on_failure(failure)
            if isinstance(failure, Temporary) and times < _CUT_AT_MOST:
                self._cut[organisation][claimed] = _Cut(times + 1, self._clock(), self._gained(organisation))
                self.dispatcher.wake_at(organisation, self._clock() + _AFTER_FAILURE)
            self.dispatcher.wake_at(organisation, self._clock() + self._lease)
        if organisation in self._backlog:
            self.dispatcher.wake(organisation)

    def _gained(self, organisation: ParticipantIdentifier) -> int:
        return self._leases.gained(organisation, self._role).number

    def _cut_off(self, organisation: ParticipantIdentifier) -> dict[Hashable, _Cut]:
        """Return interrupted jobs whose claims are still this process's own."""
        known, lasts = self._cut[organisation], self._clock() - self._lease
        for claimed in [each for each, cut in known.items() if cut.at < lasts]:
            del known[claimed]
        gained = self._gained(organisation)
        return {each: cut for each, cut in known.items() if not cut.given_back and cut.gained == gained}

    async def _turn(self, organisation: ParticipantIdentifier) -> datetime | None:
        async with self._leases.working(organisation, self._role, partial(self._left, organisation)):
            room = self._parallel - self._taken(organisation)
            if room <= 0 or self._stopped:
                self._backlog.add(organisation)
                return None
            self._backlog.discard(organisation)
            cut = self._cut_off(organisation)
            due = await self._pace.of(organisation, partial(self._claim, organisation, room, [*cut]))
            for each in cut.values():
                each.given_back = True
            return due
