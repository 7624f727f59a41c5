"""Seals: a few random bytes for each vault, in a folder that no backup of the installation contains.

A vault's keys open only with its seal, in addition to everything else. A backup of database, objects
and key store is kept for months and cannot be changed afterwards. A seal is in one place only, and is
destroyed there when its vault is closed. The vault is then unreadable in the backup too, even with
every passphrase.

A seal is overwritten before it is removed. A file system promises no more than that: a disk of flash memory,
or a file system that copies on write or keeps snapshots, may hold the former bytes for a while. An operator
who has to be sure keeps the folder on a medium that is erased as a whole or encrypted under a key of its own.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from nacl.utils import random

from samdrift.keystore.durablefiles import private_folder, remove, write_new
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError

SEAL_BYTES = 32
_SEAL = re.compile(r"([a-z0-9_-]+)\.([1-9][0-9]{0,8})")


class Seals:
    """The seals in ``folder``: files named by vault and number."""

    def __init__(self, folder: Path, *, new: bool) -> None:
        """Open the folder; it is created if ``new``, and must otherwise exist (``MISSING``).

        An empty folder in place of one that is not mounted would look as if every vault had been destroyed.
        """
        self._folder = private_folder(folder) if new else folder
        if not folder.is_dir():
            raise KeyStoreError(KeyFault.MISSING, "the folder of the seals does not exist")

    def new(self, vault: str) -> int:
        """Make another seal for a vault, durably, and return its number."""
        number = max(self._numbers(vault), default=0) + 1
        while not write_new(self._path(vault, number), random(SEAL_BYTES)):
            number += 1
        return number

    def any(self) -> bool:
        """Return whether there are any seals, of any vault."""
        return any(map(_SEAL.fullmatch, os.listdir(self._folder)))

    def read(self, vault: str, number: int) -> bytes:
        """Return the seal; ``MISSING`` if it is not there, which is permanent if it was destroyed."""
        try:
            seal = self._path(vault, number).read_bytes()
        except FileNotFoundError:
            raise KeyStoreError(
                KeyFault.MISSING,
                "a vault's seal is missing: it was destroyed, or this is another installation's folder",
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
        """Overwrite and remove the seals of a vault, durably, except the one to keep.

        This includes drafts that a crash left behind, which may be that very seal under another name.
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
    """Overwrite a file in place and remove it; do nothing if it is already gone."""
    try:
        with path.open("r+b", buffering=0) as file:
            file.write(random(max(path.stat().st_size, SEAL_BYTES)))
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    remove(path)
