"""How often something may happen, so that strangers cannot make it costly."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta


class Limit:
    """So many times per key within a period; counts are kept for so many keys."""

    def __init__(self, times: int, period: timedelta, keys: int = 10_000) -> None:
        self._times = times
        self._period = period
        self._keys = keys
        self._counts: OrderedDict[Hashable, tuple[datetime, int]] = OrderedDict()

    def exceeded(self, key: Hashable, now: datetime) -> bool:
        """Count one more; whether that is more than may be in this period."""
        began, count = self._counts.pop(key, (now, 0))
        if now - began >= self._period:
            began, count = now, 0
        self._counts[key] = began, count + 1
        if len(self._counts) > self._keys:
            self._counts.popitem(last=False)
        return count >= self._times
