"""Background tasks that end with a context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager


@asynccontextmanager
async def in_background(
    *work: Coroutine[None, None, None], on_failure: Callable[[BaseException], None]
) -> AsyncIterator[None]:
    """Run ``work`` while the context lasts; exceptions from the context propagate unchanged.

    ``on_failure`` is called for work that ended with an exception.
    """
    tasks = [asyncio.create_task(_watched(one, on_failure)) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A task that is cancelled before its first step never awaits its coroutine.
        for one in work:
            one.close()


async def _watched(work: Coroutine[None, None, None], on_failure: Callable[[BaseException], None]) -> None:
    try:
        await work
    except Exception as error:
        on_failure(error)
