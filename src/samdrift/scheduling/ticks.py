"""Moments that the loops of a process share: what looks again and again wakes the process together.

An idle process that was just asleep finds its memory far away, whatever it wakes up for.
"""

from __future__ import annotations

import asyncio

_TOO_SOON = 0.01
"""Seconds before a tick in which the next one is waited for: timers are no finer."""


def until_tick(seconds: float) -> float:
    """Return the time until the loop's clock shows the next multiple of so many seconds."""
    left = seconds - asyncio.get_running_loop().time() % seconds
    return left if left > min(_TOO_SOON, seconds / 10) else left + seconds


async def tick(seconds: float) -> None:
    """Wait for the next multiple of so many seconds, which takes no longer than that."""
    await asyncio.sleep(until_tick(seconds))
