"""Work that is long enough to keep other organisations waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from samdrift.wire.crypto.keys import DecryptionKey, SigningKey

T = TypeVar("T")
_AWAY_FROM_THE_LOOP = 256 * 1024


async def digest(data: bytes) -> bytes:
    """Return the SHA-256 of what may be large."""
    return await aside(len(data), lambda: sha256(data).digest())


async def aside(size: int, work: Callable[[], T], *keys: SigningKey | DecryptionKey) -> T:
    """Do the work on ``size`` bytes in a thread when they are many, or when one of ``keys`` is elsewhere."""
    if size < _AWAY_FROM_THE_LOOP and not any(key.remote for key in keys):
        return work()
    return await asyncio.to_thread(work)
