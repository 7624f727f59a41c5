"""Several installations on one machine, each in an operating-system process of its own.

A process has the secrets of its own installation in memory and no other one's,
and inherits nothing but the standard streams. Its standard input is a channel
to the supervisor: the process says there that it serves, and ends when the
supervisor is gone, however that came about.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
from collections.abc import Sequence

_LOGGER = logging.getLogger("samdrift")
_SERVES = b"serves\n"
_PATIENCE = 60.0
"""Seconds that a process has to end by itself."""
_LONGEST_PAUSE = 60.0
_STEADY = 60.0
"""Seconds after which a process that ends has not failed to start."""


class NotStarted(Exception):
    """A process ended before it served; the text names it. What was wrong it has said itself."""


def pause(failures: int) -> float:
    """Seconds to wait before a process is started again that failed so many times in a row."""
    return min(2.0 ** (failures - 1), _LONGEST_PAUSE)


class Child:
    """One process, over all its lives."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> bool:
        """Start it; gives whether it serves, as soon as it does or has ended."""
        try:
            ours = self._launched()
        except OSError as error:
            _LOGGER.error("%s: cannot be started (%s)", self.name, error.strerror)
            return False
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        with contextlib.suppress(ConnectionError):
            return await self._reader.readline() == _SERVES
        return False

    def _launched(self) -> socket.socket:
        """Start the process; gives our end of the channel."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # A session of its own: what is typed at the terminal comes to the supervisor alone.
                self._process = subprocess.Popen(self._command, stdin=theirs.fileno(), start_new_session=True)
            except OSError:
                ours.close()
                raise
        return ours

    async def ended(self) -> int:
        """Its exit status, once it has ended: its end of the channel is closed then."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(100):
                pass
        self._writer.close()
        return await self._gone()

    async def stop(self) -> None:
        """Have it end, if it runs."""
        if self._process is not None:
            self._process.terminate()
            await self._gone()

    async def _gone(self) -> int:
        """Its exit status; it is killed when it does not end by itself in good time."""
        if self._process is None:
            raise RuntimeError("it was never started")
        return await asyncio.to_thread(_waited_for, self._process)


def _waited_for(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


async def supervise(children: Sequence[Child]) -> None:
    """Run them all until cancelled, and start again whichever ends by itself.

    :class:`NotStarted` when one does not come to serve at first. None is left
    running in the end.
    """
    try:
        await asyncio.gather(*(_first(child) for child in children))
        await asyncio.gather(*(_keep(child) for child in children))
    finally:
        await asyncio.gather(*(child.stop() for child in children))


async def _first(child: Child) -> None:
    if not await child.start():
        raise NotStarted(f"{child.name}: did not start, see above")


async def _keep(child: Child) -> None:
    """Start it again each time it ends."""
    clock, failures = asyncio.get_running_loop().time, 0
    began = clock()
    while True:
        status = await child.ended()
        failures = 1 if clock() - began > _STEADY else failures + 1
        wait = pause(failures)
        _LOGGER.error("%s: ended with status %d, starts again in %.0f s", child.name, status, wait)
        await asyncio.sleep(wait)
        began = clock()
        if await child.start():
            _LOGGER.info("%s: serves again", child.name)


class Supervisor:
    """The supervisor as a supervised process sees it: at the other end of standard input."""

    def __init__(self) -> None:
        """Take the channel off standard input, so that no process that is started here gets it too.

        An :class:`OSError` when there is none.
        """
        self._channel = socket.socket(fileno=os.dup(0))
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)

    async def hear(self) -> None:
        """Say that this process serves, and return when the supervisor is gone."""
        reader, writer = await asyncio.open_connection(sock=self._channel)
        writer.write(_SERVES)
        with contextlib.suppress(ConnectionError):
            await reader.read()
