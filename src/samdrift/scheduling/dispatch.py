"""Background work that waits in the vaults: whose turn it is, and how much of one organisation's at once.

The queue itself is in the database; :class:`Dispatcher` decides only whose turn it is. Every
organisation with due work gets one turn before any gets a second one, so that one with a
backlog cannot delay the others. A vault is opened when something is due in it and not to
look: the registry knows when that is. In its turn an organisation starts jobs, up to a limit
of those in flight (:class:`InFlight`).
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
"""Does a bounded amount of an organisation's due work; returns when more is due, ``None`` when none waits."""

_AFTER_FAILURE = timedelta(seconds=5)
"""Time until an organisation whose turn failed gets another one."""

_AGAIN_AFTER = 1.0
"""Seconds until the next look, where the last one could not be made."""

_LAST_WORDS = 5.0
"""Seconds by which the end of a process is put off by claims that it gives back."""

_CUT_AT_MOST = 5
"""Times in a row that a claim is given back whose job an outage has cut off; then it waits for its lease."""

_AT_ONCE = 4
"""Turns: one organisation whose vault is slow to open does not hold up the others."""

Job = Callable[[], Coroutine[Any, Any, datetime | None]]
"""Does something that was claimed; returns when to try again, if that is known."""


class Dispatcher:
    """Gives turns to organisations as work becomes due or is announced."""

    def __init__(self, turn: Turn, clock: Clock, *, on_failure: Callable[[Exception], None]) -> None:
        self._turn = turn
        self._clock = clock
        self._on_failure = on_failure
        self._ready: dict[ParticipantIdentifier, None] = {}
        self._due: list[tuple[datetime, str, ParticipantIdentifier]] = []
        self._turns: dict[ParticipantIdentifier, asyncio.Task[None]] = {}
        self._again: set[ParticipantIdentifier] = set()
        """Organisations that get another turn, after the one that they have."""
        self._left: set[ParticipantIdentifier] = set()
        """Organisations that are not served here, until they are announced again."""
        self._changed = asyncio.Event()
        self._looks_now = False

    def look(self) -> None:
        """Look for due work now, since this process may have taken over more organisations."""
        self._looks_now = True
        self._changed.set()

    def wake(self, organisation: ParticipantIdentifier) -> None:
        """Mark the organisation as one that may have work now."""
        self._left.discard(organisation)
        self._make_ready(organisation)
        self._changed.set()

    def wake_at(self, organisation: ParticipantIdentifier, when: datetime) -> None:
        """Schedule a visit to the organisation at ``when``, when its work becomes due."""
        heapq.heappush(self._due, (when, organisation.value, organisation))
        self._changed.set()

    def expecting(self) -> set[ParticipantIdentifier]:
        """Organisations that have work now, or will at a time that is known."""
        return {*self._ready, *self._turns, *(organisation for _, _, organisation in self._due)}

    async def run(self, due: Due, look_every: float = 30) -> None:
        """Give turns until cancelled, several at once: to those that are woken and those that ``due`` names.

        It is asked at the start, for what an earlier run left, and every ``look_every`` seconds,
        however busy others are: a net under lost announcements.
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
        """Take in what becomes due until the next look; false when that is not known now."""
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
        """Wait until there is news, something is due, a turn has ended, or ``most`` seconds have passed."""
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
        """Let it wait for a turn, behind all others; only when its present one is over, if it has one."""
        if organisation in self._turns:
            self._again.add(organisation)
        else:
            self._ready[organisation] = None


@dataclass(slots=True)
class _Cut:
    """A job that an outage has cut off, and not the first time maybe."""

    times: int
    """In a row."""
    at: datetime
    gained: int
    """The number of the gain by which its organisation's work was this process's."""
    given_back: bool = False


class InFlight(ABC):
    """Starts jobs, straight after they were stored or from the queue in the vault.

    A job holds a lease in the vault: one that breaks comes back when its lease has ended (invariant 8). What
    an outage has cut off is given back with the next claims, and what is in flight when the process stops, at
    once; what a process had claimed that was killed is taken up by the next one
    (:class:`~samdrift.scheduling.claims.Leftovers`).
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
        """``claimant`` is the process as its claims name it, ``pace`` what its organisations share;
        ``leases`` say whose work in ``role`` is its.
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
        """Claim and start up to ``room`` jobs; returns when more is due, ``None`` when none waits.

        ``cut`` are things that this process has claimed and is not at any more, since an outage has cut their
        jobs off: they are given back first.
        """

    @abstractmethod
    async def _give_back(self, organisation: ParticipantIdentifier) -> None:
        """Release what this process has claimed of the organisation's work: nobody is at it any more."""

    async def run(self, due: Due) -> None:
        """Give turns until cancelled, to those that ``due`` names and those that are woken."""

        async def asked(until: datetime) -> Iterable[tuple[ParticipantIdentifier, datetime]]:
            return await self._leftovers.asked(due, until)

        self._leases.on_gain(self.dispatcher.look)
        await self.dispatcher.run(asked)

    def room(self, organisation: ParticipantIdentifier) -> int:
        """Return the number of further jobs of the organisation that may be in flight.

        None at the end, none where another process is in charge, and none before what this one had left is
        taken up.
        """
        if self._stopped or not self._leases.holds(organisation, self._role):
            return 0
        if self._leftovers.own(organisation):
            return 0
        return self._parallel - self._taken(organisation)

    def _taken(self, organisation: ParticipantIdentifier) -> int:
        """The places that the organisation's jobs have."""
        return len(self._flying[organisation])

    def busy(self) -> set[ParticipantIdentifier]:
        """Organisations that this process knows to have work that has not ended."""
        flying = {organisation for organisation, tasks in self._flying.items() if tasks}
        known = flying | self._backlog | self.dispatcher.expecting()
        return {each for each in known if self._leases.holds(each, self._role)}

    async def stop(self) -> None:
        """Cancel what is in flight, give it back, and start nothing more.

        A turn that is claiming meanwhile would start its jobs when what they need is closed. What cannot be
        given back now is taken up at the next start.
        """
        self._stopped = True
        flying = {organisation: [*tasks] for organisation, tasks in self._flying.items() if tasks}
        tasks = [task for each in flying.values() for task in each]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
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
        """Start a job for what was claimed; ``ended`` is called when it is not under way any more, before
        anything follows.
        """
        if self._stopped:
            ended()
            return
        task = asyncio.create_task(self._fly(organisation, job))
        self._flying[organisation].add(task)
        task.add_done_callback(lambda _: ended())
        task.add_done_callback(lambda done: self._landed(organisation, claimed, done))

    async def _fly(self, organisation: ParticipantIdentifier, job: Job) -> None:
        if not self._leases.holds(organisation, self._role):
            await self._left(organisation)  # Claimed in the moment in which the lease was lost.
            return
        try:
            async with self._leases.working(organisation, self._role, partial(self._left, organisation)):
                again = await self._pace.of(organisation, job)
        except NotLeased:
            return  # Another process does what is left.
        if again is not None:
            self.dispatcher.wake_at(organisation, again)

    async def _left(self, organisation: ParticipantIdentifier) -> None:
        """Give back what was claimed of an organisation's work that becomes another process's."""
        with contextlib.suppress(TimeoutError, Temporary, NotServed):
            async with asyncio.timeout(_LAST_WORDS):
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
        """Return what nobody is at, with a claim of this process that lasts and no other one can have had."""
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
