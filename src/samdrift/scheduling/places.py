"""Places that organisations share, so that one organisation cannot take what the others need.

An organisation that requests too many places is refused, or waits for them in fair turns.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable, Iterator, Set
from typing import Generic, TypeVar

from samdrift.contracts.errors import Temporary
from samdrift.wire.identifiers import ParticipantIdentifier


class NoPlace(Temporary):
    """An error: all places, or all that one organisation may have, are taken; a later request may succeed."""


class Places:
    """A total limit and a limit per organisation; a request beyond them is refused.

    An organisation without a place always gets one, however many the others have.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken = Counter[ParticipantIdentifier]()

    @contextlib.contextmanager
    def taken(self, organisation: ParticipantIdentifier) -> Iterator[None]:
        """Occupy a place while the context lasts; :class:`NoPlace` if there is none."""
        own = self._taken[organisation]
        if own >= self._most_of_one or (own and self._taken.total() >= self._most):
            raise NoPlace
        self._taken[organisation] += 1
        try:
            yield
        finally:
            self._taken[organisation] -= 1


H = TypeVar("H", bound=Hashable)


class Line(Generic[H]):
    """A fair queue: the first request of each organisation comes before the second one of any."""

    def __init__(self) -> None:
        self._waiting: dict[H, deque[asyncio.Future[None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def join(self, whose: H) -> asyncio.Future[None]:
        """Return a future that is done when the turn comes; cancel it to give up."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(mine)
        return mine

    def call_next(self) -> bool:
        """Call the next request; its organisation then waits behind the others. False if none is waiting."""
        while self._waiting:
            whose = next(iter(self._waiting))
            waiting = self._waiting.pop(whose)
            called = waiting.popleft()
            if waiting:
                self._waiting[whose] = waiting
            if not called.done():
                called.set_result(None)
                return True
        return False

    def present(self) -> Set[H]:
        """Return all organisations in the queue."""
        return self._waiting.keys()

    def leave(self, whose: H) -> None:
        """Call all requests of one organisation."""
        for called in self._waiting.pop(whose):
            if not called.done():
                called.set_result(None)


class Turns:
    """A limit with fair turns: each waiting organisation gets one place before any gets a second one.

    Callers that are not organisations can have turns too, by any hashable value that identifies them.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._line: Line[Hashable] = Line()

    @contextlib.asynccontextmanager
    async def turn(self, organisation: Hashable) -> AsyncIterator[None]:
        """Wait for a place, and occupy it while the context lasts."""
        await self._take(organisation)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, organisation: Hashable) -> None:
        if self._free:
            self._free -= 1
            return
        mine = self._line.join(organisation)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._give_back()  # the place was granted just before the cancellation
            raise

    def _give_back(self) -> None:
        """Hand the place to the next in turn; its organisation then waits behind the others."""
        if not self._line.call_next():
            self._free += 1
