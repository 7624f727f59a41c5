"""Several installations on one machine, each in an operating-system process of its own.

A process has only the secrets of its own installation in memory, and inherits only the standard streams. Its
standard input is a channel to the supervisor: on it the process reports that it serves, and it ends when the
supervisor has gone for any reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from samdrift.contracts.errors import Explained
from samdrift.installation.lives import Life
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.processes.blocking import in_own_thread
from samdrift.processes.cgroups import ControlGroup, ControlGroups
from samdrift.vault.errors import VaultError

_LOGGER = logging.getLogger("samdrift")
_SERVES = b"serves\n"
_PATIENCE = 60.0
"""Seconds that a process has to end by itself."""
_LONGEST_PAUSE = 60.0
_LONGEST_START = 300.0
"""Seconds after which a process that neither serves nor has ended never will."""
_NOT_STARTED = 127
"""Exit status for a program that could not even be started, as in a shell."""
_LONGEST_HAND = 60.0
"""Seconds within which the things handed to a process must be ready."""
_LONGEST_LINE = 64 << 20
_LOOK_SECONDS = 5.0
"""Between two looks at whether a process has ended whose end of the channel is held open."""
_STEADY = 60.0
"""Seconds after which a process that ends has not failed to start."""


class NotStarted(Explained):
    """A process ended before it served; the text names it. The process itself has reported the cause."""


def pause(failures: int) -> float:
    """Seconds to wait before a process is started again that failed ``failures`` times in a row."""
    return min(2.0 ** (failures - 1), _LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Handed:
    """Secrets and sockets that a process is handed over its channel as it starts."""

    line: bytes
    """One line, without its end."""
    sockets: Sequence[socket.socket] = ()
    """Become the process's; ours are closed."""
    user: UnixUser | None = None
    """The Unix user that it runs as; our own if ``None``."""
    life: Life | None = None
    """Held open by the process for as long as it lives; ours is closed."""
    credentials: bool = False
    """Credentials that systemd hands over are for it as well."""

    def close(self) -> None:
        """Close our own of what the process has by now."""
        for each in (*self.sockets, *([self.life] if self.life is not None else ())):
            each.close()


@dataclass(frozen=True, slots=True)
class UnixUser:
    """The Unix user of a process: the numbers of a user, of its group, and of further groups."""

    user: int
    group: int
    groups: tuple[int, ...] = ()


