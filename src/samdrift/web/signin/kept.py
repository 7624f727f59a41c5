"""Cache of metadata that a sign-in service publishes, which bridges short outages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary

_LOGGER = logging.getLogger("samdrift")

_FRESH = timedelta(hours=1)
_STALE = timedelta(days=1)
_PAUSE = timedelta(seconds=15)

T = TypeVar("T")


class ProviderUnavailable(Temporary):
    """The sign-in service gives no usable answer now; the text does not name any person."""

    service = "sign-in"

    def __init__(self, text: str, *, reported: bool = False) -> None:
        """Make the error; ``reported`` is true if the failure has been logged already."""
        super().__init__(text)
        self.reported = reported


class Kept(Generic[T]):
    """A value from ``fetch`` that is refreshed after ``fresh``, and used for a day if that fails."""

    def __init__(
        self, fetch: Callable[[], Awaitable[T]], clock: Clock, place: str, *, fresh: timedelta = _FRESH
    ) -> None:
        """Use ``place`` as the name of the source in the log."""
        self._fetch = fetch
        self._place = place
        self._clock = clock
        self._fresh = fresh
        self._fetching = asyncio.Lock()
        self._failure = ""
        self._value: T | None = None
        self._fetched_at = self._tried_at = datetime.min.replace(tzinfo=clock().tzinfo)

    async def now(self) -> T:
        """Return the value; raise :class:`ProviderUnavailable` if there is none that is recent enough."""
        async with self._fetching:  # Concurrent callers wait for the same request.
            now = self._clock()
            if abs(now - self._fetched_at) > self._fresh and abs(now - self._tried_at) > _PAUSE:
                self._tried_at = now
                try:
                    self._value = await self._fetch()
                    self._fetched_at = now
                except ProviderUnavailable as failure:
                    if not failure.reported and self._failure != str(failure):
                        _LOGGER.warning("metadata of the sign-in service %s: %s", self._place, failure)
                    self._failure = str(failure)
                else:
                    self._failure = ""
        if self._value is None or abs(now - self._fetched_at) > _STALE:
            raise ProviderUnavailable("the sign-in service does not answer", reported=True)
        return self._value
