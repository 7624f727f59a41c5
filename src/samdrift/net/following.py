"""Values that are built from files, and rebuilt without a restart when the files have changed.

An operator replaces certificates in steps, and a file can be read when it is
half written. So a state of the files that cannot be used changes nothing: what
they gave before stays in use, and is replaced as soon as they fit together.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

A_SECOND = 1.0
"""Between two looks at files that every message asks for, some of them a dozen times."""

_LOGGER = logging.getLogger("samdrift")


class Followed(Generic[T]):
    """The value that files give now."""

    def __init__(
        self, name: str, build: Callable[[], T], state: Callable[[], Hashable], *, seldom: bool = False
    ) -> None:
        """Build for the first time: only then is passed on what ``build`` raises for bad files.

        ``state`` looks at the files without reading them; it changes when they
        do. It is asked at each use, with ``seldom`` not before :data:`A_SECOND` has
        passed since the last time. ``name`` is recorded in the log.
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
        """The value; the same object until the files change."""
        now = time.monotonic()
        if self._seldom and now < self._looked + A_SECOND:
            return self._value
        self._looked = now
        state = self._look()
        if state != self._seen:
            try:
                # The state is older than what is read, so that what changes meanwhile is seen the next time.
                self._value, self._seen = self._build(), state
                _LOGGER.info("%s: read anew", self._name)
            except (OSError, ValueError) as error:
                self._tell(state, error)
        return self._value

    def _look(self) -> Hashable:
        """The state; ``None`` when not even that can be told."""
        try:
            return self._state()
        except (OSError, ValueError):
            return None

    def _tell(self, state: Hashable, error: Exception) -> None:
        """Once for each state: it may be asked for with every message.

        Errors of our own, which have a ``text``, repeat nothing that was read.
        """
        if state != self._told:
            self._told = state
            _LOGGER.warning(
                "%s: cannot be used, what was there before stays in use (%s)",
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
