"""Blocking calls in threads of their own, each with a time limit.

A call that hangs, on a disk or in an HSM's library, blocks only its own thread. It does not block the event
loop, a shared pool of threads, or the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


def in_own_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    """Start ``call`` in a thread of its own; return a future with its result or error."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        caught: BaseException | None = None
        try:
            result = call()
        except StopIteration as error:  # A future does not accept StopIteration.
            caught = RuntimeError("a call ended as if it were a generator")
            caught.__cause__ = error
        except BaseException as error:
            caught = error
        with contextlib.suppress(RuntimeError):  # The loop has been closed meanwhile.
            loop.call_soon_threadsafe(settle, result, caught)

    threading.Thread(target=run, daemon=True).start()
    return future


async def within(seconds: float, call: Callable[[], T]) -> T:
    """Return the result of ``call``; raise :class:`TimeoutError` when it takes longer than ``seconds``."""
    async with asyncio.timeout(seconds):
        return await in_own_thread(call)


class Looks(Generic[T]):
    """Repeated checks of several things, in which a check that hangs or fails affects only its own thing."""

    def __init__(
        self,
        look: Callable[[str], T],
        *,
        seconds: float,
        hanging: Callable[[str], T],
        failed: Callable[[str, BaseException], T],
    ) -> None:
        """Set up the checks; ``hanging`` and ``failed`` return the result to use in place of the check's own.

        A thing whose check hangs is not checked again until that check has ended.
        """
        self._look = look
        self._seconds = seconds
        self._hanging = hanging
        self._failed = failed
        self._running: dict[str, asyncio.Future[T]] = {}

    async def at(self, names: Collection[str]) -> Mapping[str, T]:
        """Check each of ``names``, all at the same time."""
        begun = {
            name: in_own_thread(partial(self._look, name)) for name in names if name not in self._running
        }
        self._running |= begun
        if begun:
            await asyncio.wait(begun.values(), timeout=self._seconds)
        return {name: self._seen(name) for name in names}

    def _seen(self, name: str) -> T:
        future = self._running[name]
        if not future.done():
            return self._hanging(name)
        del self._running[name]
        error = future.exception()
        return future.result() if error is None else self._failed(name, error)
