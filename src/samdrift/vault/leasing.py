"""The keeper of leases, which renews in the registry the partitions that this process is in charge of.

The database's clock alone decides (sql/leases-1.sql). This process measures a lease from before it requested
it, by a clock that is never set, and stops its work :attr:`LeaseTimes.margin` before the end: so whatever
happens to it and to the connection, no other process is in charge while this one believes that it is. A
process that shuts down properly gives its leases back; those of a killed one expire, or end as soon as a
process that starts on the same machine knows that it has ended (:mod:`samdrift.installation.lives`).

A process whose own clock differs from the database's is set aside by the registry as long as the clock of
another one is right (sql/lease-clocks-1.sql): it gives its leases back, and gets none until its clock is
right again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from samdrift.contracts.clock import MAX_DIFFERENCE, Clock
from samdrift.contracts.principals import Role
from samdrift.scheduling.claims import Claimant
from samdrift.scheduling.leases import Leases, Partition
from samdrift.vault.database.session import Row
from samdrift.vault.errors import VaultError, VaultUnavailable

_RENEW = """
SELECT role, array_agg(number ORDER BY number), former, surplus
FROM renew_leases($1, $2, $3, $4, $5, $6, $7, $8)
GROUP BY role, former, surplus ORDER BY role, former, surplus
"""
"""Query that returns partitions in groups, so that its rows stay the same while no process begins or ends."""
_END = "SELECT end_leases($1)"
_OWN = ""
"""The role under which the registry keeps the installation's own leases."""
_AGAIN_AFTER = 1.0
_STOP_SECONDS = 2.0
"""Maximum number of seconds by which giving leases back may delay the end of a process."""
_LOGGER = logging.getLogger("samdrift")

Ask = Callable[..., Awaitable[list[Row]]]
"""A function that runs SQL with values in the registry."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Times in seconds: duration of a lease, interval of renewal, and how long before the end work stops."""

    lasts: float = 20.0
    renewed_every: float = 5.0
    margin: float = 4.0


