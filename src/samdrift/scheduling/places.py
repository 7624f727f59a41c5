"""Places that organisations share, so that one of them cannot take what the others need.

Places are refused to an organisation that asks for too many, or waited for in fair turns.
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
    """All places are taken, or all that one organisation may have; later there may be one."""


class Places:
    """A limit in all, and a limit for one organisation; a request that finds no place is refused.

    An organisation that has none gets one, however many the others have.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken = Counter[ParticipantIdentifier]()

    @contextlib.contextmanager
    def taken(self, organisation: ParticipantIdentifier) -> Iterator[None]:
        """Have a place while the context lasts; :class:`NoPlace` when there is none."""
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
    """A waiting line with fair turns: each one's first comes before anyone's second."""

    def __init__(self) -> None:
        self._waiting: dict[H, deque[asyncio.Future[None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def join(self, whose: H) -> asyncio.Future[None]:
        """Return what is done when it is one's turn; whoever gives up cancels it."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(mine)
        return mine

    def call_next(self) -> bool:
        """Call the next one, who waits behind the others after that; false when nobody waits."""
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
        """Return all that wait."""
        return self._waiting.keys()

    def leave(self, whose: H) -> None:
        """Call all that wait for one of them."""
        for called in self._waiting.pop(whose):
            if not called.done():
                called.set_result(None)


class Turns:
    """A limit with fair turns: each waiting organisation gets one place before any gets a second one.

    Strangers have turns too, by what distinguishes them.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._line: Line[Hashable] = Line()

    @contextlib.asynccontextmanager
    async def turn(self, organisation: Hashable) -> AsyncIterator[None]:
        """Wait for a place, and have it while the context lasts."""
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
                self._give_back()  # it was given in the same moment
            raise

    def _give_back(self) -> None:
        """Hand the place to the next in turn; one that has had a place waits behind the others."""
        if not self._line.call_next():
            self._free += 1
