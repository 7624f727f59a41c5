"""Values that are cached for a limited time, and fetched once for all concurrent callers.

With a cold cache or a slow service, waiting messages share one request instead of each making their own.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TimedCache(Generic[K, V]):
    """A cache of values with an expiry time; the least recently used value is evicted when it is full."""

    def __init__(self, most: int, longest: timedelta = timedelta.max) -> None:
        """Keep ``most`` values, each for at most ``longest``.

        One that expires later was kept by a clock that was ahead, and is not used.
        """
        self._most = most
        self._longest = longest
        self._kept: OrderedDict[K, tuple[V, datetime]] = OrderedDict()

    def get(self, key: K, at: datetime) -> V | None:
        """Return the value for ``key`` if it has not expired at ``at``."""
        found = self._kept.get(key)
        if found is None or not timedelta() < found[1] - at <= self._longest:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, until: datetime) -> None:
        """Keep ``value`` until ``until``, replacing the previous one."""
        self._kept[key] = (value, until)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


class SingleFlight(Generic[K, V]):
    """A runner that does each piece of work once for all concurrent callers with the same key."""

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[V]] = {}

    async def run(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the outcome of ``work``, or of the work that already runs for ``key``.

        A caller that is cancelled does not cancel the work, because others may be waiting for it.
        """
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(work())
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    def _ended(self, key: K, task: asyncio.Task[V]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # Mark the exception as retrieved, even if no caller waited for it.