def now() -> datetime:
    """Return the current time by this machine's clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class LeaseKeeper:
    """A keeper of one process's leases while its context lasts."""

    registry: Ask
    leases: Leases
    claimant: Claimant
    roles: Collection[Role]
    times: LeaseTimes = field(default_factory=LeaseTimes)
    announce: Callable[[], None] = lambda: None
    """Function that makes other processes look for free leases."""
    found_gone: Callable[[], None] = lambda: None
    """Function called when a process is found to have ended without a shutdown, to check what it left."""
    set_aside: Callable[[bool], None] = lambda aside: None
    """Function called with true when this process is set aside for its clock, and with false afterwards."""
    clock: Callable[[], float] = time.monotonic
    of_day: Clock = now
    """The clock by which this process schedules postponed work."""
    _given: set[Partition] = field(default_factory=set)
    """Partitions to be given back, on which no work is left here."""
    _leaving: set[Partition] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _rows: list[Row] = field(default_factory=list)
    """The last rows that the registry returned."""
    _held: Mapping[Partition, str | None] = field(default_factory=dict)
    """The partitions in these rows, each with the process that had it before."""
    _surplus: set[Partition] = field(default_factory=set)
    """The partitions among them that exceed this process's share."""
    _until: float = 0.0
    _lapsed: bool = False
    _away: bool = False
    """True while the registry's database is down, which has its own line in the log."""
    _aside: bool = False
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Lease the free partitions, and keep them renewed from now on."""
        self.leases.begin()
        with contextlib.suppress(VaultError, TimeoutError):
            await self.renew()
        self._task = asyncio.create_task(self._keep())
        self.announce()

    def ask(self) -> None:
        """Request a renewal soon, since partitions may be free."""
        self._asked.set()

    async def stop(self) -> None:
        """Stop the work still done under leases, give them back, and notify other processes."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, *self._tasks, return_exceptions=True)
        await self.leases.leave()
        with contextlib.suppress(VaultError, TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self.registry(_END, self.claimant.name)
        self.announce()

    async def renew(self) -> None:
        """Renew once; :class:`VaultError` or :class:`TimeoutError` if the registry cannot be reached."""
        began, given = self.clock(), sorted(self._given, key=str)
        async with asyncio.timeout(self.times.renewed_every):
            rows = await self.registry(
                _RENEW,
                self.claimant.name,
                [_OWN, *sorted(role.value for role in self.roles)],
                timedelta(seconds=self.times.lasts),
                sorted(self.claimant.ended),
                [_text(each.role) for each in given],
                [each.number for each in given],
                self.of_day(),
                MAX_DIFFERENCE,
            )
        self._given.difference_update(given)
        if given:
            self.announce()
        gone = [former for role, _, former, _ in rows if role is None and former is not None]
        self._judged(aside=any(role is None and former is None for role, _, former, _ in rows))
        if rows != self._rows:
            self._rows, self._held, self._surplus = rows, *_partitions(rows)
        held = self._held
        if self._lapsed:  # Our claims from before the lapse were not released: take them up ourselves.
            held = dict.fromkeys(held, self.claimant.name)
        if gives := self._leaving | self._given:
            held = {each: former for each, former in held.items() if each not in gives}
        self._until = began + self.times.lasts - self.times.margin
        self.leases.renewed(held, self._until)
        if leave := self._surplus & held.keys():
            self._leaving |= leave
            task = asyncio.create_task(self._leave(leave))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._lapsed:
            self._lapsed = False
            _LOGGER.log(self._level, "leases: renewed again; background work resumes here")
        if gone:
            _LOGGER.warning("leases: processes that ended without shutting down: %d", len(gone))
            self.found_gone()

    @property
    def _level(self) -> int:
        return logging.INFO if self._away else logging.WARNING

    def _judged(self, *, aside: bool) -> None:
        if aside != self._aside:
            self._aside = aside
            self.set_aside(aside)

    async def _leave(self, partitions: set[Partition]) -> None:
        """Give back partitions beyond this process's share once no work on them is left here."""
        await self.leases.leave(partitions)
        self._leaving -= partitions
        self._given |= partitions
        self._asked.set()

    async def _keep(self) -> None:
        wait = self.times.renewed_every
        while True:
            self._look_at_clock()
            left = self._until - self.clock()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait, left) if left > 0 else wait):
                    await self._asked.wait()
            self._asked.clear()
            self._look_at_clock()
            try:
                await self._in_time()
            except (VaultError, TimeoutError) as error:
                wait = _AGAIN_AFTER
                self._away = isinstance(error, VaultUnavailable) and error.reported
            else:
                wait, self._away = self.times.renewed_every, False

    async def _in_time(self) -> None:
        """Renew, but give up if the lease ends before the registry has answered."""
        left = self._until - self.clock()
        async with asyncio.timeout(left if left > 0 else None):
            await self.renew()

    def _look_at_clock(self) -> None:
        """Stop the work if the lease has ended: another process may be in charge soon."""
        if self._lapsed or self.clock() < self._until:
            return
        self._lapsed = True
        _LOGGER.log(
            self._level,
            "leases: could not be renewed in time: background work stops here and is left to other processes",
        )
        self._given.clear()
        self.leases.renewed({}, self._until)


def _text(role: Role | None) -> str:
    return _OWN if role is None else role.value


def _partitions(rows: Iterable[Row]) -> tuple[dict[Partition, str | None], set[Partition]]:
    """Return the partitions in the registry's rows, and those of them that exceed this process's share."""
    held, surplus = dict[Partition, str | None](), set[Partition]()
    for role, numbers, former, more in rows:
        if role is not None:
            found = [Partition(Role(role) if role else None, number) for number in numbers]
            held.update(dict.fromkeys(found, former))
            surplus.update(found if more else ())
    return held, surplus
