"""The operator's commands to running processes, each over the socket of its process.

The sockets are in a folder of the operator's own. A request is one line of JSON, and so is the answer. The
operating system identifies the caller: only the user that the process runs as, and root, are accepted. It
also identifies the listener before anything is sent: it must be the folder's owner or root. Passphrases are
sent this way, so that they are neither in a file nor in an argument of a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from samdrift.audit.operations import unexpected
from samdrift.config.errors import shown
from samdrift.config.model import VaultConfig
from samdrift.contracts.errors import Explained
from samdrift.keystore.durablefiles import private_folder, remove

Command = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Function that carries out a command with the values of its line, and returns the values of the answer."""

_PEER = struct.Struct("3i")
_SILENCE = 60.0
_LONGEST_ANSWER = 16 << 20
"""Maximum size of an answer in bytes; the state of an installation with many organisations is long."""


class ControlRefused(Explained):
    """A running process refused a command; the text states why, and contains no secret."""


class Unanswered(ControlRefused):
    """A process listens but does not answer in time, because it hangs or is overloaded."""

    def __init__(self) -> None:
        super().__init__("a running process does not answer")


def control_folder(config: VaultConfig) -> Path:
    """Return the folder with the sockets of the processes of an installation."""
    return config.control or config.secrets / ".control"


def is_hidden(config: VaultConfig) -> bool:
    """Return whether the control folder is in a missing key store: processes run but cannot be reached."""
    return control_folder(config).is_relative_to(config.secrets) and not config.secrets.is_dir()


def workers_folder(config: VaultConfig) -> Path:
    """Return the folder with the workers' sockets, for commands from their parent and from each other."""
    return control_folder(config) / "workers"


@contextlib.asynccontextmanager
async def controlled(folder: Path, commands: Mapping[str, Command]) -> AsyncIterator[None]:
    """Accept and carry out ``commands`` while the context lasts."""
    path = _socket_of(folder, os.getpid())
    server = await asyncio.start_unix_server(_Answering(commands), sock=_listening(path))
    try:
        yield
    finally:
        server.close()
        with contextlib.suppress(FileNotFoundError):  # The folder may have been lost with the key store.
            remove(path)


def _listening(path: Path) -> socket.socket:
    """Return a listening socket in a private folder; a socket left by a killed process is replaced."""
    private_folder(path.parent)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    with _short(path) as name:
        listener.bind(name)
    path.chmod(0o600)
    return listener


class _Answering:
    """Connection handler that answers one caller."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._unexpected = unexpected("control")

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_SILENCE):
                answer = await self._answer(writer.get_extra_info("socket"), reader)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except ConnectionError:  # The caller hung up, or only checked whether this process listens.
            pass
        except Exception as error:
            self._unexpected(error)
        finally:
            writer.close()

    async def _answer(self, caller: socket.socket, reader: asyncio.StreamReader) -> dict[str, Any]:
        if _user(caller) not in (0, os.geteuid()):
            return {"refused": "you are another user"}
        try:
            told = json.loads(await reader.readline())
            command = self._commands[told["command"]]
        except (ValueError, KeyError, TypeError):
            return {"refused": "unknown command"}
        try:
            return await command(told)
        except ControlRefused as error:
            return {"refused": str(error)}


def _user(caller: socket.socket) -> int:
    _, user, _ = _PEER.unpack(caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(user)


async def tell(folder: Path, command: str, **values: str) -> list[dict[str, Any]]:
    """Send a command to all running processes and return their answers, if any.

    :class:`ControlRefused` when one of them refuses.
    """
    answers = []
    for path in _sockets(folder):
        # A socket that refuses is left over from a killed process; a missing one is from a process that has
        # just ended.
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
            answers.append(await _told(path, {"command": command, **values}))
    for answer in answers:
        if "refused" in answer:
            raise ControlRefused(answer["refused"])
    return answers


async def tell_process(
    folder: Path, process: int, command: str, seconds: float = _SILENCE, **values: str
) -> dict[str, Any] | None:
    """Send a command to one process and return its answer, even a refusal; ``None`` when it does not listen.

    :class:`Unanswered` when it listens but has not answered after ``seconds``.
    """
    try:
        return await _told(_socket_of(folder, process), {"command": command, **values}, seconds)
    except (ConnectionError, FileNotFoundError):
        return None


async def is_running(folder: Path) -> bool:
    """Return whether any process of the installation is running and accepts commands."""
    return bool(await listening_processes(folder))


async def listening_processes(folder: Path) -> list[int]:
    """Return the ids of the installation's processes that are running and accept commands."""
    found = []
    for path in _sockets(folder):
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError), _short(path) as name:
            _, writer = await asyncio.open_unix_connection(name)
            writer.close()
            found.append(int(path.stem))
    return found


def _socket_of(folder: Path, process: int) -> Path:
    return folder / f"{process}.sock"


def _sockets(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sock"))


async def _told(path: Path, values: Mapping[str, str], seconds: float = _SILENCE) -> dict[str, Any]:
    try:
        async with asyncio.timeout(seconds), _connected(path) as (reader, writer):
            if _user(writer.get_extra_info("socket")) not in (0, os.geteuid(), path.parent.stat().st_uid):
                raise ControlRefused(f"{shown(path)}: another user's process listens there; nothing was sent")
            writer.write(json.dumps(values).encode() + b"\n")
            line = await reader.readline()
    except TimeoutError:
        raise Unanswered from None
    except ValueError:
        raise ControlRefused("the answer of a running process is too long") from None
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        raise ControlRefused("a running process ended before it answered") from None
    return answer


@contextlib.asynccontextmanager
async def _connected(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    with _short(path) as name:
        reader, writer = await asyncio.open_unix_connection(name, limit=_LONGEST_ANSWER)
    try:
        yield reader, writer
    finally:
        writer.close()


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """Yield a short path to a socket in a deep folder: the system limits paths to about 100 characters."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
