"""Unlockers of the vaults' secrets: for the whole installation, or for a process with a few keys.

An unlocker gives the key that opens a vault's secret, and nothing that leads to
another vault's. The key of a vault that its organisation's officer unlocks is
there only after that, in memory alone, until the process ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, Protocol

from samdrift.keystore import confined
from samdrift.keystore.durablefiles import private_folder, write_new
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.seals import Seals
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

ROOT = "root"


class Unlocker(Protocol):
    """Every method raises ``KeyStoreError``, with the fault that it names."""

    makes_keys: bool
    """True when the process makes keys of its vaults; otherwise it only uses existing ones."""

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
        self._folder = private_folder(folder)
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
