"""A file or folder that somebody is given: whole and durable under its name, or not there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.config.errors import shown
from samdrift.keystore.durablefiles import sync_folder


@contextlib.contextmanager
def new_file(out: Path) -> Iterator[Path]:
    """Gives the file to write, beside ``out``, whose name it gets when the block ends without an error.

    It is one process's alone, and what a killed one left of it is written over.
    Whoever writes it makes its content durable. An existing ``out`` stays.
    """
    draft = out.with_name(f".{out.name}.part")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _lock(descriptor, out)
        try:
            if out.exists():
                raise FileExistsError
            yield draft
            os.link(draft, out)
        except FileExistsError:
            raise _there(out) from None
        finally:
            draft.unlink()
        sync_folder(out.parent)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """The same of a folder, for its owner alone. What is in it need not be made durable by who writes it."""
    if os.path.lexists(out):
        raise _there(out)
    draft = out.with_name(f".{out.name}.part")
    with contextlib.suppress(FileExistsError):
        draft.mkdir(mode=0o700)
    descriptor = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _lock(descriptor, out)
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise MoveError(MoveFault.TARGET, f"{shown(draft)}: is somebody else's")
        os.fchmod(descriptor, 0o700)
        try:
            _empty(draft)
            yield draft
            os.sync()
            if os.path.lexists(out):
                raise _there(out)
            draft.rename(out)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        sync_folder(out.parent)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, out: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MoveError(MoveFault.TARGET, f"{shown(out)}: is being written") from None


def _there(out: Path) -> MoveError:
    return MoveError(MoveFault.TARGET, f"{shown(out)}: is there already")


def _empty(folder: Path) -> None:
    """Nothing is left of what a killed one wrote."""
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
