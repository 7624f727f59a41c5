"""Unix users of the processes: a number each, where the supervisor is root and may assign them.

A user here is only a number, without a login. The group of a vault's folder in the key store records which
number belongs to that vault. The folder belongs to root: the user reads its keys, but cannot write anything
that root reads. A number that a vault has had is never assigned to another one, even after the vault is
closed, because processes or files of that user may remain.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Collection
from pathlib import Path

from samdrift.config.isolation import USERS, IsolationConfig
from samdrift.config.model import VaultConfig
from samdrift.config.toml import ConfigError
from samdrift.keystore.confined import give_to_group
from samdrift.keystore.durablefiles import let_through, private_folder, write_new
from samdrift.keystore.witness import MARKS, marks_folder
from samdrift.processes.child import UnixUser

_NUMBERS = "users"
"""Folder in the key store with a file for each number that was ever assigned."""
_NUMBER = re.compile(r"[0-9]{4}")


class Users:
    """The Unix user of each process, and the files that it owns; without ``first_user``, our own user."""

    def __init__(self, config: IsolationConfig, vaults: VaultConfig) -> None:
        self._first = config.first_user
        self._vaults = vaults

    def front(self) -> UnixUser | None:
        return self._numbered(0)

    def nobody(self) -> UnixUser | None:
        """Return the user of the catch-all worker, which counts as an access point."""
        return self._access_point(1)

    def of_vault(self, vault: str, *, access_point: bool) -> UnixUser | None:
        """Return the vault's user, after giving it the vault's objects and read access to its keys."""
        if self._first is None:
            return None
        folder = self._vaults.secrets / vault
        number = self._number(folder)
        user = self._access_point(number) if access_point else self._worker(number, group=number)
        if user is not None:
            _let_read(folder, self._first + number)
            _give(private_folder(marks_folder(self._vaults.secrets, vault)), user)
            if isinstance(self._vaults.objects, Path) and self._vaults.objects.is_dir():
                _give(private_folder(self._vaults.objects / vault), user)
        return user

    def known(self, vault: str) -> int | None:
        """Return the user number assigned to the vault, without assigning one."""
        found = (self._vaults.secrets / vault).lstat()
        return next((one for one in (found.st_uid, found.st_gid) if self._is_ours(one)), None)

    def closed(self, vaults: Collection[str]) -> list[UnixUser]:
        """List the users assigned to vaults that are no longer among ``vaults``."""
        if self._first is None:
            return []
        given = [place for place in self._numbers().iterdir() if _NUMBER.fullmatch(place.name)]
        numbers = [self._first + int(place.name) for place in given if place.read_text() not in vaults]
        return [UnixUser(number, number) for number in numbers]

    def let_in(self, operator: Path) -> None:
        """Let the processes reach their files, and let access points read the folder ``operator``.

        A missing folder, as on a file system that is no longer mounted, is not created again: an empty one in
        its place would hide the fault.
        """
        if self._first is None:
            return
        if self._vaults.secrets.is_dir():
            private_folder(self._vaults.secrets / MARKS)
        for place in (self._vaults.secrets, self._vaults.secrets / MARKS, self._vaults.objects):
            if isinstance(place, Path) and place.is_dir():
                let_through(place / "anything")
        for program in (Path(sys.executable), Path(sys.executable).resolve(), Path(__file__)):
            let_through(program)
        _let_read(operator, self._first + 1)

    @staticmethod
    def let_pass(folder: Path) -> None:
        """Let the processes reach ``folder``."""
        let_through(folder)

    def _numbered(self, number: int) -> UnixUser | None:
        return None if self._first is None else UnixUser(self._first + number, self._first + number)

    def _access_point(self, number: int) -> UnixUser | None:
        """Return the user of an access point, in the group that may read the operator's own keys."""
        return self._worker(number, group=1)

    def _worker(self, number: int, group: int) -> UnixUser | None:
        """Return the user of a worker, whose groups include its own number so that it can read its keys."""
        if self._first is None:
            return None
        return UnixUser(self._first + number, self._first + group, (self._first + number,))

    def _is_ours(self, number: int) -> bool:
        return self._first is not None and self._first + 1 < number < self._first + USERS

    def _number(self, folder: Path) -> int:
        """Return the vault's number, or assign a new one; neither is ever assigned to another vault."""
        assert self._first is not None
        known = self.known(folder.name)
        if known is not None:
            write_new(self._numbers() / f"{known - self._first:04d}", folder.name.encode())
            return known - self._first
        given = [int(each) for each in os.listdir(self._numbers()) if _NUMBER.fullmatch(each)]
        for number in range(max(given, default=1) + 1, USERS):
            if write_new(self._numbers() / f"{number:04d}", folder.name.encode()):
                return number
        raise ConfigError("isolation.first_user", f"all {USERS} user ids from there on are taken")

    def _numbers(self) -> Path:
        return private_folder(self._vaults.secrets / _NUMBERS)


def _let_read(folder: Path, group: int) -> None:
    """Let a group read a folder of keys that belongs to root. Needed once: new files there inherit it."""
    owner = folder.parent.stat().st_uid
    found = folder.lstat()
    if (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (owner, group, 0o750):
        give_to_group(folder, owner, group)


def _give(folder: Path, user: UnixUser) -> None:
    """Make a user the owner of a folder of objects, once, starting with the files that root put there.

    From then on the user may put anything there, and root does not read it.
    """
    if folder.lstat().st_uid == user.user:
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for name in os.listdir(descriptor):
            os.chown(name, user.user, user.group, dir_fd=descriptor, follow_symlinks=False)
        os.fchown(descriptor, user.user, user.group)
    finally:
        os.close(descriptor)
