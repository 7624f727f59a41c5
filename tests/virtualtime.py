"""Virtual time: a test that waits has a clock of its own, and finishes immediately.

An event loop waits for its next timer only when nothing else is ready to run. This one does not wait
then: it sets its clock to that timer. So a second is a second on any machine, however slow, and
costs nothing. This is for code that waits for timers and tasks alone, not for threads or the network; while
a task is always ready to run, no time passes.
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
    """A selector that advances the virtual clock to the next timer instead of waiting for it."""

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
    """Return the seconds that have passed on the running loop's clock."""
    return asyncio.get_running_loop().time()


def now() -> datetime:
    """Return the current time by the running loop's clock."""
    return BEGAN + timedelta(seconds=seconds())
