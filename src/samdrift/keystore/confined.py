"""All access to the files below a vault's folder in the key store.

The operator's commands and the supervisor read and write there as root, and a vault's folder may once have
belonged to a process that an attacker controls. So every access is made through a descriptor, level by level,
and follows no link at any level. A file is read only if it is a regular file with one name, belongs to the
owner of the key store, has a name that the key store itself makes, and is no larger than such a file can be.
Anything else is :attr:`KeyFault.TAMPERED`, a fault of that vault alone and an alarm for the operator.

A key store is ``store/vault/folder/file``, where the folder is numbered, a draft, or one of
:data:`BESIDE`. Files that root makes belong to the owner of the key store. If the vault's folder is
open to a group, that of the vault's own Unix user, so are the files: that user may read but not write
them.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from samdrift.keystore.durablefiles import remove_tree, sync_descriptor
from samdrift.keystore.keyfiles import KEY_NAMES, KeyFault, KeyStoreError

DRAFT = "draft"
STATES = "states"
TOKEN = "token"  # noqa: S105
BESIDE = (STATES, TOKEN)
"""Folders next to the numbered one: decisions about keys, and references to keys in an HSM."""
MAX_BYTES = 256 << 10
"""Maximum size of a file that is read; a key with a long chain of certificates has a tenth of it."""
MAX_NAMES = 10_000
"""Maximum number of entries in one folder."""
_SETTLED = 60 * 10**9
"""Nanoseconds since a folder's last change after which a further one is sure to alter its time."""

_KEY = rf"(?:{KEY_NAMES})-[0-9]{{4,9}}"
_NUMBERED = re.compile(rf"[0-9]{{4,9}}|{DRAFT}")
_NAMES = {
    STATES: re.compile(rf"{_KEY}\.(?:from-[0-9]{{8}}T[0-9]{{6}}Z|revoked|compromised)"),
    TOKEN: re.compile(rf"{_KEY}\.(?:key|pem|retired)|log-key-[0-9]{{4}}"),
}
_IN_NUMBERED = re.compile(
    rf"secret|data-key-[0-9]{{4}}|password-[0-9]{{4}}|log-key-[0-9]{{4}}|token-[0-9]{{8}}\.key|{_KEY}\.(?:key|pem)"
)
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_made_here(path: Path) -> bool:
    """Return whether the key store itself makes files of that name in such a folder."""
    folder = path.parent.name
    names = _NAMES.get(folder) or (_IN_NUMBERED if _NUMBERED.fullmatch(folder) else None)
    return names is not None and names.fullmatch(path.name) is not None


def names(folder: Path) -> list[str]:
    """List the files in ``folder`` that the key store makes; empty if the folder is missing.

    ``TAMPERED`` if one of them is not a regular file, or if there are too many entries.
    """
    found = []
    for entry in _entries(folder):
        if is_made_here(folder / entry.name):
            if not entry.is_file(follow_symlinks=False):
                raise _tampered("is not a regular file")
            found.append(entry.name)
    return found


def numbered(vault_folder: Path) -> list[str]:
    """List the numbered folders of a vault, without links."""
    return [
        entry.name
        for entry in _entries(vault_folder)
        if _NUMBERED.fullmatch(entry.name) and entry.name != DRAFT and entry.is_dir(follow_symlinks=False)
    ]


Mark = Mapping[str, tuple[int, ...]]
"""The state of a vault's folder, under the empty name, and of folders in it, by name."""


