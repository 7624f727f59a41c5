"""Leases of work that comes by itself: sending, polling, deadlines, logs, reminders.

Organisations are in a fixed number of partitions, by their identifier, and of each partition and role one
process at a time is in charge. It knows that from the registry (:mod:`samdrift.vault.leasing`), which leases
partitions for seconds; a process that cannot renew stops its work before another one may begin it. Requests
are for every process. A lease saves work that is done twice; that nothing comes of it where two processes are
at the same thing after all is the affair of claims in the vaults (:mod:`samdrift.scheduling.claims`).
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
"""Number of partitions of each role. Processes of one installation have to agree on it (sql/leases-1.sql)."""


class NotLeased(Temporary):
    """Another process is in charge of the organisation's work, or will be."""

    expected = True
    announced = True

    def __init__(self) -> None:
        super().__init__("another process of the installation is in charge of this work")


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A part of the organisations in one role, or, without a role, what is the installation's own."""

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
    """Something that is done under a lease, by the task that is cancelled when that is lost."""

    partition: Partition
    task: asyncio.Task[object]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Gained:
    """The way in which a partition came to this process."""

    number: int
    """Increases with each gain, so that it distinguishes them."""
    former: str | None
    """The process that had it before, which may have left claims."""


class Leases:
    """The partitions that this process is in charge of; without a keeper all of them, for ever."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` measures how long a lease lasts, and is never set."""
        self._clock = clock
        self._held: dict[Partition, Gained] | None = None
        """``None`` where nobody keeps leases: the process is alone with its vaults."""
        self._renewed: Mapping[Partition, str | None] | None = None
        """The partitions that were renewed last, as long as none of them was left since."""
        self._until = 0.0
        self._work: set[_Work] = set()
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        """Set when something is no longer done."""
        self._on_gain: list[Callable[[], None]] = []
        self.changes = 0
        """Times that partitions were gained or lost."""
        self.gains = 0
        """Times that a partition was gained."""

    def begin(self) -> None:
        """Be in charge of nothing from now on but of what is leased."""
        self._held, self._renewed = {}, None
        self._note_change()

    def holds(self, organisation: ParticipantIdentifier | None, role: Role | None) -> bool:
        """Return whether this process is in charge now of an organisation's work in a role."""
        if self._held is None:
            return True
        return partition_of(organisation, role) in self._held and self._clock() < self._until

    def gained(self, organisation: ParticipantIdentifier, role: Role) -> Gained:
        """Return how the organisation's work came to this process."""
        found = None if self._held is None else self._held.get(partition_of(organisation, role))
        return found or Gained(0, None)

    def held(self) -> set[Partition]:
        """Return the partitions that this process is in charge of, as far as it has any leases."""
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
        """Wait so long, or until partitions are gained or lost."""
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
        """Work while the lease lasts; :class:`NotLeased` without one, and when it is lost meanwhile.

        What is done then is cancelled, and ``left`` is waited for before the lease can be another's.
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
                    raise  # The task itself is to end.
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
        """Be in charge of these until then. Those that are new come from the process named beside them.

        What is not among them any more is left without waiting for it (:meth:`leave`). The same mapping,
        which nobody changes, is not gone through again.
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
        """Give up the lease on them, or on everything; returns when nobody works on them."""
        if self._held is None:
            return
        lost = set(self._held if partitions is None else partitions)
        cut = self._cut(lost)
        self._note_change()
        while cut & self._work:
            self._ended.clear()
            await self._ended.wait()

    def _cut(self, lost: Iterable[Partition]) -> set[_Work]:
        """Cancel what is done under these leases."""
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
    """Take back the cancellation of what had come to its end by itself."""
    if work.cut:
        work.task.uncancel()
