"""The last mark of a session key, beside the vaults of the key store, where no backup has it.

A database that comes back from a backup does not have this mark, in whatever way it came back: restored from
a dump, from files or to a point in time, or replaced by a replica that had not caught up. So a witness
reveals that marks are lost, without asking the database what happened to it. It is written after each mark is
durable, in one step and without waiting for the disk: if a crash loses the latest one, an older witness
remains, which is enough.

It is in a folder of its own, which the vault's own Unix user, if there is one, may write, so that this user
writes nothing among the keys. The file is read as a fixed number of bytes, by a descriptor that follows no
link and does not block.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from samdrift.keystore.durablefiles import give_as, private_folder, remove_tree
from samdrift.keystore.keyfiles import KeyStoreAway

MARKS = ".marks"
"""Folder in the key store, with one folder for each vault."""
_FILE = "last-mark"
MARK_BYTES = 32
"""Length of the mark of a session key."""
_TIME_BYTES = 8
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Witness:
    """A mark that the vault's database had, and its time."""

    mark: bytes
    at: datetime


def marks_folder(store: Path, vault: str) -> Path:
    """Return the folder in which the witness of a vault is kept, for the vault's own user alone."""
    return store / MARKS / vault


def forget_witness(store: Path, vault: str) -> None:
    """Remove the folder of a vault's witness, including anything that its user put there."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(store / MARKS, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            remove_tree(vault, descriptor)
        finally:
            os.close(descriptor)


def read_witness(folder: Path) -> Witness | None:
    """Return the witness of a vault; ``None`` if there is no readable one."""
    try:
        descriptor = os.open(folder / _FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        data = os.read(descriptor, MARK_BYTES + _TIME_BYTES)
    finally:
        os.close(descriptor)
    if len(data) < MARK_BYTES + _TIME_BYTES:
        return None
    at = int.from_bytes(data[MARK_BYTES:])
    with contextlib.suppress(OverflowError, ValueError, OSError):
        return Witness(data[:MARK_BYTES], datetime.fromtimestamp(at / _MICROSECONDS, UTC))
    return None


def write_witness(folder: Path, witness: Witness) -> None:
    """Replace the witness of a vault.

    The key store's own folder is not created if it is missing.
    """
    store = folder.parent.parent
    if not folder.is_dir() and not store.is_dir():
        raise KeyStoreAway(str(store))
    at = int(witness.at.timestamp() * _MICROSECONDS)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(private_folder(folder) / _FILE, flags, 0o600)
    try:
        give_as(descriptor, folder)
        os.pwrite(descriptor, witness.mark + at.to_bytes(_TIME_BYTES), 0)
    finally:
        os.close(descriptor)