def mark(vault_folder: Path, folders: Iterable[str]) -> Mark | None:
    """Return a value that changes when an entry of the vault's folder, or of folders in it, comes or goes.

    An inner folder that is missing is left out, and need not be checked again: it cannot appear without a
    change of the vault's own folder. Returns ``None`` if the vault's folder is missing, if one of the
    folders is a link, or if one changed so recently that another change right after it might not show:
    the system's clock has ticks, and that of a file server may be wrong by seconds.
    """
    vault, found = str(vault_folder), dict[str, tuple[int, ...]]()
    for name in folders:
        try:
            one = os.stat(f"{vault}/{name}" if name else vault, follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        if not stat.S_ISDIR(one.st_mode) or time.time_ns() - one.st_ctime_ns < _SETTLED:
            return None
        found[name] = (one.st_dev, one.st_ino, one.st_uid, one.st_mode, one.st_ctime_ns)
    return found if "" in found else None


def links(vault_folder: Path) -> list[str]:
    """List the links directly in a vault's folder, where the key store makes none."""
    return [entry.name for entry in _entries(vault_folder) if entry.is_symlink()]


def exists(folder: Path) -> bool:
    """Return whether ``folder`` exists and is a folder."""
    try:
        with _opened(folder):
            return True
    except FileNotFoundError:
        return False


def read(path: Path) -> bytes:
    """Return the content of a file; :class:`FileNotFoundError` if it is missing."""
    if not is_made_here(path):
        raise KeyStoreError(KeyFault.BAD_NAME, "not the name of a file of the key store")
    with _opened(path.parent) as (folder, owner):
        try:
            descriptor = os.open(path.name, _READ, dir_fd=folder)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _tampered("cannot be opened without following a link") from error
        try:
            _require_own(os.fstat(descriptor), owner)
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise _tampered("is too large")
    return data


def write_new(path: Path, data: bytes) -> bool:
    """Write a file durably, whole or not at all; return false, writing nothing, if it already exists.

    This is called within :func:`~samdrift.keystore.vaultfolder.writing`, so that no other process writes
    meanwhile.
    """
    if not is_made_here(path) or len(data) > MAX_BYTES:
        raise KeyStoreError(KeyFault.BAD_NAME, "not a file of the key store")
    with _opened(path.parent) as (folder, _):
        if _there(path.name, folder):
            return False
        draft = f".{path.name}.{secrets.token_hex(8)}"
        descriptor = os.open(
            draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder
        )
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                around = os.fstat(folder)
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), around.st_uid, around.st_gid)
                os.fchmod(file.fileno(), 0o600 | around.st_mode & 0o040)
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            raise
        sync_descriptor(folder)
    return True


def make(folder: Path) -> None:
    """Create ``folder`` in a vault's folder, or the vault's folder in the store, if it is missing."""
    if exists(folder):
        return
    if _levels(folder)[1:]:
        make(folder.parent)
    parent = _opened(folder.parent) if _levels(folder)[1:] else _opened_store(folder.parent)
    with parent as (above, _):
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder.name, 0o700, dir_fd=above)
        with _child(folder.name, above) as made:
            around = os.fstat(above)
            if os.geteuid() == 0:
                os.chown(".", around.st_uid, around.st_gid, dir_fd=made)
            os.chmod(".", 0o700 | around.st_mode & 0o050, dir_fd=made)
        sync_descriptor(above)


def remove(path: Path) -> None:
    """Remove a file, or a link itself, durably; do nothing if it is already gone."""
    with contextlib.suppress(FileNotFoundError), _opened(path.parent) as (folder, _):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path.name, dir_fd=folder)
        sync_descriptor(folder)


