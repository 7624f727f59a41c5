"""Shares of the event loop's time, so that work of one organisation cannot hold up the others'.

A single step of work cannot be interrupted, so it is kept short; an organisation
takes one step after another only as fast as its share of the time allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Hashable

from samdrift.scheduling.places import Turns

_MAX_REMEMBERED = 10_000
"""Number of those who used time, before it is looked who has paid for it."""


class Shares:
    """Limit each organisation to a share of the time, with a burst that a normal request stays within.

    Strangers have shares too, by what distinguishes them.
    """

    def __init__(self, share: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``burst`` is how many seconds an organisation may use before it is slowed down to ``share``."""
        self._clock = clock
        self._share = share
        self._ahead = burst / share
        self._paid_until: dict[Hashable, float] = {}
        self._turns = Turns(1)

    @contextlib.asynccontextmanager
    async def step(self, organisation: Hashable) -> AsyncIterator[None]:
        """Do one step without waiting in it: in fair turns, one organisation's at a time, and charged."""
        await self.wait(organisation)
        async with self._turns.turn(organisation):
            began = self._clock()
            try:
                yield
            finally:
                self.charge(organisation, self._clock() - began)
            await asyncio.sleep(0)  # Whatever else is ready comes before the next step.

    async def wait(self, organisation: Hashable) -> None:
        """Wait until the organisation has not used more than its share."""
        left = self._paid_until.get(organisation, 0.0) - self._ahead - self._clock()
        if left > 0:
            await asyncio.sleep(left)

    async def request(self, organisation: Hashable, cost: float) -> None:
        """Wait for the share as :meth:`wait` does, and charge a request ``cost`` seconds before it is done.

        So requests that find nothing, or no place, come no faster than others can bear.
        """
        await self.wait(organisation)
        self.charge(organisation, cost)

    def charge(self, organisation: Hashable, seconds: float) -> None:
        """Count ``seconds`` of the loop's time as used by the organisation."""
        now = self._clock()
        if len(self._paid_until) >= _MAX_REMEMBERED:
            owing = self._paid_until.items()
            self._paid_until = {each: until for each, until in owing if until > now}
        self._paid_until[organisation] = max(self._paid_until.get(organisation, now), now) + (
            seconds / self._share
        )
