"""The time of this machine."""

from __future__ import annotations

from datetime import UTC, datetime


def system_clock() -> datetime:
    """Return the current time in UTC; a :data:`samdrift.contracts.clock.Clock`."""
    return datetime.now(UTC)
