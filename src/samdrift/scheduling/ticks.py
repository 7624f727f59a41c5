"""Moments that the loops of a process share: what looks again and again wakes the process together.

An idle process that was just asleep finds its memory far away, whatever it wakes up for. The processes of a
machine wake at different moments: hundreds of them at the same one would make each other wait.
"""

from __future__ import annotations

import asyncio
import os

_TOO_SOON = 0.01
"""Seconds before a tick in which the next one is waited for: timers are no finer."""
_ROUND = 60.0
"""Seconds over which the ticks of all processes are spread."""
_APART = 0.6180339887
"""Part of that by which the ticks of the next process are later: neighbours are far apart then."""


def last_tick(moment: float, seconds: float) -> float:
    """Return the last tick of a period of so many seconds that is not after ``moment``, by the loop's clock.

    The ticks of a period are ticks of each shorter one that divides it.
    """
    return moment - (moment - os.getpid() * _APART % 1 * _ROUND) % seconds


def until_tick(seconds: float) -> float:
    """Return the time until the next tick of a period of so many seconds."""
    now = asyncio.get_running_loop().time()
    left = last_tick(now, seconds) + seconds - now
    return left if left > min(_TOO_SOON, seconds / 10) else left + seconds


async def tick(seconds: float) -> None:
    """Wait for the next tick of a period of so many seconds, which takes no longer than that."""
    await asyncio.sleep(until_tick(seconds))
