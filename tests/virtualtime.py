"""Time that passes by itself: a test that waits has a clock of its own, and takes no time.

An event loop waits for its next timer only when nothing else can go on. This one does not wait
then: it sets its clock to that timer. So a second is a second on any machine, however slow, and
costs nothing. For code that waits for timers and tasks alone, not for threads or the network; while
a task is always ready to go on, no time passes.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""The moment at which a virtual clock starts."""


class _Selector(selectors.DefaultSelector):
    """Waits for no timer, but passes the time until it."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.passed += max(timeout, 0)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.passed


def in_virtual_time(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Run an asynchronous test on a loop of its own whose time is virtual."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(test(*arguments, **named))

    return run


def seconds() -> float:
    """Seconds that have passed on the running loop's clock."""
    return asyncio.get_running_loop().time()


def now() -> datetime:
    """Return the moment by the running loop's clock."""
    return BEGAN + timedelta(seconds=seconds())
