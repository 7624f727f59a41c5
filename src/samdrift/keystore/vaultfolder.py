"""One vault's folder in the software key store: its current files, and the lock for writing.

The files are in a folder with a number. Files never change once written, so their names are the folder's
state. To wrap all of them again, new ones are written in a folder beside it, which is then named with the
next number, in one step: a reader finds all old or all new files, and files that a crash leaves behind do not
count.

Writers take turns, over all processes, by a lock in a folder of the key store that only its owner can open,
so that a process that may read a vault's folder cannot keep the operator waiting. Readers take no lock. All
access goes through :mod:`samdrift.keystore.confined`.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from samdrift.keystore import confined
from samdrift.keystore.confined import BESIDE, DRAFT, Mark
from samdrift.keystore.durablefiles import private_folder
from samdrift.keystore.keyfiles import KeyFault, KeyFile, KeyName, KeyStoreAway, KeyStoreError
from samdrift.keystore.witness import forget_witness

SECRET = "secret"  # noqa: S105
_KEY_FILE = re.compile(r"([a-z-]+)-([0-9]{4,9})\.(key|pem)")
_LOCKS = ".locks"
_LOGGER = logging.getLogger("samdrift")

T = TypeVar("T")


def current(folder: Path) -> Path | None:
    """Return the folder of the current files; ``None`` if the vault has none.

    Links are ignored: an attacker could make one lead to another vault.
    """
    found = confined.numbered(folder)
    return folder / max(found, key=int) if found else None


class Values:
    """Values that were read from the folders of one vault since they last changed."""

    def __init__(self) -> None:
        self._read: dict[Hashable, Any] = {}

    def of(self, what: Hashable, read: Callable[[], T]) -> T:
        """Return the result of ``read``, which is called once for each ``what``."""
        if what not in self._read:
            self._read[what] = read()
        found: T = self._read[what]
        return found


class Unchanged:
    """Cache of values read from vaults' folders, each valid until an entry of its folders comes or goes.

    Keys, their states and the lock are known by the names of files that never change once written. So
    looking up what a message needs takes one system call for each folder, instead of a dozen for each of
    its levels.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Mark, Values]] = {}

    def now(self, folder: Path) -> Values:
        """Return the known values of the vault with that folder, or empty ones if it has changed."""
        known = self._known.get(folder)
        if known is not None:
            mark, values = known
            if confined.mark(folder, mark) == mark:
                return values
            self._known.pop(folder, None)
        counts = current(folder)
        # Taken before anything is read, so that a change meanwhile is noticed the next time.
        found = confined.mark(folder, ("", *BESIDE) if counts is None else ("", counts.name, *BESIDE))
        values = Values()
        if found is not None:
            self._known[folder] = found, values
        return values

    def forget(self, folder: Path) -> None:
        """Remove everything about a vault from memory."""
        self._known.pop(folder, None)


def key_files(folder: Path, name: KeyName) -> list[KeyFile]:
    """List the key files of one name, the newest first; an installed one hides the waiting one."""
    found: dict[int, KeyFile] = {}
    for each in confined.names(folder):
        match = _KEY_FILE.fullmatch(each)
        if match and match[1] == name:
            file = KeyFile(name, int(match[2]), match[3] == "pem", folder / each)
            if file.installed or file.number not in found:
                found[file.number] = file
    return [found[number] for number in sorted(found, reverse=True)]


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Exclude other writers from the vault's folder, which is created if it is missing.

    The key store's own folder is not created: when a store that was not mounted came back, it would hide
    what was written meanwhile.
    """
    if not folder.parent.is_dir():
        raise KeyStoreAway(str(folder.parent))
    descriptor = _locked(folder)
    try:
        confined.make(folder)
        _tidy(folder)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield a new folder to fill, within :func:`writing`; it becomes current when the block ends."""
    former = current(folder)
    draft = folder / DRAFT
    confined.make(draft)
    yield draft
    confined.rename(draft, f"{1 if former is None else int(former.name) + 1:04d}")
    if former is not None:
        _drop(former)


def destroy(folder: Path) -> None:
    """Remove a vault's folder and everything in it, within :func:`writing`."""
    confined.remove_folder(folder)
    forget_witness(folder.parent, folder.name)
    with contextlib.suppress(FileNotFoundError):
        (folder.parent / _LOCKS / folder.name).unlink()


def _locked(folder: Path) -> int:
    """Return a descriptor that holds the lock; ``MISSING`` if the vault was destroyed while waiting."""
    place = private_folder(folder.parent / _LOCKS) / folder.name
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not _still(place, descriptor):
            raise KeyStoreError(KeyFault.MISSING, "the vault's keys have just been destroyed")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _still(place: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), place.lstat())
    except FileNotFoundError:
        return False


def _tidy(folder: Path) -> None:
    """Remove links, which the key store never makes, and then folders that are incomplete or obsolete."""
    for name in confined.links(folder):
        _LOGGER.error("ALARM: a link was found in a vault's folder of the key store and removed")
        confined.remove(folder / name)
    counts = current(folder)
    for name in (*confined.numbered(folder), DRAFT):
        if counts is None or name != counts.name:
            _drop(folder / name)


def _drop(folder: Path) -> None:
    """Remove a folder, the secret first; of a link only the link itself, whenever it was put there."""
    with contextlib.suppress(KeyStoreError):
        confined.remove(folder / SECRET)
    confined.remove_folder(folder)
