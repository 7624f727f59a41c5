"""Unlockers of the vaults' secrets: for the whole installation, or for a process with a few keys.

An unlocker returns the key that opens a vault's secret, and nothing that leads to another vault's. If the
organisation's officer unlocks the vault, the key exists only after that, in memory alone, until the process
ends.
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
    """The interface of unlockers; every method raises ``KeyStoreError`` with the fault that it names."""

    makes_keys: bool
    """True if the process makes keys of its vaults; otherwise it only uses existing ones."""

    def key(self, vault: str) -> bytes:
        """Return the key that opens the vault's secret; ``LOCKED``, or ``MISSING`` without vault or seal."""

    def new_lock(self, vault: str, officer: bytes | None = None) -> tuple[Lock, bytes]:
        """Return a lock with a new seal for the vault, and the key that opens what is locked with it.

        ``officer`` is the passphrase of an officer, who has to unlock the vault from then on.
        """

    def unlock(self, vault: str, passphrase: bytes) -> None:
        """Accept the officer's passphrase for the vault; ``LOCKED`` if it is wrong."""

    def settle(self, vault: str, lock: Lock) -> None:
        """Destroy every seal of the vault except that of ``lock``."""

    def destroy(self, vault: str) -> None:
        """Destroy the vault's seals, so that nothing opens its secret again."""

    def forget(self, vault: str) -> None:
        """Remove from memory everything that opened the vault."""

    def shares(self, vault: str) -> tuple[bytes, bytes]:
        """Return the root key's share and the seal.

        They open the vault's secret, alone or together with its officer.
        """

    def put_back(self, vault: str, lock: Lock, root_share: bytes, seal: bytes) -> None:
        """Write a lost seal again; ``MISMATCH`` under another root key, ``ACTIVE`` if it is not lost."""


class RootUnlocker:
    """An unlocker of every vault of an installation; some need an officer's passphrase first."""

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
        """Open the root key in ``folder``, or make it if the folder is new and ``begin`` is true.

        ``LOCKED`` if the passphrase is wrong; ``MISSING`` if only the seals or only the store is there, since
        what is not mounted must not be made again. ``cost`` is for what is made here; what exists keeps its
        own.
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
                "there are seals of vaults but not the key store that they belong to: if that is lost for"
                " good, move the seals away before creating a new one",
            )
        self._folder = private_folder(folder)
        if not root.exists():
            write_new(root, new_root(passphrase, self._cost))
        try:
            self._root = open_root(root.read_bytes(), passphrase)
        except OlderFormat:
            raise KeyStoreError(
                KeyFault.DAMAGED,
                "the key store was made by an unreleased version of Samdrift, whose vaults can no longer"
                " be read: start with new folders for database, objects, secrets and seals",
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
            raise KeyStoreError(KeyFault.MISMATCH, "the backup belongs to another key store")
        self._seals.put_back(vault, lock.seal, seal)

    def _of_vault(self, vault: str) -> bytes:
        return derive(self._root, f"samdrift vault {vault}")

    def _opening(self, vault: str, lock: Lock, passphrase: bytes) -> bytes:
        """Return the key of a lock; with an officer, it takes both the root key and the passphrase."""
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
    """An unlocker of the vaults whose keys a supervisor has handed over, and of no others.

    It is for a process that must not know the root key, the passphrase or another vault's secret: none of
    them can be derived from what it has.
    """

    makes_keys = False

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)

    def hand(self, vault: str, key: bytes) -> None:
        """Add a key that was handed over later, of a vault that an officer has unlocked meanwhile."""
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
    return KeyStoreError(
        KeyFault.LOCKED, "this process only uses its vaults' keys: it cannot create or destroy any"
    )
