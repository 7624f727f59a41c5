"""Record of the running and the ended processes of an installation.

Each start of a process has its own file, which the process keeps locked for as long as it lives: the
operating system releases the lock when the process ends, however it ends, and at no other time. A process
that starts later thus knows which claims in the vaults are abandoned (:mod:`samdrift.scheduling.claims`), and
does not mistake a living process's claim for one. A process on another machine, with its own folder, is not
known here: its claims wait until their leases end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from samdrift.config.model import Config
from samdrift.keystore.durablefiles import private_folder
from samdrift.scheduling.claims import Claimant

_ALL = "all"
"""Scope of a process that serves several vaults."""
_ENDED = "ended"
_LONGEST_LEASE = timedelta(minutes=15)
"""Longest lease that is not configurable, which is the message client's."""


@dataclass(frozen=True, slots=True)
class Life:
    """One start of a process: its claims carry ``name``, and it lives as long as the file is open."""

    name: str
    file: BinaryIO

    def fileno(self) -> int:
        return self.file.fileno()

    def close(self) -> None:
        """Close the file in this process; the life continues in a process that has inherited the file."""
        self.file.close()


class Lives:
    """The folder with one file for each start; file names are random and carry no information."""

    def __init__(self, config: Config) -> None:
        # Hosts that share a key store may not see each other's file locks. Where ``control`` separates their
        # sockets, it separates their lives too.
        self._folder = (config.vaults.control or config.vaults.secrets) / ".lives"
        leases = [
            own.lease_seconds for own in (config.access_point, config.message_service) if own is not None
        ]
        self._remembered = max(_LONGEST_LEASE.total_seconds(), *leases, 0) * 2

    def begin(self, vault: str = _ALL) -> Life:
        """Begin the life of a process for one vault or for several; it lasts until the file is closed.

        The file gets its name once it is locked: a named file without a lock belongs to an ended process.
        """
        private_folder(self._folder)
        name = secrets.token_hex(16)
        draft = self._folder / f".{name}"
        file = os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "rb")
        fcntl.flock(file, fcntl.LOCK_EX)
        draft.rename(self._folder / f"{vault}.{name}")
        return Life(name, file)

    def ended(self, vault: str | None = None) -> frozenset[str]:
        """Return the processes that have ended and may have left claims, in one vault or in any.

        They are remembered for twice the longest lease, so that an interrupted start loses none of them.
        """
        scopes = None if vault is None else {vault, _ALL}
        return frozenset(name for scope, name in self._found() if scopes is None or scope in scopes)

    def _found(self) -> Iterator[tuple[str, str]]:
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self._folder.iterdir()):
                scope, _, rest = path.name.partition(".")
                name, _, state = rest.partition(".")
                # Another process that is starting may just have removed the file.
                with contextlib.suppress(FileNotFoundError):
                    if state == _ENDED or not scope:
                        if path.stat().st_mtime < time.time() - self._remembered:
                            path.unlink()
                            continue
                    elif _is_locked(path):
                        continue
                    else:
                        os.utime(path)
                        path.rename(path.with_name(f"{path.name}.{_ENDED}"))
                if scope:
                    yield scope, name


def _is_locked(path: Path) -> bool:
    """Return whether the process that a file stands for is alive; concurrent checks do not interfere."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def living(config: Config) -> Iterator[Claimant]:
    """Register as a living process for several vaults while the context lasts.

    The claimant that it yields knows which processes ended before.
    """
    lives = Lives(config)
    ended = lives.ended()
    life = lives.begin()
    try:
        yield Claimant(life.name, ended)
    finally:
        life.close()
