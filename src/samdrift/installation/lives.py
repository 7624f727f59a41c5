"""The living and the ended processes of an installation.

Each start of a process has a file of its own, which the process holds locked for as long as it lives: the
operating system lets go of the lock when it ends, however that comes about, and at no other time. So a
process that starts later knows which claims in the vaults are abandoned (:mod:`samdrift.scheduling.claims`),
and does not mistake a living process's claim for one. A process on another machine, with a folder of its own,
is not known here: what it had claimed waits for the end of its lease.
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
"""Scope of a process that is for several vaults."""
_ENDED = "ended"
_LONGEST_LEASE = timedelta(minutes=15)
"""The longest lease of those that no setting says, which are the message client's."""


@dataclass(frozen=True, slots=True)
class Life:
    """One start of a process: its claims carry the name, and it lives as long as the file is open."""

    name: str
    file: BinaryIO

    def fileno(self) -> int:
        return self.file.fileno()

    def close(self) -> None:
        """Let go of it here; it goes on in a process that has inherited the file."""
        self.file.close()


class Lives:
    """The folder with a file for each start. A name is of random letters and says nothing."""

    def __init__(self, config: Config) -> None:
        # Hosts that share a key store need not see each other's locks: where sockets are apart, so are lives.
        self._folder = (config.vaults.control or config.vaults.secrets) / ".lives"
        leases = [
            own.lease_seconds for own in (config.access_point, config.message_service) if own is not None
        ]
        self._remembered = max(_LONGEST_LEASE.total_seconds(), *leases, 0) * 2

    def begin(self, vault: str = _ALL) -> Life:
        """Begin a life, of a process for one vault or for several; it lasts until the file is closed.

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

        They are remembered for as long as a claim lasts, so that a start that is cut short loses none.
        """
        scopes = None if vault is None else {vault, _ALL}
        return frozenset(name for scope, name in self._found() if scopes is None or scope in scopes)

    def _found(self) -> Iterator[tuple[str, str]]:
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self._folder.iterdir()):
                scope, _, rest = path.name.partition(".")
                name, _, state = rest.partition(".")
                # Gone meanwhile: another process that starts now has come to the same.
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
    """Return whether the process that it stands for lives. Those who look do not keep each other from it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def living(config: Config) -> Iterator[Claimant]:
    """Live as a process for several vaults while the context lasts, and know which have ended before."""
    lives = Lives(config)
    ended = lives.ended()
    life = lives.begin()
    try:
        yield Claimant(life.name, ended)
    finally:
        life.close()
