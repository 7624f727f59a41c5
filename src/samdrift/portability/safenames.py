"""Names of files from names that somebody else chose: pure.

An attachment has the name that its sender gave it. What it becomes is one name
that every file system takes, that leads nowhere, and that no other file in its
folder has, also where large and small letters are the same.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Final

_UNNAMED: Final = "bilaga"
_MOST_BYTES: Final = 120
_MOST_ENDING: Final = 16
_FORBIDDEN: Final = re.compile(r'[<>:"|?*]')
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)


def safe_name(original: str) -> str:
    """The last part of a name, without what a file system or a terminal would take for something else."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", original).rstrip("/\\ "))[-1]
    visible = "".join(each if each.isprintable() else "_" for each in last)
    name = _FORBIDDEN.sub("_", visible).rstrip(" .").lstrip(" .-~")
    if _DEVICE.match(name):
        name = f"_{name}"
    return _shortened(name or _UNNAMED, "")


class Names:
    """The names in one folder."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}

    def new(self, original: str) -> str:
        """A safe name that was not given before; the second of its kind is numbered 2."""
        name = chosen = safe_name(original)
        number = self._last.get(_alike(name), 1)
        while _alike(chosen) in self._taken:
            number += 1
            chosen = _shortened(name, f" ({number})")
        self._last[_alike(name)] = number
        self._taken.add(_alike(chosen))
        return chosen


def _alike(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _shortened(name: str, more: str) -> str:
    """``name`` with ``more`` before its ending, at most so many bytes."""
    ending = PurePosixPath(name).suffix
    if len(ending.encode()) > _MOST_ENDING:
        ending = ""
    room = _MOST_BYTES - len((more + ending).encode())
    stem = name.removesuffix(ending).encode()[:room].decode(errors="ignore").rstrip(" .")
    return f"{stem}{more}{ending}"
