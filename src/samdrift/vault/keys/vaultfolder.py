"""One vault's folder in the software key store: which of its files count, and who may write.

The files lie in a folder with a number. Files never change once written, so the
names in it are its state. To wrap all of them anew, the new ones are written
beside it and named with the next number, in one step: a reader finds all old or
all new, and what a crash leaves is either not there yet or not there any more.

Writers take turns, over all processes, by a lock on the vault's folder. Readers
take none.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from samdrift.vault.files import give_as, private_folder, remove, sync_folder
from samdrift.vault.keys.files import KeyFault, KeyStoreError

SECRET = "secret"  # noqa: S105
_NUMBERED = re.compile(r"[0-9]{4,9}")
_DRAFT = "draft"


def current(folder: Path) -> Path | None:
    """The folder of the files that count; ``None`` when the vault has none.

    A link is none of them: the vault's own Unix user could have it lead to another vault.
    """
    try:
        with os.scandir(folder) as found:
            numbers = [
                one.name
                for one in found
                if _NUMBERED.fullmatch(one.name) and one.is_dir(follow_symlinks=False)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return None
    return folder / max(numbers, key=int) if numbers else None


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """While no other process writes in the vault's folder, which is made when it is missing."""
    descriptor = _locked(private_folder(folder))
    try:
        _tidy(folder)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder to fill, within :func:`writing`; when the block ends it is the one that counts."""
    former = current(folder)
    draft = folder / _DRAFT
    draft.mkdir(mode=0o700)
    give_as(draft, folder)
    yield draft
    sync_folder(draft)
    draft.rename(folder / f"{1 if former is None else int(former.name) + 1:04d}")
    sync_folder(folder)
    if former is not None:
        _drop(former)


def _locked(folder: Path) -> int:
    """A descriptor that holds the lock. The folder may go while its turn is waited for."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise KeyStoreError(KeyFault.MISSING, "the vault's keys have just been destroyed") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not folder.is_dir() or not os.path.samestat(os.fstat(descriptor), folder.stat()):
            raise KeyStoreError(KeyFault.MISSING, "the vault's keys have just been destroyed")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _tidy(folder: Path) -> None:
    """Remove what a crash left half written, or written anew already; links first, which nobody makes here.

    The folder may belong to an organisation's own process, and who writes in it now be root: a link
    that such a process had put there would lead to another vault's files.
    """
    for each in folder.iterdir():
        if each.is_symlink():
            remove(each)
    counts = current(folder)
    for each in folder.iterdir():
        if each.name == _DRAFT or (_NUMBERED.fullmatch(each.name) and each != counts):
            _drop(each)


def _drop(folder: Path) -> None:
    """Remove it, the secret first; of a link the link alone, whenever it was put there."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except NotADirectoryError:
        remove(folder)
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SECRET, dir_fd=descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    shutil.rmtree(folder)
