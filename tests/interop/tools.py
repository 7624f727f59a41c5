"""What peers are built and run with, and whether this machine has it."""

from __future__ import annotations

import re
import shutil
import subprocess


class Unavailable(Exception):
    """This machine lacks what the peer needs; the text says what."""


def require(program: str, name: str) -> None:
    """:class:`Unavailable` when there is no such program; ``name`` is what people call it."""
    if shutil.which(program) is None:
        raise Unavailable(f"no {name} on this machine")


def require_version(program: str, name: str, ask: str, answer: str, oldest: int) -> None:
    """As :func:`require`, also for one that is too old: ``answer`` finds its number."""
    require(program, name)
    said = subprocess.run([program, ask], capture_output=True, text=True)
    version = re.search(answer, said.stdout + said.stderr)
    if version is None or int(version[1]) < oldest:
        raise Unavailable(f"no {name} {oldest} or newer on this machine")
