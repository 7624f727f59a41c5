"""One entry of a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What happened, who did it and why, and the entry's place in the chain."""

    sequence: int
    at: datetime
    event: str
    principal: str
    """Kind and name, ``worker:access-point``."""
    purpose: str
    ids: Mapping[str, str]
    """Facts of the event: identifiers and reasons, never content."""
    previous: bytes
    hash: bytes
