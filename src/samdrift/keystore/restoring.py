"""Between a vault's folder and a backup of its keys, both ways (:mod:`samdrift.keystore.backup`)."""

from __future__ import annotations

from pathlib import Path

from samdrift.keystore import confined, vaultfolder
from samdrift.keystore.backup import VaultBackup
from samdrift.keystore.confined import BESIDE, is_made_here, write_new
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.unlocking import Unlocker
from samdrift.keystore.wrapping import Lock, LockedSecret, WrappingError, sealed


def backed_up(vault_folder: Path, unlocker: Unlocker, folder: Path) -> VaultBackup:
    """Return the backup of a vault with its files in ``folder``."""
    files = {name: confined.read(folder / name) for name in confined.names(folder)}
    beside = {
        f"{inner}/{name}": confined.read(vault_folder / inner / name)
        for inner in BESIDE
        for name in confined.names(vault_folder / inner)
    }
    return VaultBackup(vault_folder.name, *unlocker.shares(vault_folder.name), files, beside)


def restored(vault_folder: Path, unlocker: Unlocker, backup: VaultBackup, officer: bytes | None) -> None:
    """Bring a vault back, within :func:`~samdrift.keystore.vaultfolder.writing`.

    Where its files are there, and only its seal is lost, that one is written
    again and the files stay: they may be newer than the backup. Where they are
    lost too, all of it is put in their place, under a new lock of this store; or
    under its old one, where that is a token's.
    """
    there = vaultfolder.current(vault_folder)
    locked = _locked(backup.files.get(vaultfolder.SECRET, b""))
    if there is not None:
        lock = _locked(confined.read(there / vaultfolder.SECRET)).lock
        if lock != locked.lock:
            text = "the vault has keys here that were locked anew since the backup was made"
            raise KeyStoreError(KeyFault.MISMATCH, text)
        unlocker.put_back(backup.vault, lock, backup.root_share, backup.seal)
        return
    if locked.lock.token:
        unlocker.put_back(backup.vault, locked.lock, backup.root_share, backup.seal)
        _write(vault_folder, backup, locked)
        return
    secret = _opened(locked, backup, officer)
    lock, key = unlocker.new_lock(backup.vault, officer if locked.lock.officer else None)
    _write(vault_folder, backup, LockedSecret.new(secret, lock, key))
    unlocker.settle(backup.vault, lock)


def _write(vault_folder: Path, backup: VaultBackup, locked: LockedSecret) -> None:
    for name, data in backup.beside.items():
        place = vault_folder / name
        if place.parent.name in BESIDE and place.parent.parent == vault_folder and is_made_here(place):
            confined.make(place.parent)
            write_new(place, data)
    with vaultfolder.replacing(vault_folder) as draft:
        for name, data in backup.files.items():
            if is_made_here(draft / name) and (draft / name).parent == draft and name != vaultfolder.SECRET:
                write_new(draft / name, data)
        write_new(draft / vaultfolder.SECRET, locked.file())


def _opened(locked: LockedSecret, backup: VaultBackup, officer: bytes | None) -> bytes:
    """The vault's secret; ``LOCKED`` without its officer, where there is one."""
    own = _of_officer(locked.lock, officer)
    try:
        return locked.open(sealed(backup.root_share + own, backup.seal, backup.vault))
    except WrappingError:
        fault = KeyFault.LOCKED if locked.lock.officer else KeyFault.DAMAGED
        raise KeyStoreError(
            fault, "the vault's secret does not open: is it the officer's passphrase?"
        ) from None


def _of_officer(lock: Lock, officer: bytes | None) -> bytes:
    if lock.officer is None:
        return b""
    if officer is None:
        raise KeyStoreError(KeyFault.LOCKED, "the vault opens with its organisation's officer only")
    return lock.officer.key(officer)


def _locked(file: bytes) -> LockedSecret:
    try:
        return LockedSecret.read(file)
    except WrappingError:
        raise KeyStoreError(KeyFault.DAMAGED, "a vault's secret is damaged") from None
