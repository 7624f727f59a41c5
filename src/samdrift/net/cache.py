"""Answers that are kept for a while, up to a limit, and fetched once for all who ask at the same time.

So a cold cache, or a service that is slow, is met by one request and not by
one for each message that waits.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from datetime import datetime
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TimedCache(Generic[K, V]):
    """Values with an end; the one that was not asked for longest gives way when there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, tuple[V, datetime]] = OrderedDict()

    def get(self, key: K, at: datetime) -> V | None:
        """The value for ``key`` when it is kept beyond ``at``."""
        found = self._kept.get(key)
        if found is None or at >= found[1]:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, until: datetime) -> None:
        """Keep ``value`` until ``until``, in place of what was there."""
        self._kept[key] = (value, until)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


class SingleFlight(Generic[K, V]):
    """Runs at most one piece of work per key at a time, and gives its outcome to all who asked."""

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[V]] = {}

    async def run(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The outcome of ``work``, or of that which runs for ``key`` already.

        Who stops waiting does not stop the work: others may wait for it.
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
            task.exception()  # Somebody may have waited or nobody; it has been seen either way.