class Child:
    """One process, over all its lives."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        hand: Callable[[], Handed] | None = None,
        prepare: Callable[[], Awaitable[None]] | None = None,
        groups: ControlGroups | None = None,
    ) -> None:
        """``hand`` gives what it is handed in each life. It may block: it has a thread of its own.

        ``prepare`` is done before each life. With ``groups`` each life has a control group, and what it
        started ends with it.
        """
        self.name = name
        self._command = command
        self._hand = hand
        self._prepare = prepare
        self._groups = groups
        self._group: ControlGroup | None = None
        self._handing: asyncio.Future[Handed] | None = None
        """Secrets and sockets for it, while they are being made."""
        self._process: subprocess.Popen[bytes] | None = None
        self.user: UnixUser | None = None
        """The Unix user that it runs as; our own if ``None``."""
        self._writer: asyncio.StreamWriter | None = None
        self.serves = False

    async def start(self) -> bool:
        """Start it; returns whether it serves, as soon as it does or has ended.

        A process that does neither for long is killed: it hangs, and would do so for ever.
        """
        try:
            if self._prepare is not None:
                await self._prepare()
            handed = None if self._hand is None else await self._made(self._hand)
            ours = self._launched(handed)
        except TimeoutError:
            _LOGGER.error("%s: cannot be started: what it is handed cannot be had in time", self.name)
            return False
        except OSError as error:
            where = f"{error.filename}: " if isinstance(error.filename, str) else ""
            why = (error.strerror or type(error).__name__).lower()
            _LOGGER.error("%s: cannot be started: %s%s", self.name, where, why)
            return False
        except (KeyStoreError, VaultError) as error:
            _LOGGER.error("%s: cannot be started: %s", self.name, error)
            return False
        except Exception as error:  # Whatever lies there is this process's affair, and no other's.
            _LOGGER.error("%s: cannot be started (%s)", self.name, type(error).__name__)
            return False
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(_LONGEST_START):
                if handed is not None:
                    self.tell(handed.line)
                self.serves = await self._reader.readline() == _SERVES
                return self.serves
        except ConnectionError:
            return False
        except TimeoutError:
            _LOGGER.error("%s: hangs before it serves, and is killed", self.name)
            self.kill()
            return False

    async def _made(self, hand: Callable[[], Handed]) -> Handed:
        """Have made what it is handed; :class:`TimeoutError` when that takes too long."""
        self._handing = in_own_thread(hand)
        # Nobody waits for it any more when the start is cut short, whatever becomes of it.
        self._handing.add_done_callback(lambda made: made.cancelled() or made.exception())
        async with asyncio.timeout(_LONGEST_HAND):
            handed = await asyncio.shield(self._handing)
        self._handing = None
        return handed

    async def _unmade(self) -> None:
        """Wait for the handover that was in preparation when a start was cut short, and close it.

        Its sockets replace those of the next process, which would be unreachable.
        """
        handing, self._handing = self._handing, None
        if handing is None:
            return
        await asyncio.wait({handing}, timeout=_LONGEST_HAND)
        if handing.done() and not handing.cancelled() and handing.exception() is None:
            handing.result().close()

    def tell(self, line: bytes) -> None:
        """Send it a line; nothing happens when it does not run."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(line + b"\n")

    @property
    def pid(self) -> int | None:
        """The id of its process, of the present life or the last."""
        return None if self._process is None else self._process.pid

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()

    def _launched(self, handed: Handed | None) -> socket.socket:
        """Start the process; returns our end of the channel."""
        user = self.user = handed.user if handed is not None else None
        life = handed.life if handed is not None else None
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # A session of its own: what is typed at the terminal comes to the supervisor alone.
                self._process = subprocess.Popen(
                    self._command,
                    stdin=theirs.fileno(),
                    start_new_session=True,
                    pass_fds=() if life is None else (life.fileno(),),
                    env=None if handed is None or handed.credentials else _without_credentials(),
                    user=user.user if user else None,
                    group=user.group if user else None,
                    extra_groups=user.groups if user else None,
                )
                self._contain(self._process)
                if handed is not None:
                    socket.send_fds(ours, [b"\n"], [each.fileno() for each in handed.sockets])
            except OSError:
                ours.close()
                raise
            finally:
                if handed is not None:
                    handed.close()
        return ours

    def _contain(self, process: subprocess.Popen[bytes]) -> None:
        """Put it into a group of its own, while it still waits for what it is handed."""
        if self._groups is None:
            return
        try:
            self._group = self._groups.make()
            self._group.take(process.pid)
        except OSError:
            process.kill()
            process.wait()
            raise

    async def ended(self) -> int:
        """Its exit status, once it has ended: its end of the channel is closed then.

        What it has started may hold that end open, so that the process itself is watched as well.
        """
        if self._writer is None or self._process is None:
            return _NOT_STARTED
        hung_up = asyncio.create_task(self._hung_up())
        try:
            while not hung_up.done() and self._process.poll() is None:
                await asyncio.wait({hung_up}, timeout=_LOOK_SECONDS)
        finally:
            hung_up.cancel()
        self._writer.close()
        return await self._gone()

    async def _hung_up(self) -> None:
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(100):
                pass

    async def stop(self) -> None:
        """Have it end, if it runs."""
        await self._unmade()
        if self._process is not None:
            self._process.terminate()
            await self._gone()

    async def _gone(self) -> int:
        """Its exit status; it is killed when it does not end by itself in good time."""
        if self._process is None:
            raise RuntimeError("it was never started")
        status = await asyncio.to_thread(_waited_for, self._process)
        self.serves = False
        group, self._group = self._group, None
        if group is not None:
            await asyncio.to_thread(self._end_rest, group)
        return status

    def _end_rest(self, group: ControlGroup) -> None:
        """End processes that it started and left behind."""
        try:
            if ended := group.end():
                _LOGGER.error("ALARM: %s: %d processes outlived it, and were ended", self.name, ended)
        except OSError as error:
            _LOGGER.error("ALARM: %s: what it had started does not end (%s)", self.name, error.strerror)


def _without_credentials() -> dict[str, str]:
    """The environment without the way to what systemd hands over to us alone."""
    return {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}


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
        await asyncio.gather(*(first_start(child) for child in children))
        await asyncio.gather(*(keep(child) for child in children))
    finally:
        await asyncio.gather(*(child.stop() for child in children))


async def first_start(child: Child) -> None:
    """Start it, or raise :class:`NotStarted`."""
    if not await child.start():
        raise NotStarted(f"{child.name}: did not start, see above")


async def keep(child: Child, serves: Callable[[], None] = lambda: None) -> None:
    """Start it again each time it ends; ``serves`` is called whenever that has succeeded."""
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
            serves()


class Supervisor:
    """The supervisor as a supervised process sees it: at the other end of standard input."""

    def __init__(self) -> None:
        """Take the channel off standard input, so that no process that is started here gets it too.

        An :class:`OSError` when there is none.
        """
        self._channel = socket.socket(fileno=os.dup(0))
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)

    def handed(self, most: int) -> tuple[bytes, list[socket.socket]]:
        """The line that is handed over at the start, and up to ``most`` sockets, or :class:`OSError`."""
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, most)
        sockets = [socket.socket(fileno=each) for each in descriptors]
        line = bytearray()
        while not line.endswith(b"\n"):
            seen = self._channel.recv(1 << 16, socket.MSG_PEEK)
            if not seen:
                raise ConnectionAbortedError(errno.ECONNABORTED, "the supervisor is gone")
            line += self._channel.recv(seen.find(b"\n") + 1 or len(seen))
        return bytes(line), sockets

    async def hear(self, told: Callable[[bytes], None] | None = None) -> None:
        """Report that this process serves, and return when the supervisor has gone.

        ``told`` gets each line that the supervisor sends meanwhile.
        """
        reader, writer = await asyncio.open_connection(sock=self._channel, limit=_LONGEST_LINE)
        writer.write(_SERVES)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if told is not None:
                    told(line)
