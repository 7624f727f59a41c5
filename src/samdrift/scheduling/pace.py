"""Pacing of organisations on the event loop: one with much work yields to those with little.

All organisations of a process share one event loop, which runs steps in the order in which they become ready.
An organisation with a backlog always has steps ready, so that each small step of another organisation would
wait for a step of each of its jobs. So the time of their steps is counted, and if one organisation uses much
more than another that has work at the same time, its steps pass one by one through a lane that gets a part of
the time. As soon as no other organisation has anything to do, it gets all of the time again.
"""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from math import exp
from typing import Any, TypeVar

from samdrift.scheduling.places import Line
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")

_MEMORY = 1.0
"""Seconds after which used time counts for about a third."""
_FORGOTTEN = 0.5
"""Seconds without a step after which an organisation counts as having no work."""
_PART = 1 / 4
"""Part of the time that an organisation may always use.

Organisations that use more share this part while they are held back.
"""
_TIMES = 1.5
"""Multiple of the least used time of an organisation above which another one is held back."""
_JUDGED_EVERY = 0.02
_AHEAD = 0.002
"""Seconds by which a step in the lane may be early, since the loop's timers are not more precise."""


@dataclass(slots=True)
class _Use:
    """Time that an organisation has used recently, as seconds that decay from a given moment on."""

    seconds: float
    at: float

    def now(self, now: float) -> float:
        return self.seconds * exp((self.at - now) / _MEMORY)


class Pace:
    """A runner of organisations' work, step by step, each in its turn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uses: dict[ParticipantIdentifier, _Use] = {}
        self._behind: frozenset[ParticipantIdentifier] = frozenset()
        """Organisations whose steps pass through the lane."""
        self._judged = float("-inf")
        self._lane: Line[ParticipantIdentifier] = Line()
        self._free_at = 0.0
        """Time from which the next step in the lane may pass."""
        self._timer: asyncio.TimerHandle | None = None

    async def of(self, organisation: ParticipantIdentifier, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do an organisation's work, and return its result.

        Tasks that the work creates are not counted.
        """
        return await self._stepped(organisation, work())

    @types.coroutine
    def _stepped(
        self, organisation: ParticipantIdentifier, work: Coroutine[Any, Any, T]
    ) -> Generator[Any, Any, T]:
        """Drive ``work`` as a task would, but wait between its steps while its organisation is held back.

        The awaited result is ready by then and is kept; a cancellation is delivered without waiting.
        """
        given: BaseException | None = None
        try:
            while True:
                if given is None and (turn := self._turn(organisation)) is not None:
                    try:
                        yield from turn
                    except BaseException as error:
                        given = error
                began = self._clock()
                try:
                    awaited = work.send(None) if given is None else work.throw(given)
                except StopIteration as ended:
                    result: T = ended.value
                    return result
                finally:
                    self._charge(organisation, began)
                try:
                    yield awaited
                    given = None
                except BaseException as error:
                    given = error
        finally:
            work.close()

    def behind(self, organisation: ParticipantIdentifier) -> bool:
        """Return whether an organisation's steps currently pass through the lane."""
        now = self._clock()
        if now - self._judged >= _JUDGED_EVERY:
            self._judge(now)
        return organisation in self._behind

    def _turn(self, organisation: ParticipantIdentifier) -> asyncio.Future[None] | None:
        """Return a future to wait for before the next step; ``None`` if the step may come now."""
        if not self.behind(organisation):
            return None
        if not self._lane and self._clock() >= self._free_at - _AHEAD:
            return None
        turn = self._lane.join(organisation)
        self._wait_for_the_lane()
        return turn

    def _charge(self, organisation: ParticipantIdentifier, began: float) -> None:
        now = self._clock()
        used = now - began
        use = self._uses.get(organisation)
        if use is None:
            self._uses[organisation] = _Use(used, now)
        else:
            use.seconds, use.at = use.now(now) + used, now
        if organisation in self._behind:
            self._free_at = max(self._free_at, began) + used / _PART
        self._wait_for_the_lane()

    def _judge(self, now: float) -> None:
        """Find the organisations that recently used much time, and much more than another one with work."""
        self._judged = now
        self._uses = {each: use for each, use in self._uses.items() if now - use.at < _FORGOTTEN}
        uses = {each: use.now(now) / _MEMORY for each, use in self._uses.items()}
        if len(uses) < 2:
            self._behind = frozenset()
            return
        least = _TIMES * min(uses.values())
        self._behind = frozenset(
            each for each, used in uses.items() if used > least and used > self._allowed(each)
        )

    def _allowed(self, organisation: ParticipantIdentifier) -> float:
        """Return the part of the time that an organisation may use without being held back.

        It is half as large for an organisation that is held back already; otherwise that organisation would
        alternate between being held back and using this part freely.
        """
        return _PART / 2 if organisation in self._behind else _PART

    def _wait_for_the_lane(self) -> None:
        if self._lane and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._free_at - self._clock()), self._next)

    def _next(self) -> None:
        """Let the next step pass, and all steps of organisations that are no longer held back.

        The following step passes once it is known how long this one has taken.
        """
        self._timer = None
        self._judge(self._clock())
        for organisation in self._lane.present() - self._behind:
            self._lane.leave(organisation)
        if self._clock() < self._free_at - _AHEAD or not self._lane.call_next():
            self._wait_for_the_lane()
