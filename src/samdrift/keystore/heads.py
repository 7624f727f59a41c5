"""Heads of records that only grow, beside the vaults of the key store, where no backup has them.

A database that comes back from a backup, or from which a superuser deletes rows, is behind its head. The
vault seals what a head says: here it is bytes in a file. The folder is that of the last mark of a session key
(:mod:`samdrift.keystore.witness`), which the vault's own Unix user may write.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from samdrift.keystore.durablefiles import give_as, private_folder
from samdrift.keystore.keyfiles import KeyStoreAway

_MAX_BYTES = 1024


def read_head(folder: Path, record: str) -> bytes | None:
    """Return the sealed head of a record, ``None`` if there is none; follow no link and wait for nothing."""
    try:
        descriptor = os.open(_file(folder, record), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)


def move_head(folder: Path, record: str, sealed: bytes, moves: Callable[[bytes | None], bool]) -> None:
    """Replace the head of a record if ``moves`` says, of the present one, that it moves forward.

    One process decides at a time. The key store's own folder is not created if it is missing.
    """
    store = folder.parent.parent
    if not folder.is_dir() and not store.is_dir():
        raise KeyStoreAway(str(store))
    above = os.open(private_folder(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(above, fcntl.LOCK_EX)
        if moves(read_head(folder, record)):
            _replace(folder, record, sealed)
    finally:
        os.close(above)


def _replace(folder: Path, record: str, sealed: bytes) -> None:
    draft = _file(folder, f".{record}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, sealed)
        give_as(descriptor, folder)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(draft, _file(folder, record))


def _file(folder: Path, record: str) -> Path:
    return folder / f"{record}.head"
