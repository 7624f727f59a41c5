"""Between a vault's folder and a backup of its keys, both ways (:mod:`samdrift.vault.keys.backup`)."""

from __future__ import annotations

import re
from pathlib import Path

from samdrift.vault.files import private_folder, write_new
from samdrift.vault.keys import vaultfolder
from samdrift.vault.keys.backup import VaultBackup
from samdrift.vault.keys.files import KeyFault, KeyStoreError
from samdrift.vault.keys.unlocking import Unlocker
from samdrift.vault.keys.wrapping import Lock, LockedSecret, WrappingError, sealed

_NAME = re.compile(r"[a-z][a-z0-9-]*(\.[a-z]+)?")
_BESIDE = re.compile(r"(states|token)/[a-z][A-Za-z0-9.-]*")


def backed_up(vault_folder: Path, unlocker: Unlocker, folder: Path) -> VaultBackup:
    """What the vault with its files in ``folder`` can be restored from."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if _NAME.fullmatch(path.name)}
    names = {path: path.relative_to(vault_folder).as_posix() for path in vault_folder.glob("*/*")}
    beside = {name: path.read_bytes() for path, name in names.items() if _BESIDE.fullmatch(name)}
    return VaultBackup(vault_folder.name, *unlocker.shares(vault_folder.name), files, beside)


def restored(vault_folder: Path, unlocker: Unlocker, backup: VaultBackup, officer: bytes | None) -> None:
    """Bring a vault back, within :func:`~samdrift.vault.keys.vaultfolder.writing`.

    Where its files are there, and only its seal is lost, that one is written
    again and the files stay: they may be newer than the backup. Where they are
    lost too, all of it is put in their place, under a new lock of this store; or
    under its old one, where that is a token's.
    """
    there = vaultfolder.current(vault_folder)
    locked = _locked(backup.files.get(vaultfolder.SECRET, b""))
    if there is not None:
        lock = _locked((there / vaultfolder.SECRET).read_bytes()).lock
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
        if _BESIDE.fullmatch(name):
            private_folder((vault_folder / name).parent)
            write_new(vault_folder / name, data)
    with vaultfolder.replacing(vault_folder) as draft:
        for name, data in backup.files.items():
            if _NAME.fullmatch(name) and name != vaultfolder.SECRET:
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
