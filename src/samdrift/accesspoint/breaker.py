"""Peers that do not answer an organisation at present, so that its other transfers do not wait behind them.

An unanswered attempt costs a signature, and holds one of the organisation's few places for as long as a peer
may take to answer. So after several unanswered attempts in a row, those of the next short while are treated
as unanswered too, except for an occasional probe. They count as attempts: each would have been made in that
time. Only a transfer's last attempt waits for a probe made after it fell due
(:mod:`samdrift.accesspoint.outbound`), so that no transfer fails by an earlier finding.

Findings about a peer are kept separately for each organisation, so that none learns how another fares.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

AFTER = 3
"""Unanswered attempts in a row after which further ones are not made."""
_DOUBLINGS = 2
_MOST = 1000
"""Number of peers kept before those that have not been tried for some time are forgotten."""


@dataclass(slots=True)
class _Silence:
    hold: timedelta
    missed: int = 0
    until: datetime | None = None
    """Moment until which no attempt is made; ``None`` while every attempt is made."""
    why: str = ""


class Breaker:
    """Outcomes of each organisation's attempts at each peer."""

    def __init__(self, longest: timedelta) -> None:
        """``longest`` limits the time between two probes, which doubles with each unanswered one."""
        self.longest = longest
        self._silent: dict[Hashable, _Silence] = {}

    def open(self, peer: Hashable, now: datetime) -> str:
        """Return why no attempt is made at a peer now (the last attempt's finding); empty to make one.

        Once the time is over the first caller makes an attempt; the others get the previous finding.
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
        """Note that an attempt was not answered, and why."""
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
        """Forget peers whose time is over, and those with too few misses to have one."""
        kept = {peer: one for peer, one in self._silent.items() if one.until is not None and now < one.until}
        self._silent = kept
