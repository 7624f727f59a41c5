"""Unix users of their own for the processes: a number each, where root can give them.

A user here is only a number: it has no login. Which number belongs
to which vault is recorded in the group of the vault's folder in the key store.
The folder itself is root's: the user reads its keys, and writes nothing that
root reads. A number that a vault has had is never given to another one, also
when the vault is closed: processes or files of its user may be left somewhere.
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
"""The folder of the key store with a file for each number that was ever given."""
_NUMBER = re.compile(r"[0-9]{4}")


class Users:
    """The Unix user of each process, and what belongs to it; without ``first_user``, ourselves."""

    def __init__(self, config: IsolationConfig, vaults: VaultConfig) -> None:
        self._first = config.first_user
        self._vaults = vaults

    def front(self) -> UnixUser | None:
        return self._numbered(0)

    def nobody(self) -> UnixUser | None:
        """The catch-all worker counts as an access point."""
        return self._access_point(1)

    def of_vault(self, vault: str, *, access_point: bool) -> UnixUser | None:
        """Return the vault's own, who may read its keys from now on, and owns its objects."""
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
        """Return the user that the vault has been given, without giving it one."""
        found = (self._vaults.secrets / vault).lstat()
        return next((one for one in (found.st_uid, found.st_gid) if self._is_ours(one)), None)

    def closed(self, vaults: Collection[str]) -> list[UnixUser]:
        """List the users that were given to vaults which are not among ``vaults`` any more."""
        if self._first is None:
            return []
        given = [place for place in self._numbers().iterdir() if _NUMBER.fullmatch(place.name)]
        numbers = [self._first + int(place.name) for place in given if place.read_text() not in vaults]
        return [UnixUser(number, number) for number in numbers]

    def let_in(self, operator: Path) -> None:
        """Let the processes reach what belongs to them: access points may read the folder ``operator``.

        A missing folder, as on a file system that is no longer mounted, is not made again: an empty one in
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
        """Let the processes come to ``folder``."""
        let_through(folder)

    def _numbered(self, number: int) -> UnixUser | None:
        return None if self._first is None else UnixUser(self._first + number, self._first + number)

    def _access_point(self, number: int) -> UnixUser | None:
        """Give access points a group in common, which may read the operator's own keys."""
        return self._worker(number, group=1)

    def _worker(self, number: int, group: int) -> UnixUser | None:
        """Its own number is among its groups: by that it reads its vault's keys."""
        if self._first is None:
            return None
        return UnixUser(self._first + number, self._first + group, (self._first + number,))

    def _is_ours(self, number: int) -> bool:
        return self._first is not None and self._first + 1 < number < self._first + USERS

    def _number(self, folder: Path) -> int:
        """The vault's number, or a new one; either way it is never given to another vault."""
        assert self._first is not None
        known = self.known(folder.name)
        if known is not None:
            write_new(self._numbers() / f"{known - self._first:04d}", folder.name.encode())
            return known - self._first
        given = [int(each) for each in os.listdir(self._numbers()) if _NUMBER.fullmatch(each)]
        for number in range(max(given, default=1) + 1, USERS):
            if write_new(self._numbers() / f"{number:04d}", folder.name.encode()):
                return number
        raise ConfigError("isolation.first_user", f"all {USERS} numbers from there on have been given")

    def _numbers(self) -> Path:
        return private_folder(self._vaults.secrets / _NUMBERS)


def _let_read(folder: Path, group: int) -> None:
    """Let a group read a folder of keys, which belongs to root. Needed once: new files there inherit it."""
    owner = folder.parent.stat().st_uid
    found = folder.lstat()
    if (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (owner, group, 0o750):
        give_to_group(folder, owner, group)


def _give(folder: Path, user: UnixUser) -> None:
    """Give a folder of objects to its user, once; what root put there before, first.

    From then on the user may put there what it likes, and root looks at none of it.
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
