"""Log lines about requests that lead nowhere, which anyone on the network can cause."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

_LOGGER = logging.getLogger("samdrift")
_MINUTE = 60.0


class Journal:
    """A log that writes each line at most once a minute, so that a stranger cannot fill the disk.

    Each line states how often it was left out since the last time. The texts are the program's own, and few.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._written: dict[str, tuple[float, int]] = {}

    def __call__(self, line: str) -> None:
        now = self._seconds()
        last, left_out = self._written.get(line, (-math.inf, 0))
        if now - last < _MINUTE:
            self._written[line] = last, left_out + 1
            return
        self._written[line] = now, 0
        more = f" ({left_out} more times since the last such line)" if left_out else ""
        _LOGGER.warning("%s%s", line, more)
