"""Unlockers of the vaults' secrets: for the whole installation, or for a process with a few keys.

An unlocker gives the key that opens a vault's secret, and nothing that leads to
another vault's. The key of a vault that its organisation's officer unlocks is
there only after that, in memory alone, until the process ends.

Seals: a few random bytes for each vault, in a folder that no backup of the installation contains.

Whoever wants to open a vault's keys needs its seal besides everything else. A
backup of database, objects and key store is kept for months and cannot be
reached into; a seal lies in one place, and when a vault is closed it is
destroyed there. What the backup has of the vault is then unreadable, for
whoever knows every passphrase.

A seal is overwritten before it is removed. That is as much as a file system
promises: a disk of flash memory, or a file system that copies on write or keeps
snapshots, may hold the former bytes for a while. Who has to be sure keeps the
folder on a medium that is erased as a whole or encrypted under a key of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, Protocol

from nacl.utils import random

from samdrift.keystore import confined
from samdrift.keystore.durablefiles import private_folder, remove, write_new
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.vaultfolder import SECRET, current
from samdrift.keystore.wrapping import (
    PERSONS_COST,
    Lock,
    LockedSecret,
    OlderFormat,
    ScryptCost,
    Stretching,
    WrappingError,
    derive,
    new_root,
    open_root,
    sealed,
)

SEAL_BYTES = 32
_SEAL = re.compile(r"([a-z0-9_-]+)\.([1-9][0-9]{0,8})")


class Seals:
    """The seals in ``folder``: files named by vault and number."""

    def __init__(self, folder: Path, *, new: bool) -> None:
        """``new`` for a new key store; for another the folder must be there (``MISSING``).

        An empty one in its place, because something is not mounted, would look
        as if every vault had been destroyed.
        """
        self._folder = private_folder(folder) if new else folder
        if not folder.is_dir():
            raise KeyStoreError(KeyFault.MISSING, "the folder of the seals is not there")

    def new(self, vault: str) -> int:
        """Make another seal for a vault, durably, and give its number."""
        number = max(self._numbers(vault), default=0) + 1
        while not write_new(self._path(vault, number), random(SEAL_BYTES)):
            number += 1
        return number

    def any(self) -> bool:
        """Return whether there are seals, of whichever vault."""
        return any(map(_SEAL.fullmatch, os.listdir(self._folder)))

    def read(self, vault: str, number: int) -> bytes:
        """The seal; ``MISSING`` when it is not there: permanently, if it was destroyed."""
        try:
            seal = self._path(vault, number).read_bytes()
        except FileNotFoundError:
            raise KeyStoreError(
                KeyFault.MISSING,
                "a vault's seal is not there: it was destroyed, or the folder of seals is another's",
            ) from None
        if len(seal) != SEAL_BYTES:
            raise KeyStoreError(KeyFault.DAMAGED, "a vault's seal is damaged")
        return seal

    def put_back(self, vault: str, number: int, seal: bytes) -> None:
        """Write a seal that was lost, from a backup of the vault's keys."""
        if not write_new(self._path(vault, number), seal):
            raise KeyStoreError(
                KeyFault.ACTIVE, "the vault's keys and its seal are here: there is nothing to restore"
            )

    def destroy(self, vault: str, keep: int | None = None) -> None:
        """Overwrite and remove the seals of a vault, durably, but for the one to keep.

        Also what a crash left of one that was being made: it may be that very seal under another name.
        """
        for draft in self._folder.glob(f".{vault}.*"):
            remove(draft)
        for number in self._numbers(vault):
            if number != keep:
                _shred(self._path(vault, number))

    def _numbers(self, vault: str) -> list[int]:
        matches = (_SEAL.fullmatch(name) for name in os.listdir(self._folder))
        return [int(match[2]) for match in matches if match and match[1] == vault]

    def _path(self, vault: str, number: int) -> Path:
        return self._folder / f"{vault}.{number}"


def _shred(path: Path) -> None:
    """Overwrite a file in place and remove it; nothing happens when it is gone already."""
    try:
        with path.open("r+b", buffering=0) as file:
            file.write(random(max(path.stat().st_size, SEAL_BYTES)))
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    remove(path)


