"""Names of processes that hold locks on files, for processes that wait: command, process and time."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime


@contextlib.contextmanager
def signed(descriptor: int) -> Iterator[None]:
    """Write into a file that this process has locked which command holds it, unless the disk is full.

    Afterwards the file is emptied, since its next holder may not sign it and must not be mistaken for
    this process.
    """
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_self()).encode(), 0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)


def holder(descriptor: int) -> str:
    """Return a description of the process that holds a locked file, if that has signed it."""
    try:
        found = json.loads(os.pread(descriptor, 1000, 0))
        return f"{found['command']} (process {found['process']}, since {found['since']})"
    except (ValueError, KeyError, TypeError):
        return "another command"


def _self() -> dict[str, str]:
    """Return this command, by the words of its name alone, since arguments may name people."""
    words = []
    for each in sys.argv[1:3]:
        if not each.replace("-", "").isalpha() or each.startswith("-"):
            break
        words.append(each)
    return {
        "command": " ".join(["samdrift", *words]),
        "process": str(os.getpid()),
        "since": f"{datetime.now(UTC):%H:%M:%SZ}",
    }