def rename(path: Path, name: str) -> None:
    """Rename a file or folder within its parent folder, durably."""
    with _opened(path.parent) as (folder, _):
        os.rename(path.name, name, src_dir_fd=folder, dst_dir_fd=folder)
        sync_descriptor(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder with everything in it, however deep, durably; of a link, only the link itself."""
    above = _opened(folder.parent) if _levels(folder)[1:] else _opened_store(folder.parent)
    with above as (parent, _):
        remove_tree(folder.name, parent)
        sync_descriptor(parent)


def give_to_group(vault_folder: Path, user: int, group: int) -> None:
    """Give a vault's folder, with the key store's files in it, to ``user``, readable by ``group``.

    The folder itself comes last: once it has changed hands, everything has. ``TAMPERED`` if it contains a
    link or anything else that the key store does not make.
    """
    with _opened_store(vault_folder.parent) as (store, _), _child(vault_folder.name, store) as vault:
        for inner in _inner(vault_folder, vault):
            with _child(inner, vault) as folder:
                for entry in _scanned(folder):
                    if is_made_here(vault_folder / inner / entry.name):
                        _give_file(entry.name, folder, user, group)
                _give(folder, user, group, 0o750)
        _give(vault, user, group, 0o750)


def _inner(vault_folder: Path, vault: int) -> list[str]:
    found = [entry.name for entry in _scanned(vault)]
    return [name for name in found if len(_levels(vault_folder / name)) > 1]


def _give_file(name: str, folder: int, user: int, group: int) -> None:
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        raise _tampered("cannot be opened without following a link") from error
    try:
        found = os.fstat(descriptor)
        _require_own(found, found.st_uid)
        os.fchown(descriptor, user, group)
        os.fchmod(descriptor, 0o640)
    finally:
        os.close(descriptor)


def _give(folder: int, user: int, group: int, mode: int) -> None:
    """Change owner and mode of a folder through ``.``, since its descriptor may only pass through."""
    os.chown(".", user, group, dir_fd=folder)
    os.chmod(".", mode, dir_fd=folder)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder; empty if it is missing, or if there is a link in its place."""
    try:
        with _opened(folder) as (descriptor, _):
            return _scanned(descriptor)
    except FileNotFoundError:
        return []


def _scanned(folder: int) -> list[os.DirEntry[str]]:
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        with os.scandir(readable) as found:
            entries: list[os.DirEntry[str]] = []
            for entry in found:
                if len(entries) == MAX_NAMES:
                    raise _tampered("is in a folder with too many entries")
                entry.is_symlink()  # Caches the file type while the descriptor is still open.
                entries.append(entry)
            return entries
    finally:
        os.close(readable)


def _levels(folder: Path) -> tuple[str, ...]:
    """Return the names of the vault's folder and, if there is one, the folder in it, below the store."""
    inner = folder.name in BESIDE or _NUMBERED.fullmatch(folder.name)
    return (folder.parent.name, folder.name) if inner else (folder.name,)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[tuple[int, int]]:
    """Open a folder level by level below the store; yield its descriptor and its required owner."""
    levels = _levels(folder)
    with (
        _opened_store(folder.parents[len(levels) - 1]) as (descriptor, owner),
        contextlib.ExitStack() as stack,
    ):
        for name in levels:
            descriptor = stack.enter_context(_child(name, descriptor))
            if os.fstat(descriptor).st_uid != owner:
                raise _tampered("belongs to another user")
        yield descriptor, owner


@contextlib.contextmanager
def _opened_store(store: Path) -> Iterator[tuple[int, int]]:
    """Open the store's own folder, as configured; links of the operator's to it are followed."""
    descriptor = os.open(store, _PASS)
    try:
        yield descriptor, os.fstat(descriptor).st_uid
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _child(name: str, above: int) -> Iterator[int]:
    try:
        descriptor = os.open(name, _PASS | os.O_NOFOLLOW, dir_fd=above)
    except (FileNotFoundError, PermissionError):
        raise
    except OSError as error:
        raise _tampered("is not a folder") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _require_own(found: os.stat_result, owner: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _tampered("is not a regular file")
    if found.st_nlink != 1:
        raise _tampered("has more than one name")
    if found.st_uid != owner:
        raise _tampered("belongs to another user")
    if found.st_size > MAX_BYTES:
        raise _tampered("is too large")


def _tampered(what: str) -> KeyStoreError:
    return KeyStoreError(
        KeyFault.TAMPERED,
        f"a file or folder below a vault's folder in the key store {what}: the key store did not create"
        " it; find out who did and remove it before the vault is opened again",
    )
