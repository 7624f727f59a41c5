"""Work on content that is long enough to keep other organisations waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_AWAY_FROM_THE_LOOP = 256 * 1024


async def aside(size: int, work: Callable[[], T]) -> T:
    """Do the work on ``size`` bytes in a thread when they are many."""
    if size < _AWAY_FROM_THE_LOOP:
        return work()
    return await asyncio.to_thread(work)
