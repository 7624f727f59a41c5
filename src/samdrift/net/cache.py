"""What is kept for a while, never more than so much of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

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
