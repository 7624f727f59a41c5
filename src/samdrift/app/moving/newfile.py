"""A file that somebody is given: whole and durable under its name, or not there."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from samdrift.app.moving.errors import MoveError, MoveFault
from samdrift.app.output import shown
from samdrift.vault.files import sync_folder


@contextlib.contextmanager
def new_file(out: Path) -> Iterator[Path]:
    """Gives the file to write, beside ``out``, whose name it gets when the block ends without an error.

    It is one process's alone, and what a killed one left of it is written over.
    Whoever writes it makes its content durable. An existing ``out`` stays.
    """
    draft = out.with_name(f".{out.name}.part")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MoveError(MoveFault.TARGET, f"{shown(out)}: is being written") from None
        try:
            if out.exists():
                raise FileExistsError
            yield draft
            os.link(draft, out)
        except FileExistsError:
            raise MoveError(MoveFault.TARGET, f"{shown(out)}: is there already") from None
        finally:
            draft.unlink()
        sync_folder(out.parent)
    finally:
        os.close(descriptor)
