"""Leases of background work: sending, polling, deadlines, logs, reminders.

Organisations are in a fixed number of partitions, by their identifier, and one process at a time is in charge
of each partition in each role. It learns that from the registry (:mod:`samdrift.vault.leasing`), which leases
partitions for seconds; a process that cannot renew stops its work before another one may begin it. Requests
are served by every process. A lease avoids duplicate work; claims in the vaults
(:mod:`samdrift.scheduling.claims`) ensure that no harm is done if two processes do the same work after all.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Role
from samdrift.wire.identifiers import ParticipantIdentifier

PARTITIONS = 64
"""Number of partitions in each role; all processes of an installation must agree on it (sql/leases-1.sql)."""


class NotLeased(Temporary):
    """An error: another process is in charge of the organisation's work, or will be."""

    expected = True
    announced = True

    def __init__(self) -> None:
        super().__init__("another process of the installation is in charge of this work")


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A part of the organisations in one role; without a role, the installation's own work."""

    role: Role | None = None
    number: int = 0


@lru_cache(maxsize=10_000)
def partition_of(organisation: ParticipantIdentifier | None, role: Role | None) -> Partition:
    """Return the partition of an organisation in a role; without both, the installation's own."""
    if organisation is None or role is None:
        return Partition()
    digest = hashlib.sha256(f"partition {organisation.value}".encode()).digest()
    return Partition(role, int.from_bytes(digest[:4]) % PARTITIONS)


@dataclass(eq=False, slots=True)
class _Work:
    """Work done under a lease, with the task that is cancelled when the lease is lost."""

    partition: Partition
    task: asyncio.Task[object]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Gained:
    """Record of this process's gain of a partition."""

    number: int
    """A number that increases with each gain, and so identifies it."""
    former: str | None
    """The process that had the partition before, and may have left claims."""


class Leases:
    """The partitions that this process is in charge of; all of them permanently if no keeper limits them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without limits; ``clock`` measures the duration of leases, and is never set."""
        self._clock = clock
        self._held: dict[Partition, Gained] | None = None
        """``None`` without a keeper of leases: then this process is the only one that uses its vaults."""
        self._renewed: Mapping[Partition, str | None] | None = None
        """The partitions that were last renewed; ``None`` once one of them has been left since."""
        self._until = 0.0
        self._work: set[_Work] = set()
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        """An event that is set when some work has ended."""
        self._on_gain: list[Callable[[], None]] = []
        self.changes = 0
        """Number of times that partitions were gained or lost."""
        self.gains = 0
        """Number of partitions gained."""

    def begin(self) -> None:
        """Be in charge only of leased partitions from now on."""
        self._held, self._renewed = {}, None
        self._note_change()

    def holds(self, organisation: ParticipantIdentifier | None, role: Role | None) -> bool:
        """Return whether this process is currently in charge of an organisation's work in a role."""
        if self._held is None:
            return True
        return partition_of(organisation, role) in self._held and self._clock() < self._until

    def gained(self, organisation: ParticipantIdentifier, role: Role) -> Gained:
        """Return the gain that gave the organisation's work to this process."""
        found = None if self._held is None else self._held.get(partition_of(organisation, role))
        return found or Gained(0, None)

    def held(self) -> set[Partition]:
        """Return the partitions currently leased by this process; none if no keeper limits it."""
        return set() if self._held is None or self._clock() >= self._until else set(self._held)

    def on_gain(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` whenever partitions are gained."""
        self._on_gain.append(notify)

    async def until_held(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Wait until this process is in charge."""
        while not self.holds(organisation, role):
            changed = self._changed
            await changed.wait()

    async def pause(self, seconds: float) -> None:
        """Wait for a number of seconds, or until partitions are gained or lost."""
        changed = self._changed
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await changed.wait()

    @contextlib.asynccontextmanager
    async def working(
        self,
        organisation: ParticipantIdentifier | None,
        role: Role | None,
        left: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[None]:
        """Work while the lease lasts; :class:`NotLeased` if there is none, or if it is lost meanwhile.

        If it is lost, the work is cancelled, and ``left`` is awaited before another process can get the
        lease.
        """
        if not self.holds(organisation, role):
            raise NotLeased
        task = asyncio.current_task()
        assert task is not None
        work = _Work(partition_of(organisation, role), task)
        asked_before = task.cancelling()
        self._work.add(work)
        try:
            try:
                yield
            except asyncio.CancelledError:
                if not work.cut or task.uncancel() > asked_before:
                    raise  # The task itself is being cancelled.
                if left is not None:
                    await left()
                raise NotLeased from None
            except BaseException:
                _withdraw(work)
                raise
            _withdraw(work)
        finally:
            self._work.discard(work)
            self._ended.set()

    def renewed(self, former: Mapping[Partition, str | None], until: float) -> None:
        """Be in charge of exactly these partitions until a moment; ``former`` names their previous processes.

        Partitions that are no longer included are left without waiting for their work to end (:meth:`leave`).
        If the same mapping, which must not be modified, is passed again, it is not compared again.
        """
        assert self._held is not None
        late = self._clock() >= self._until
        self._until = until
        same = former is self._renewed
        new = set() if same else former.keys() - self._held.keys()
        lost = set() if same else self._held.keys() - former.keys()
        for partition in sorted(new, key=str):
            self.gains += 1
            self._held[partition] = Gained(self.gains, former[partition])
        if lost:
            self._cut(lost)
        self._renewed = former
        if new or lost or late:
            self._note_change()
        if new:
            for notify in self._on_gain:
                notify()

    async def leave(self, partitions: Iterable[Partition] | None = None) -> None:
        """Give up these partitions, or all; return when no work on them is left here."""
        if self._held is None:
            return
        lost = set(self._held if partitions is None else partitions)
        cut = self._cut(lost)
        self._note_change()
        while cut & self._work:
            self._ended.clear()
            await self._ended.wait()

    def _cut(self, lost: Iterable[Partition]) -> set[_Work]:
        """Cancel the work done under the leases of these partitions."""
        assert self._held is not None
        self._renewed = None
        gone = set(lost)
        for partition in gone:
            self._held.pop(partition, None)
        cut = {each for each in self._work if each.partition in gone}
        for each in cut:
            if not each.cut:
                each.cut = True
                each.task.cancel()
        return cut

    def _note_change(self) -> None:
        self.changes += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _withdraw(work: _Work) -> None:
    """Undo the cancellation of work that has ended by itself."""
    if work.cut:
        work.task.uncancel()
