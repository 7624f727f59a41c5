"""The next moment of each of many things, kept in order.

What is due is found without going through the others, so that an idle process touches little memory, however
many organisations it has.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, KeysView
from typing import Any, Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)


class _Ordered(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...
    def __le__(self, other: Any, /) -> bool: ...


T = TypeVar("T", bound=_Ordered)
_SPARE = 100
"""Former moments that are kept before they are thrown out."""


class Agenda(Generic[K, T]):
    """Things, each with at most one moment."""

    def __init__(self) -> None:
        self._moments: dict[K, T] = {}
        self._order: list[tuple[T, int, K]] = []
        """Moment, number and thing as a heap, with former moments of things that have another one now."""
        self._number = 0

    def __contains__(self, thing: K) -> bool:
        return thing in self._moments

    def things(self) -> KeysView[K]:
        """Return everything that has a moment."""
        return self._moments.keys()

    def moment(self, thing: K) -> T | None:
        """Return the moment of a thing; ``None`` where it has none."""
        return self._moments.get(thing)

    def put(self, thing: K, when: T) -> None:
        """Have a thing come at ``when``, and not at its former moment."""
        self._moments[thing] = when
        self._number += 1
        heapq.heappush(self._order, (when, self._number, thing))
        if len(self._order) > _SPARE + 2 * len(self._moments):
            self._order = [(at, number, each) for number, (each, at) in enumerate(self._moments.items())]
            heapq.heapify(self._order)
            self._number = len(self._order)

    def drop(self, thing: K) -> None:
        """Have a thing come no more."""
        self._moments.pop(thing, None)

    def take(self, now: T) -> list[tuple[K, T]]:
        """Return what has come by now, each with its moment, the earliest first; it has none from then on."""
        found = []
        while (first := self.first()) is not None and first <= now:
            thing = heapq.heappop(self._order)[2]
            found.append((thing, self._moments.pop(thing)))
        return found

    def first(self) -> T | None:
        """Return the earliest moment; ``None`` where nothing has one."""
        while self._order and self._moments.get(self._order[0][2]) != self._order[0][0]:
            heapq.heappop(self._order)
        return self._order[0][0] if self._order else None
