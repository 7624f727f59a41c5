"""The event loop that every command runs on."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from samdrift.audit.operations import unexpected

T = TypeVar("T")
_LOGGER = logging.getLogger("samdrift")
_CLOSED = "the handler is closed"
_unexpected = unexpected("the event loop")
_SWITCH_SECONDS = 0.001
"""Longest time for which a thread with a large message may block the event loop at a stretch."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end, as :func:`asyncio.run` does.

    SIGTERM cancels it, as SIGINT does, so that it leaves no server running; the exit status is then
    the one that shells give, unless ``main`` ends by itself.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    terminated = asyncio.Event()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            return runner.run(_terminable(main, terminated))
        except asyncio.CancelledError:
            if terminated.is_set():
                raise SystemExit(128 + signal.SIGTERM) from None
            raise


async def _terminable(main: Coroutine[Any, Any, T], terminated: asyncio.Event) -> T:
    """Cancel ``main`` when SIGTERM comes, unless it handles that itself."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().set_exception_handler(_report)

    def terminate() -> None:
        terminated.set()
        task.cancel()

    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    return await main


def _report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an otherwise uncaught error, without its text, which may hold content (invariant 9).

    That uvloop wrote to a connection which its peer had reset is not a fault: whoever used it hears of it.
    """
    error = context.get("exception")
    if error is None:
        _LOGGER.error("the event loop: %s", context["message"])
    elif not (isinstance(error, RuntimeError) and str(error).endswith(_CLOSED)):
        _unexpected(error)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop, which takes less CPU for the same work; asyncio's own loop where its debug mode is asked for.

    That is asked for as always: ``PYTHONASYNCIODEBUG=1`` or ``python -X dev``.
    """
    if os.environ.get("PYTHONASYNCIODEBUG") or sys.flags.dev_mode:
        return asyncio.new_event_loop
    return _owning_loop()


@functools.cache
def _owning_loop() -> type[asyncio.AbstractEventLoop]:
    """The class of uvloop that owns what it is given.

    uvloop 0.23 closes the descriptor of a connection whose peer has reset it, and leaves its number to the
    socket that it was given. When that is collected the number is another connection's or file's, and closed.
    """
    import uvloop

    class Loop(uvloop.Loop):
        async def create_connection(self, *given: Any, **named: Any) -> Any:
            try:
                return await super().create_connection(*given, **named)
            finally:
                if (lent := named.get("sock")) is not None:
                    lent.detach()

    return Loop