ROOT = "root"


class Unlocker(Protocol):
    """Every method raises ``KeyStoreError``, with the fault that it names."""

    makes_keys: bool
    """Whether the process makes keys of its vaults, or only uses those that there are."""

    def key(self, vault: str) -> bytes:
        """The key that opens the vault's secret; ``LOCKED``, or ``MISSING`` where vault or seal are gone."""

    def new_lock(self, vault: str, officer: bytes | None = None) -> tuple[Lock, bytes]:
        """A new seal for the vault, and the key that opens what is locked by it.

        With the passphrase of an officer, who will have to unlock it from then on.
        """

    def unlock(self, vault: str, passphrase: bytes) -> None:
        """Take the officer's passphrase for the vault; ``LOCKED`` when it is not the one."""

    def settle(self, vault: str, lock: Lock) -> None:
        """Destroy every seal of the vault but that of ``lock``."""

    def destroy(self, vault: str) -> None:
        """Destroy the vault's seals: nothing opens its secret again."""

    def forget(self, vault: str) -> None:
        """Keep nothing in memory of what opened the vault."""

    def shares(self, vault: str) -> tuple[bytes, bytes]:
        """Return the root key's share and the seal, which open the vault's secret alone or together with its
        officer.
        """

    def put_back(self, vault: str, lock: Lock, root_share: bytes, seal: bytes) -> None:
        """Write a lost seal again; ``MISMATCH`` under another root key, ``ACTIVE`` if it is not lost."""


class RootUnlocker:
    """Opens every vault of an installation, but for those that an officer unlocks."""

    makes_keys = True

    def __init__(
        self,
        folder: Path,
        seals: Path,
        passphrase: bytes,
        *,
        begin: bool = True,
        cost: ScryptCost | None = None,
    ) -> None:
        """Open the root key in ``folder``, or make it when the folder is new and ``begin`` says so.

        ``LOCKED`` when the passphrase is not its own; ``MISSING`` when only the seals
        are there, or only the store: what is not mounted is not made again. ``cost`` is for what is made
        here; what exists keeps its own.
        """
        if not begin and not (folder / ROOT).exists() and not _any_seals(seals):
            raise KeyStoreError(KeyFault.MISSING, f"{folder}: there is no key store")
        self._folder = private_folder(folder)
        self._cost, self._officers_cost = cost or ScryptCost(), cost or PERSONS_COST
        self._officers: dict[tuple[str, Lock], bytes] = {}
        root = folder / ROOT
        self._seals = Seals(seals, new=not root.exists())
        if self._seals.any() and not root.exists():
            raise KeyStoreError(
                KeyFault.MISSING,
                "there are seals of vaults, and not the key store that they belong to: if that is lost for"
                " good, move the seals away before another one is begun",
            )
        if not root.exists():
            write_new(root, new_root(passphrase, self._cost))
        try:
            self._root = open_root(root.read_bytes(), passphrase)
        except OlderFormat:
            raise KeyStoreError(
                KeyFault.DAMAGED,
                "the key store was made by an unreleased version of Samdrift, whose vaults cannot be read any"
                " more: begin with new folders for database, objects, secrets and seals",
            ) from None
        except WrappingError:
            raise KeyStoreError(KeyFault.LOCKED, "the passphrase does not open the key store") from None

    def key(self, vault: str) -> bytes:
        lock = self._locked(vault).lock
        if lock.officer is None:
            return sealed(self._of_vault(vault), self._seals.read(vault, lock.seal), vault)
        key = self._officers.get((vault, lock))
        if key is None:
            raise KeyStoreError(KeyFault.LOCKED, "the vault waits for its organisation's officer")
        return key

    def new_lock(self, vault: str, officer: bytes | None = None) -> tuple[Lock, bytes]:
        stretching = None if officer is None else Stretching.new(self._officers_cost)
        lock = Lock(self._seals.new(vault), stretching)
        key = self._opening(vault, lock, officer or b"")
        if stretching is not None:
            self._officers[vault, lock] = key
        return lock, key

    def unlock(self, vault: str, passphrase: bytes) -> None:
        locked = self._locked(vault)
        if locked.lock.officer is None:
            return
        key = self._opening(vault, locked.lock, passphrase)
        try:
            locked.open(key)
        except WrappingError:
            raise KeyStoreError(KeyFault.LOCKED, "the passphrase is not the officer's") from None
        self._officers[vault, locked.lock] = key

    def settle(self, vault: str, lock: Lock) -> None:
        self._seals.destroy(vault, keep=lock.seal)
        self.forget(vault, but=lock)

    def destroy(self, vault: str) -> None:
        self._seals.destroy(vault)
        self.forget(vault)

    def forget(self, vault: str, *, but: Lock | None = None) -> None:
        for whose, lock in list(self._officers):
            if whose == vault and lock != but:
                del self._officers[whose, lock]

    def shares(self, vault: str) -> tuple[bytes, bytes]:
        return self._of_vault(vault), self._seals.read(vault, self._locked(vault).lock.seal)

    def put_back(self, vault: str, lock: Lock, root_share: bytes, seal: bytes) -> None:
        if root_share != self._of_vault(vault):
            raise KeyStoreError(KeyFault.MISMATCH, "the backup is of another key store")
        self._seals.put_back(vault, lock.seal, seal)

    def _of_vault(self, vault: str) -> bytes:
        return derive(self._root, f"samdrift vault {vault}")

    def _opening(self, vault: str, lock: Lock, passphrase: bytes) -> bytes:
        """With an officer, both the root key and the passphrase are needed: neither opens anything alone."""
        try:
            own = b"" if lock.officer is None else lock.officer.key(passphrase)
        except ValueError:
            raise KeyStoreError(KeyFault.DAMAGED, "the vault's secret is damaged") from None
        return sealed(self._of_vault(vault) + own, self._seals.read(vault, lock.seal), vault)

    def _locked(self, vault: str) -> LockedSecret:
        folder = current(self._folder / vault)
        try:
            return LockedSecret.read(confined.read(folder / SECRET) if folder else b"")
        except FileNotFoundError:
            raise KeyStoreError(KeyFault.MISSING, "the vault has no keys") from None
        except WrappingError:
            fault = KeyFault.MISSING if folder is None else KeyFault.DAMAGED
            raise KeyStoreError(fault, "the vault has no secret that can be read") from None


