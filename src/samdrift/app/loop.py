"""The event loop that every command runs on."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end, as :func:`asyncio.run` does."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop, which takes less CPU for the same work; asyncio's own loop where its debug mode is asked for.

    That is asked for as always: ``PYTHONASYNCIODEBUG=1`` or ``python -X dev``.
    """
    if os.environ.get("PYTHONASYNCIODEBUG") or sys.flags.dev_mode:
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop
