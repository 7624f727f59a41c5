"""Whether an environment holds what a lock file names, told from files alone.

Stands before every command, so it is quick and imports next to nothing.
"""

from __future__ import annotations

import os

UNFINISHED = "unfinished"
"""In the environment's folder while something in it is being changed."""


def python_of(folder: str) -> str:
    """The interpreter of the environment in ``folder``."""
    return os.path.join(folder, "bin", "python")


def stamp(folder: str, lock: str) -> str:
    """Return the place of the copy of a lock, which is there once everything that it names is installed."""
    return os.path.join(folder, "installed-" + os.path.basename(lock))


def holds(folder: str, lock: str) -> bool:
    """Return whether the environment in ``folder`` works and wholly holds ``lock``."""
    try:
        with open(stamp(folder, lock), "rb") as installed, open(lock, "rb") as wanted:
            same = installed.read() == wanted.read()
    except OSError:
        return False
    unfinished = os.path.exists(os.path.join(folder, UNFINISHED))
    return same and not unfinished and os.access(python_of(folder), os.X_OK)
