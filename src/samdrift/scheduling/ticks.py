"""Moments that the loops of a process share, so that periodic checks wake the process together.

An idle process that wakes up finds its memory out of the caches, whatever it wakes up for. The processes of a
machine wake at different moments: hundreds that woke at the same moment would make each other wait.
"""

from __future__ import annotations

import asyncio
import os

_TOO_SOON = 0.01
"""Seconds before a tick in which the next tick is waited for, since timers are not more precise."""
_ROUND = 60.0
"""Seconds over which the ticks of all processes are spread."""
_APART = 0.6180339887
"""Offset between the ticks of successive processes, as a part of the round, which keeps neighbours apart."""


def last_tick(moment: float, seconds: float) -> float:
    """Return the last tick not after ``moment``, by the loop's clock, of a period of ``seconds``.

    The ticks of a period are also ticks of each shorter period that divides it.
    """
    return moment - (moment - os.getpid() * _APART % 1 * _ROUND) % seconds


def until_tick(seconds: float) -> float:
    """Return the time until the next tick of a period of ``seconds``."""
    now = asyncio.get_running_loop().time()
    left = last_tick(now, seconds) + seconds - now
    return left if left > min(_TOO_SOON, seconds / 10) else left + seconds


async def tick(seconds: float) -> None:
    """Wait for the next tick of a period of ``seconds``."""
    await asyncio.sleep(until_tick(seconds))
