"""Publications of a sign-in service about itself: kept for a while, so that one that is down is bridged."""

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
    """The sign-in service returns no usable answer now; the text names no person."""

    service = "sign-in"

    def __init__(self, text: str, *, reported: bool = False) -> None:
        """``reported`` is true where a line in the log says so already: of a dependency, or of a fetch."""
        super().__init__(text)
        self.reported = reported


class Kept(Generic[T]):
    """A value that ``fetch`` returned, fetched again after ``fresh``, and used for a day while that fails."""

    def __init__(
        self, fetch: Callable[[], Awaitable[T]], clock: Clock, place: str, *, fresh: timedelta = _FRESH
    ) -> None:
        """``place`` is where it is fetched, as the log names it."""
        self._fetch = fetch
        self._place = place
        self._clock = clock
        self._fresh = fresh
        self._fetching = asyncio.Lock()
        self._failure = ""
        self._value: T | None = None
        self._fetched_at = self._tried_at = datetime.min.replace(tzinfo=clock().tzinfo)

    async def now(self) -> T:
        """Return what is kept; :class:`ProviderUnavailable` when there is nothing to be had."""
        async with self._fetching:  # People who come at the same time wait for the same answer.
            now = self._clock()
            if now - self._fetched_at > self._fresh and now - self._tried_at > _PAUSE:
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
        if self._value is None or now - self._fetched_at > _STALE:
            raise ProviderUnavailable("the sign-in service does not answer", reported=True)
        return self._value
