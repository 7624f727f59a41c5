"""Threads for computations that are long enough to keep other organisations waiting."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TypeVar

from samdrift.wire.crypto.keys import DecryptionKey, SigningKey

T = TypeVar("T")
_AWAY_FROM_THE_LOOP = 256 * 1024
AT_ONCE = min(4, os.cpu_count() or 1)
"""Maximum number of large computations at the same time; further ones wait."""
_LARGE = ThreadPoolExecutor(AT_ONCE, "large")
"""Separate threads, so that large computations never occupy those that the event loop uses for small ones."""


async def digest(data: bytes) -> bytes:
    """Return the SHA-256 of data that may be large."""
    return await offload(len(data), lambda: sha256(data).digest())


async def offload(size: int, work: Callable[[], T], *keys: SigningKey | DecryptionKey) -> T:
    """Run ``work`` on ``size`` bytes, in a thread if they are many or one of ``keys`` is remote."""
    if size >= _AWAY_FROM_THE_LOOP:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(_LARGE, context.run, work)
    if any(key.remote for key in keys):
        return await asyncio.to_thread(work)
    return work()
