"""Child processes on one machine: starting, watching and restarting them.

A child has only the secrets that it is handed, and inherits only the standard streams and what it is handed.
Its standard input is a channel to the supervisor: the child reports there that it serves, and ends when the
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
"""Seconds that a process has to end by itself before it is killed."""
_LONGEST_PAUSE = 60.0
_LONGEST_START = 300.0
"""Seconds that a process has to serve or end after its start before it is killed."""
_NOT_STARTED = 127
"""Exit status of a program that could not even be started, as in a shell."""
_LONGEST_HAND = 60.0
"""Seconds within which the handover for a process must be ready."""
_LONGEST_LINE = 64 << 20
_LOOK_SECONDS = 5.0
"""Seconds between checks that a process is still alive, since another one may hold its channel open."""
_STEADY = 60.0
"""Seconds that a process must have run for its end not to count as a failed start."""


class NotStarted(Explained):
    """A process, named in the text, ended before it served. The process itself has reported the cause."""


def pause(failures: int) -> float:
    """Return the seconds to wait before restarting a process that has failed ``failures`` times in a row."""
    return min(2.0 ** (failures - 1), _LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Handed:
    """Secrets and sockets that a process receives over its channel when it starts."""

    line: bytes
    """One line, without the line end."""
    sockets: Sequence[socket.socket] = ()
    """Sockets that become the process's; our copies are closed."""
    user: UnixUser | None = None
    """The Unix user that the process runs as; our own if ``None``."""
    life: Life | None = None
    """A lock that the process holds open for as long as it lives; our copy is closed."""
    credentials: bool = False
    """True if the process also gets the credentials that systemd has given us."""

    def close(self) -> None:
        """Close our copies of the sockets and the lock, which the process has by now."""
        for each in (*self.sockets, *([self.life] if self.life is not None else ())):
            each.close()


@dataclass(frozen=True, slots=True)
class UnixUser:
    """The Unix user of a process: its user and group numbers, and further groups."""

    user: int
    group: int
    groups: tuple[int, ...] = ()


class Child:
    """One process, across restarts."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        hand: Callable[[], Handed] | None = None,
        prepare: Callable[[], Awaitable[None]] | None = None,
        groups: ControlGroups | None = None,
    ) -> None:
        """Prepare a process; ``hand`` returns its handover for each start.

        ``hand`` may block, because it runs in a thread of its own. ``prepare`` is awaited before each start.
        With ``groups``, each start gets a control group of its own, and everything that the process started
        ends with it.
        """
        self.name = name
        self._command = command
        self._hand = hand
        self._prepare = prepare
        self._groups = groups
        self._group: ControlGroup | None = None
        self._handing: asyncio.Future[Handed] | None = None
        """The handover while it is being made."""
        self._process: subprocess.Popen[bytes] | None = None
        self.user: UnixUser | None = None
        """The Unix user that the process runs as; our own if ``None``."""
        self._writer: asyncio.StreamWriter | None = None
        self.serves = False

    async def start(self) -> bool:
        """Start the process; return whether it serves, as soon as it does or has ended.

        A process that has done neither after five minutes hangs, and is killed, as is one that writes on and
        on without a line end.
        """
        try:
            if self._prepare is not None:
                await self._prepare()
            handed = None if self._hand is None else await self._made(self._hand)
            ours = self._launched(handed)
        except TimeoutError:
            _LOGGER.error("%s: cannot be started: its handover was not ready in time", self.name)
            return False
        except OSError as error:
            where = f"{error.filename}: " if isinstance(error.filename, str) else ""
            why = (error.strerror or type(error).__name__).lower()
            _LOGGER.error("%s: cannot be started: %s%s", self.name, where, why)
            return False
        except (KeyStoreError, VaultError) as error:
            _LOGGER.error("%s: cannot be started: %s", self.name, error)
            return False
        except Exception as error:  # A failed start must not affect other processes.
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
            _LOGGER.error("%s: hangs before it is ready and is killed", self.name)
            self.kill()
            return False
        except ValueError:  # More was read than a stream reader keeps for one line.
            _LOGGER.error("%s: writes something other than that it serves, and is killed", self.name)
            self.kill()
            return False

    async def _made(self, hand: Callable[[], Handed]) -> Handed:
        """Make the handover in a thread; raise :class:`TimeoutError` when that takes too long."""
        self._handing = in_own_thread(hand)
        # Retrieve the exception in any case: if the start is cancelled, no caller awaits this future.
        self._handing.add_done_callback(lambda made: made.cancelled() or made.exception())
        async with asyncio.timeout(_LONGEST_HAND):
            handed = await asyncio.shield(self._handing)
        self._handing = None
        return handed

    async def _unmade(self) -> None:
        """Wait for a handover that was still being made when the start was cut short, and close it.

        Left alone, its sockets would replace those of the next process and make that one unreachable.
        """
        handing, self._handing = self._handing, None
        if handing is None:
            return
        await asyncio.wait({handing}, timeout=_LONGEST_HAND)
        if handing.done() and not handing.cancelled() and handing.exception() is None:
            handing.result().close()

    def tell(self, line: bytes) -> None:
        """Send the process a line; do nothing when it is not running."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(line + b"\n")

    @property
    def pid(self) -> int | None:
        """Return the id of the current process, or of the last one; ``None`` before the first start."""
        return None if self._process is None else self._process.pid

    def signal(self, number: int) -> None:
        """Send the process a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()

    def _launched(self, handed: Handed | None) -> socket.socket:
        """Start the process and return our end of the channel."""
        user = self.user = handed.user if handed is not None else None
        life = handed.life if handed is not None else None
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # A session of its own, so that Ctrl-C at the terminal signals the supervisor alone.
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
        """Put the process into a control group of its own while it still waits for its handover."""
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
        """Wait until the process has ended or closed its end of the channel, and return its exit status.

        A process that it started may hold that end open, so the process itself is watched as well.
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
        """Stop the process, if it runs."""
        await self._unmade()
        if self._process is not None:
            self._process.terminate()
            await self._gone()

    async def _gone(self) -> int:
        """Return the exit status; kill the process when it does not end by itself within a minute."""
        if self._process is None:
            raise RuntimeError("it was never started")
        status = await asyncio.to_thread(_waited_for, self._process)
        self.serves = False
        group, self._group = self._group, None
        if group is not None:
            await asyncio.to_thread(self._end_rest, group)
        return status

    def _end_rest(self, group: ControlGroup) -> None:
        """End the processes that this one started and left behind."""
        try:
            if ended := group.end():
                _LOGGER.error("ALARM: %s: %d processes outlived it and were killed", self.name, ended)
        except OSError as error:
            _LOGGER.error("ALARM: %s: processes that it started do not end (%s)", self.name, error.strerror)


