"""Moments at which the logs of a process have their turns: each has its own of sixty, once in a cadence.

Many logs load the machine evenly so, wake the process no more often than that, and a restart changes nothing.
What passes between two moments costs nothing, however many logs there are. A log to which something happens
after a cadence of silence need not wait for its turn: it is opened only that once, while what has added to it
still has its connection.
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
"""Moments within a cadence: logs that have the same one wake the process once."""


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
    """The next turn of each log. Times are seconds of POSIX."""

    def __init__(self, cadence: timedelta) -> None:
        self._cadence = cadence.total_seconds()
        self._phases: dict[LogPlace, float] = {}
        self._opened: dict[LogPlace, float] = {}
        """Moment at which each was opened last, or was new here."""
        self._next: list[tuple[float, int, LogPlace]] = []
        """Moment, number and place of each turn."""
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
        """Return the logs whose turn has come since this was asked for last, each once."""
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
        """Note that a log has a round now, in its turn or not."""
        if place in self._opened:
            self._opened[place] = now

    def rested(self, place: LogPlace, now: float) -> bool:
        """Return whether a log that has turns here was not opened for a whole cadence."""
        return now - self._opened.get(place, now) >= self._cadence

    def wait(self, now: float, most: float) -> float:
        """Return the seconds until the next turn, or ``most``."""
        return min(most, max(0.0, self._next[0][0] - now)) if self._next else most

    def _begin(self, now: float) -> None:
        self._next = [(self._moment(place, now), number, place) for number, place in enumerate(self._phases)]
        heapq.heapify(self._next)

    def _moment(self, place: LogPlace, now: float) -> float:
        """Return when the next turn of a log is, which is always later than now."""
        phase = self._phases[place]
        turn = math.floor(now / self._cadence - phase) + 1
        return max((turn + phase) * self._cadence, math.nextafter(now, math.inf))
