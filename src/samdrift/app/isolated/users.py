"""Unix users of their own for the processes: a number each, where root can give them.

A user here is a number and no more: nobody logs in as it. Which number belongs
to which vault is told by the owner of the vault's folder in the key store.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from samdrift.app.config import VaultConfig
from samdrift.app.isolation import USERS, IsolationConfig
from samdrift.app.supervisor import UnixUser
from samdrift.app.toml import ConfigError
from samdrift.vault.files import let_through, private_folder


class Users:
    """Whom each process runs as, and what belongs to it; nobody but ourselves without ``first_user``."""

    def __init__(self, config: IsolationConfig, vaults: VaultConfig) -> None:
        self._first = config.first_user
        self._vaults = vaults

    def front(self) -> UnixUser | None:
        return self._numbered(0)

    def nobody(self) -> UnixUser | None:
        """The worker for nobody is an access point too."""
        return self._access_point(1)

    def of_vault(self, vault: str, *, access_point: bool) -> UnixUser | None:
        """The vault's own, to whom its keys and objects belong from now on."""
        if self._first is None:
            return None
        folder = self._vaults.secrets / vault
        owner = folder.stat().st_uid
        number = owner - self._first if self._is_ours(owner) else self._free()
        user = self._access_point(number) if access_point else self._worker(number, group=number)
        if user is not None:
            _give(folder, user)
            if isinstance(self._vaults.objects, Path):
                _give(private_folder(self._vaults.objects / vault), user)
        return user

    def let_in(self, operator: Path) -> None:
        """Let the processes reach what belongs to them: access points may read the folder ``operator``."""
        if self._first is None:
            return
        for place in (self._vaults.secrets, self._vaults.objects):
            if isinstance(place, Path):
                let_through(private_folder(place) / "anything")
        for program in (Path(sys.executable), Path(sys.executable).resolve(), Path(__file__)):
            let_through(program)
        _share(operator, self._first + 1)

    @staticmethod
    def let_pass(folder: Path) -> None:
        """Let the processes come to ``folder``."""
        let_through(folder)

    def _numbered(self, number: int) -> UnixUser | None:
        return None if self._first is None else UnixUser(self._first + number, self._first + number)

    def _access_point(self, number: int) -> UnixUser | None:
        """Access points have a group in common: that may read the operator's own keys."""
        return self._worker(number, group=1)

    def _worker(self, number: int, group: int) -> UnixUser | None:
        if self._first is None:
            return None
        return UnixUser(self._first + number, self._first + group)

    def _is_ours(self, user: int) -> bool:
        return self._first is not None and self._first + 1 < user < self._first + USERS

    def _free(self) -> int:
        assert self._first is not None
        owners = {path.stat().st_uid for path in self._vaults.secrets.iterdir() if path.is_dir()}
        number = max((owner - self._first for owner in owners if self._is_ours(owner)), default=1) + 1
        if number >= USERS:
            raise ConfigError("isolation.first_user", f"all {USERS} numbers from there on are taken")
        return number


def _give(folder: Path, user: UnixUser) -> None:
    """Have all in ``folder`` belong to ``user``, who may have put links there: none is followed."""
    for _, folders, files, inside in os.fwalk(folder):
        for name in (".", *folders, *files):
            with contextlib.suppress(FileNotFoundError):  # What is removed meanwhile needs no owner.
                stat = os.stat(name, dir_fd=inside, follow_symlinks=False)
                if (stat.st_uid, stat.st_gid) != (user.user, user.group):
                    os.chown(name, user.user, user.group, dir_fd=inside, follow_symlinks=False)


def _share(folder: Path, group: int) -> None:
    """Let a group read it."""
    for path in _all_in(folder):
        mode = 0o750 if path.is_dir() else 0o640
        stat = path.lstat()
        if (stat.st_gid, stat.st_mode & 0o777) != (group, mode):
            os.chown(path, -1, group, follow_symlinks=False)
            path.chmod(mode)


def _all_in(folder: Path) -> Iterator[Path]:
    yield folder
    yield from sorted(folder.rglob("*"))
