"""Values that are built from files, and rebuilt without a restart when the files change.

An operator replaces certificates in steps, and a file may be read when it is half written. So unusable files
change nothing: the previous value stays in use until the files are consistent again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

A_SECOND = 1.0
"""Seconds between two checks of files whose value is needed for every message, sometimes a dozen times."""

_LOGGER = logging.getLogger("samdrift")


class Followed(Generic[T]):
    """The value built from the current files."""

    def __init__(
        self, name: str, build: Callable[[], T], state: Callable[[], Hashable], *, seldom: bool = False
    ) -> None:
        """Build the first value; only here do the errors of ``build`` propagate to the caller.

        ``state`` inspects the files without reading them, and returns a value that changes when they do. It
        is called at each use, or with ``seldom`` at most once per :data:`A_SECOND`. ``name`` identifies the
        value in the log.
        """
        self._name = name
        self._build = build
        self._state = state
        self._told: Hashable = None
        self._seldom = seldom
        self._looked = time.monotonic()
        self._seen = self._look()
        self._value = build()

    def current(self) -> T:
        """Return the current value; it is the same object until the files change."""
        now = time.monotonic()
        if self._seldom and now < self._looked + A_SECOND:
            return self._value
        self._looked = now
        state = self._look()
        if state != self._seen:
            try:
                # The state is from before the reading, so that a change meanwhile is noticed the next time.
                self._value, self._seen = self._build(), state
                _LOGGER.info("%s: reloaded", self._name)
            except (OSError, ValueError) as error:
                self._tell(state, error)
        return self._value

    def _look(self) -> Hashable:
        """Return the state of the files; ``None`` if it cannot be determined."""
        try:
            return self._state()
        except (OSError, ValueError):
            return None

    def _tell(self, state: Hashable, error: Exception) -> None:
        """Log an unusable state of the files once, however often the value is asked for.

        Only errors of our own, recognised by their ``text``, are logged in full: they quote no file content.
        """
        if state != self._told:
            self._told = state
            _LOGGER.warning(
                "%s: unusable; the previous version stays in use (%s)",
                self._name,
                error if hasattr(error, "text") else type(error).__name__,
            )


def file_state(file: Path) -> tuple[int, int, int] | None:
    """Return a value that changes when a file is replaced or rewritten; ``None`` if it is missing."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def folder_state(folder: Path) -> tuple[tuple[str, tuple[int, int, int] | None], ...]:
    """Return a value that changes when a file in ``folder`` is added, removed or changed."""
    try:
        return tuple((file.name, file_state(file)) for file in sorted(folder.iterdir()))
    except OSError:
        return ()
