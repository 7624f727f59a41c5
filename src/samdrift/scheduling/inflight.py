"""Work that waits in the vaults and is done in the background: how much of one organisation at once."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.scheduling.dispatch import Dispatcher
from samdrift.wire.identifiers import ParticipantIdentifier

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
