"""Peers that do not answer an organisation at present, so that its other transfers do not wait behind them.

An attempt that meets nobody costs a signature, and one of the few places that an organisation has, for as
long as a peer may take to answer. So when several in a row have met nobody, those that follow within a short
time are taken to have met nobody either, but for one now and then that tries. They count as attempts: each
would have been made in that time. Only the last attempt at a transfer waits for one that tries after its own
moment (:mod:`samdrift.accesspoint.outbound`), so that nothing fails by what was found before.

What is known of a peer is kept for each organisation by itself: how another one fares is nobody's business.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

AFTER = 3
"""Attempts in a row that met nobody, until those that follow are not made."""
_DOUBLINGS = 2
_MOST = 1000
"""Peers that are kept, before those are forgotten that nobody has tried for some time."""


@dataclass(slots=True)
class _Silence:
    hold: timedelta
    missed: int = 0
    until: datetime | None = None
    """Moment until which no attempt is made; ``None`` while each one is."""
    why: str = ""


class Breaker:
    """Outcomes of each organisation's attempts at each peer."""

    def __init__(self, longest: timedelta) -> None:
        """``longest`` is the time between two that try, at most; it doubles as they meet nobody."""
        self.longest = longest
        self._silent: dict[Hashable, _Silence] = {}

    def open(self, peer: Hashable, now: datetime) -> str:
        """Return why no attempt is made at a peer now, as the last one was told; empty where one is made.

        Of those that ask when the time is over, the first is made; the others are told what was found before.
        """
        silence = self._silent.get(peer)
        if silence is None or silence.until is None:
            return ""
        if now < silence.until:
            return silence.why
        silence.until = now + silence.hold
        return ""

    def until(self, peer: Hashable) -> datetime | None:
        """Return the moment of the next attempt that is made, where none is made at present."""
        silence = self._silent.get(peer)
        return None if silence is None else silence.until

    def answered(self, peer: Hashable) -> None:
        """Note that an attempt met a peer, whatever it answered."""
        self._silent.pop(peer, None)

    def missed(self, peer: Hashable, why: str, now: datetime) -> None:
        """Note that an attempt met nobody, and why."""
        if len(self._silent) >= _MOST:
            self._forget(now)
        silence = self._silent.setdefault(peer, _Silence(self.longest / 2**_DOUBLINGS))
        silence.missed += 1
        silence.why = why
        if silence.missed > AFTER:
            silence.hold = min(2 * silence.hold, self.longest)
        if silence.missed >= AFTER:
            silence.until = now + silence.hold

    def _forget(self, now: datetime) -> None:
        """Forget peers whose time is over, and those that missed too few to have one."""
        kept = {peer: one for peer, one in self._silent.items() if one.until is not None and now < one.until}
        self._silent = kept
