"""Peers that do not answer an organisation at present, so that its other transfers do not wait behind them.

An unanswered attempt costs a signature, and occupies one of the organisation's few slots for as long as a
peer may take to answer. So after several unanswered attempts in a row, attempts during a short period are
treated as unanswered without being made, except for an occasional probe. They count as attempts, because each
would have been made in that period. Only a transfer's last attempt waits for a probe made after it fell due
(:mod:`samdrift.accesspoint.outbound`), so that no transfer fails because of an earlier finding.

Findings about a peer are kept separately for each organisation, so that none can observe another's transfers.
An HTTP status alone is a finding about that recipient at the peer, whose neighbours there may be served.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

AFTER = 3
"""Number of consecutive unanswered attempts after which further ones are not made."""
_DOUBLINGS = 2
_MOST = 1000
"""Number of peers remembered before those that have not been tried for some time are forgotten."""


@dataclass(slots=True)
class _Silence:
    hold: timedelta
    missed: int = 0
    until: datetime | None = None
    """Time until which no attempt is made; ``None`` while every attempt is made."""
    why: str = ""


class Breaker:
    """Results of each organisation's attempts at each peer."""

    def __init__(self, longest: timedelta) -> None:
        """Create it; ``longest`` limits the time between probes, doubled by each unanswered one."""
        self.longest = longest
        self._silent: dict[Hashable, _Silence] = {}

    def open(self, peer: Hashable, now: datetime) -> str:
        """Return the reason why no attempt is made at a peer now, or an empty string to make one.

        The reason is the last attempt's finding. Once the period is over, the first caller makes an attempt;
        the others get the previous finding.
        """
        silence = self._silent.get(peer)
        if silence is None or silence.until is None:
            return ""
        if self._waits(silence, now):
            return silence.why
        silence.until = now + silence.hold
        return ""

    def until(self, peer: Hashable) -> datetime | None:
        """Return the time of the next attempt at a peer, or ``None`` if attempts are made now."""
        silence = self._silent.get(peer)
        return None if silence is None else silence.until

    def answered(self, peer: Hashable) -> None:
        """Record that a peer answered an attempt, regardless of its answer."""
        self._silent.pop(peer, None)

    def missed(self, peer: Hashable, why: str, now: datetime) -> None:
        """Record that an attempt was not answered, with the reason."""
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
        """Forget peers whose period without attempts is over, and those with too few misses to have one."""
        self._silent = {peer: one for peer, one in self._silent.items() if self._waits(one, now)}

    def _waits(self, silence: _Silence, now: datetime) -> bool:
        """Return whether no attempt is made now; a time too far off is from a clock that was ahead."""
        return silence.until is not None and now < silence.until <= now + self.longest
