"""Items with one scheduled moment each, kept in order.

Due items are found without going through the others, so that an idle process touches little memory, however
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
"""Number of outdated heap entries that are tolerated before they are removed."""


class Agenda(Generic[K, T]):
    """An agenda of items, each with at most one moment."""

    def __init__(self) -> None:
        self._moments: dict[K, T] = {}
        self._order: list[tuple[T, int, K]] = []
        """A heap of moment, number and item, including outdated moments of items that were rescheduled."""
        self._number = 0

    def __contains__(self, thing: K) -> bool:
        return thing in self._moments

    def things(self) -> KeysView[K]:
        """Return everything that has a moment."""
        return self._moments.keys()

    def moment(self, thing: K) -> T | None:
        """Return the moment of an item; ``None`` if it has none."""
        return self._moments.get(thing)

    def put(self, thing: K, when: T) -> None:
        """Schedule an item at ``when``, replacing its former moment."""
        self._moments[thing] = when
        self._number += 1
        heapq.heappush(self._order, (when, self._number, thing))
        if len(self._order) > _SPARE + 2 * len(self._moments):
            self._order = [(at, number, each) for number, (each, at) in enumerate(self._moments.items())]
            heapq.heapify(self._order)
            self._number = len(self._order)

    def drop(self, thing: K) -> None:
        """Remove an item from the agenda."""
        self._moments.pop(thing, None)

    def take(self, now: T) -> list[tuple[K, T]]:
        """Remove and return the items that are due by ``now``, each with its moment, the earliest first."""
        found = []
        while (first := self.first()) is not None and first <= now:
            thing = heapq.heappop(self._order)[2]
            found.append((thing, self._moments.pop(thing)))
        return found

    def first(self) -> T | None:
        """Return the earliest moment; ``None`` if the agenda is empty."""
        while self._order and self._moments.get(self._order[0][2]) != self._order[0][0]:
            heapq.heappop(self._order)
        return self._order[0][0] if self._order else None