def _any_seals(folder: Path) -> bool:
    return folder.is_dir() and Seals(folder, new=False).any()


class HandedUnlocker:
    """Opens the vaults whose keys a supervisor has handed over, and can do no more.

    For a process that must not know the root key, the passphrase or another
    vault's secret: there is nothing here from which they could be had.
    """

    makes_keys = False

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)

    def hand(self, vault: str, key: bytes) -> None:
        """Take a key that came later: of a vault that an officer has unlocked meanwhile."""
        self._keys[vault] = key

    def key(self, vault: str) -> bytes:
        key = self._keys.get(vault)
        if key is None:
            raise KeyStoreError(KeyFault.LOCKED, "this process has no key for the vault")
        return key

    def forget(self, vault: str) -> None:
        self._keys.pop(vault, None)

    def new_lock(self, vault: str, officer: bytes | None = None) -> NoReturn:
        raise _only_the_installation()

    def unlock(self, vault: str, passphrase: bytes) -> NoReturn:
        raise _only_the_installation()

    def settle(self, vault: str, lock: Lock) -> NoReturn:
        raise _only_the_installation()

    def destroy(self, vault: str) -> NoReturn:
        raise _only_the_installation()

    def shares(self, vault: str) -> NoReturn:
        raise _only_the_installation()

    def put_back(self, vault: str, lock: Lock, root_share: bytes, seal: bytes) -> NoReturn:
        raise _only_the_installation()


def _only_the_installation() -> KeyStoreError:
    return KeyStoreError(KeyFault.LOCKED, "this process uses keys of its vaults, and makes or destroys none")
