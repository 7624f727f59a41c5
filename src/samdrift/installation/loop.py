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
"""Seconds after which a thread that works on a large message yields to the event loop."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end, as :func:`asyncio.run` does.

    SIGTERM cancels it, as SIGINT does, so that no server is left running. The exit status is then the one
    that shells use for SIGTERM, unless ``main`` ends by itself.
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
    """Run ``main`` so that SIGTERM cancels it, unless it handles that signal itself."""
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

    A write by uvloop to a connection that its peer had reset is not logged: the user of the connection gets
    the error anyway.
    """
    error = context.get("exception")
    if error is None:
        _LOGGER.error("the event loop: %s", context["message"])
    elif not (isinstance(error, RuntimeError) and str(error).endswith(_CLOSED)):
        _unexpected(error)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the factory of uvloop, which uses less CPU, or of asyncio's own loop in debug mode.

    Debug mode is chosen as usual: ``PYTHONASYNCIODEBUG=1`` or ``python -X dev``.
    """
    if os.environ.get("PYTHONASYNCIODEBUG") or sys.flags.dev_mode:
        return asyncio.new_event_loop
    return _owning_loop()


@functools.cache
def _owning_loop() -> type[asyncio.AbstractEventLoop]:
    """Return the class of a uvloop that takes ownership of the sockets passed to it.

    uvloop 0.23 closes the descriptor of a connection that its peer has reset, but leaves the number in the
    socket object that it was given. When that object is collected, the number may belong to another
    connection or file, which would be closed.
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
