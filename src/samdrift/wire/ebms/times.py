"""Times in ebMS and WS-Security headers: UTC, three fraction digits and ``Z``.

Domibus refuses any other number of digits; what peers write is read as xsd:dateTime.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_XSD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


def format_time(at: datetime) -> str:
    """``2024-05-01T12:00:00.000Z``; ``at`` must be aware."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(spelling: str) -> datetime | None:
    """The aware time in UTC, or None when ``spelling`` is no xsd:dateTime; without a zone it is UTC."""
    if not _XSD.fullmatch(spelling):
        return None
    try:
        parsed = datetime.fromisoformat(spelling)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
