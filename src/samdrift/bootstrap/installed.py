"""A check, from files alone, that an environment holds everything in a lock file.

It runs before every command, so it is quick and imports very little.
"""

from __future__ import annotations

import os

UNFINISHED = "unfinished"
"""File in the environment's folder that exists while something in it is being changed."""


def python_of(folder: str) -> str:
    """Return the interpreter of the environment in ``folder``."""
    return os.path.join(folder, "bin", "python")


def stamp(folder: str, lock: str) -> str:
    """Return the path of the copy of a lock file that is written once all its packages are installed."""
    return os.path.join(folder, "installed-" + os.path.basename(lock))


def holds(folder: str, lock: str) -> bool:
    """Return whether the environment in ``folder`` works and holds everything in ``lock``."""
    try:
        with open(stamp(folder, lock), "rb") as installed, open(lock, "rb") as wanted:
            same = installed.read() == wanted.read()
    except OSError:
        return False
    unfinished = os.path.exists(os.path.join(folder, UNFINISHED))
    return same and not unfinished and os.access(python_of(folder), os.X_OK)
