"""Durable files for secrets: complete or absent, readable by the owner alone.

A file written here is complete and on disk when the call returns, or it does not exist: a crash or a
full disk never leaves half a key behind.

What root makes belongs to the owner of the folder around it, so that an organisation's process that
runs as a Unix user of its own can read what the operator puts there.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_NOT_THE_OWNERS = 0o077


class NotPrivate(Exception):
    """A file with a secret that users other than its owner can read or write."""


def read_private(file: Path) -> bytes:
    """Read a file of its owner alone; :class:`NotPrivate` if group or others may read or write it.

    This is checked on the open file, so that it cannot be exchanged in between.
    """
    with file.open("rb") as opened:
        if os.fstat(opened.fileno()).st_mode & _NOT_THE_OWNERS:
            raise NotPrivate
        return opened.read()


def private_folder(folder: Path) -> Path:
    """Create ``folder`` with mode 0700, durably, if it is missing."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        give_as(folder, folder.parent)
        sync_folder(folder.parent)
    return folder


def write_new(path: Path, data: bytes) -> bool:
    """Write ``path`` with mode 0600; return false, writing nothing, if it already exists.

    Two writers may race: one wins, and the loser reads what the winner wrote.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            give_as(descriptor, path.parent)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_folder(path.parent)
    return True


def give_as(made: Path | int, folder: Path) -> None:
    """Give what root made in ``folder`` to the owner of the folder.

    That owner may have put a link in its place meanwhile, which is not followed.
    """
    if os.geteuid() == 0:
        around = folder.stat()
        os.chown(made, around.st_uid, around.st_gid, follow_symlinks=isinstance(made, int))


def let_through(path: Path) -> None:
    """Let other users pass through the folders above ``path``, which stay unreadable to them."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def remove(path: Path) -> None:
    """Remove ``path`` durably; do nothing if it is already gone."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_descriptor(folder: int) -> None:
    """Make the names in an open folder durable, even if it was opened only for passing through."""
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(name: str, above: int) -> None:
    """Remove a folder in the open folder ``above``, however deep; of a link or file, only that.

    Its owner may have nested folders by the thousand: each is moved up before it is emptied, so that
    neither descriptors nor the stack grow with the depth.
    """
    try:
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    except FileNotFoundError:
        return
    except OSError:
        os.unlink(name, dir_fd=above)
        return
    try:
        while entries := os.listdir(folder):
            for entry in entries:
                _flatten(entry, folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=above)


def _flatten(name: str, folder: int) -> None:
    """Remove an entry; from a folder, first move the folders in it up to the folder's own level."""
    try:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError:
        os.unlink(name, dir_fd=folder)
        return
    try:
        for entry in os.listdir(inner):
            try:
                os.unlink(entry, dir_fd=inner)
            except (IsADirectoryError, PermissionError):
                os.rename(entry, secrets.token_hex(16), src_dir_fd=inner, dst_dir_fd=folder)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=folder)
