"""Schedule of the logs of a process: each log has one of sixty moments, once per cadence.

This spreads the load of many logs evenly, limits how often the process wakes, and is unaffected by restarts.
Nothing is done between two moments, however many logs there are. A log that grows after a cadence of silence
need not wait for its turn: it is opened that one time while the connection that added the entry is still
open.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from samdrift.contracts.principals import Role
from samdrift.wire.identifiers import ParticipantIdentifier

MOMENTS = 60
"""Moments within a cadence; logs that share one wake the process once."""


@dataclass(frozen=True, slots=True)
class LogPlace:
    """A log: an organisation's in one role, or the operator's own, which has neither."""

    organisation: ParticipantIdentifier | None = None
    role: Role | None = None

    @property
    def phase(self) -> float:
        """Return the moment of the log within a cadence, as a fraction of it."""
        digest = hashlib.sha256(f"{self.organisation} {self.role}".encode()).digest()
        return int.from_bytes(digest[:4]) % MOMENTS / MOMENTS


class LogTurns:
    """The next turn of each log. Times are POSIX timestamps."""

    def __init__(self, cadence: timedelta) -> None:
        self._cadence = cadence.total_seconds()
        self._phases: dict[LogPlace, float] = {}
        self._opened: dict[LogPlace, float] = {}
        """Moment at which each log was last opened, or first followed here."""
        self._next: list[tuple[float, int, LogPlace]] = []
        """Moment, number and log of each turn, as a heap."""
        self._at = -math.inf

    def follow(self, places: Iterable[LogPlace], now: float) -> tuple[set[LogPlace], set[LogPlace]]:
        """Schedule turns for exactly these logs from now on; return the added and the removed ones."""
        wanted = set(places)
        new, gone = wanted - self._phases.keys(), self._phases.keys() - wanted
        for place in gone:
            del self._phases[place], self._opened[place]
        self._phases |= {place: place.phase for place in new}
        self._opened |= dict.fromkeys(new, now)
        if new or gone:
            self._begin(now)
        return new, set(gone)

    def due(self, now: float) -> list[LogPlace]:
        """Return the logs whose turn has come since the last call, each once."""
        if now < self._at:  # The clock was set back.
            self._begin(now)
            self._opened = dict.fromkeys(self._phases, now)
        self._at = now
        found = []
        while self._next and self._next[0][0] <= now:
            _, number, place = self._next[0]
            heapq.heapreplace(self._next, (self._moment(place, now), number, place))
            found.append(place)
        return found

    def opened(self, place: LogPlace, now: float) -> None:
        """Record that a log has a round now, in its turn or not."""
        if place in self._opened:
            self._opened[place] = now

    def rested(self, place: LogPlace, now: float) -> bool:
        """Return whether a followed log has not been opened for a whole cadence."""
        return now - self._opened.get(place, now) >= self._cadence

    def wait(self, now: float, most: float) -> float:
        """Return the seconds until the next turn, at most ``most``."""
        return min(most, max(0.0, self._next[0][0] - now)) if self._next else most

    def _begin(self, now: float) -> None:
        self._next = [(self._moment(place, now), number, place) for number, place in enumerate(self._phases)]
        heapq.heapify(self._next)

    def _moment(self, place: LogPlace, now: float) -> float:
        """Return the next moment of a log, which is always later than ``now``."""
        phase = self._phases[place]
        turn = math.floor(now / self._cadence - phase) + 1
        return max((turn + phase) * self._cadence, math.nextafter(now, math.inf))