def _without_credentials() -> dict[str, str]:
    """Return the environment without the variable that leads to our systemd credentials."""
    return {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}


def _waited_for(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


async def supervise(children: Sequence[Child]) -> None:
    """Run all children until cancelled, and restart any that ends by itself.

    Raises :class:`NotStarted` when one does not serve after its first start. All are stopped at the end.
    """
    try:
        await asyncio.gather(*(first_start(child) for child in children))
        await asyncio.gather(*(keep(child) for child in children))
    finally:
        await asyncio.gather(*(child.stop() for child in children))


async def first_start(child: Child) -> None:
    """Start a process for the first time; raise :class:`NotStarted` when it does not serve."""
    if not await child.start():
        raise NotStarted(f"{child.name}: did not start, see above")


async def keep(child: Child, serves: Callable[[], None] = lambda: None) -> None:
    """Restart a process each time it ends, and call ``serves`` whenever that has succeeded."""
    clock, failures = asyncio.get_running_loop().time, 0
    began = clock()
    while True:
        status = await child.ended()
        failures = 1 if clock() - began > _STEADY else failures + 1
        wait = pause(failures)
        _LOGGER.error("%s: ended with status %d, restarting in %.0f s", child.name, status, wait)
        await asyncio.sleep(wait)
        began = clock()
        if await child.start():
            _LOGGER.info("%s: serves again", child.name)
            serves()


class Supervisor:
    """The supervisor from a child process's point of view: the other end of standard input."""

    def __init__(self) -> None:
        """Take the channel off standard input, so that processes started from here do not inherit it.

        Raises :class:`OSError` when there is no channel.
        """
        self._channel = socket.socket(fileno=os.dup(0))
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)

    def handed(self, most: int) -> tuple[bytes, list[socket.socket]]:
        """Return the handover line and up to ``most`` sockets, or raise :class:`OSError`."""
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

        ``told`` is called with each line that the supervisor sends meanwhile.
        """
        reader, writer = await asyncio.open_connection(sock=self._channel, limit=_LONGEST_LINE)
        writer.write(_SERVES)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if told is not None:
                    told(line)
