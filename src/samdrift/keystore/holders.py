"""Names of processes that hold locks on files, for those who wait: the command's words, process and time."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from datetime import UTC, datetime


def sign(descriptor: int) -> None:
    """Write into a file that this process has locked which command holds it; not where a disk is full."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_self()).encode(), 0)


def holder(descriptor: int) -> str:
    """Return who has signed a locked file last, in words."""
    try:
        found = json.loads(os.pread(descriptor, 1000, 0))
        return f"{found['command']} (process {found['process']}, since {found['since']})"
    except (ValueError, KeyError, TypeError):
        return "another command"


def _self() -> dict[str, str]:
    """This command by the words of its name alone: arguments may name persons."""
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
