"""Work that is long enough to keep other organisations waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from samdrift.wire.keys import DecryptionKey, SigningKey

T = TypeVar("T")
_AWAY_FROM_THE_LOOP = 256 * 1024


async def aside(size: int, work: Callable[[], T], *keys: SigningKey | DecryptionKey) -> T:
    """Do the work on ``size`` bytes in a thread when they are many, or when one of ``keys`` is elsewhere."""
    if size < _AWAY_FROM_THE_LOOP and not any(key.remote for key in keys):
        return work()
    return await asyncio.to_thread(work)
