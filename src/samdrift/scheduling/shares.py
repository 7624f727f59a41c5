"""Shares of the event loop's time, so that the work of one organisation cannot delay the others.

A single step of work cannot be interrupted, so it is kept short; an organisation can take further steps only
as fast as its share of the time allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Hashable

from samdrift.scheduling.places import Turns

_MAX_REMEMBERED = 10_000
"""Number of callers remembered, above which those that no longer owe time are forgotten."""


class Shares:
    """A limit that gives each organisation a share of the time, with a burst sufficient for a normal request.

    Callers that are not organisations have shares too, by any hashable value that identifies them.
    """

    def __init__(self, share: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the limits; ``burst`` is the number of seconds that may be used before slowing to ``share``."""
        self._clock = clock
        self._share = share
        self._ahead = burst / share
        self._paid_until: dict[Hashable, float] = {}
        self._turns = Turns(1)

    @contextlib.asynccontextmanager
    async def step(self, organisation: Hashable) -> AsyncIterator[None]:
        """Do one step, which must not await anything: in fair turns, one at a time, and charged."""
        await self.wait(organisation)
        async with self._turns.turn(organisation):
            began = self._clock()
            try:
                yield
            finally:
                self.charge(organisation, self._clock() - began)
            await asyncio.sleep(0)  # Other tasks that are ready run before the next step.

    async def wait(self, organisation: Hashable) -> None:
        """Wait until the organisation is within its share."""
        left = self._paid_until.get(organisation, 0.0) - self._ahead - self._clock()
        if left > 0:
            await asyncio.sleep(left)

    async def request(self, organisation: Hashable, cost: float) -> None:
        """Wait for the share as :meth:`wait` does, and charge ``cost`` seconds before the request is done.

        So even requests that find nothing, or no place, come no faster than others can tolerate.
        """
        await self.wait(organisation)
        self.charge(organisation, cost)

    def charge(self, organisation: Hashable, seconds: float) -> None:
        """Charge the organisation for ``seconds`` of the loop's time."""
        now = self._clock()
        if len(self._paid_until) >= _MAX_REMEMBERED:
            owing = self._paid_until.items()
            self._paid_until = {each: until for each, until in owing if until > now}
        self._paid_until[organisation] = max(self._paid_until.get(organisation, now), now) + (
            seconds / self._share
        )
