"""``wsu:Timestamp``: when a message was secured and how long that is meant to hold (WSS 1.1, 10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from samdrift.wire.ebms.times import parse_time
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec.names import wsu
from samdrift.wire.xml import Element, children, text


@dataclass(frozen=True, slots=True)
class SecurityTimestamp:
    """Aware times in UTC. Whether they are acceptable now is for the caller to say."""

    created: datetime
    expires: datetime | None


def read_timestamp(element: Element) -> SecurityTimestamp:
    """Read ``wsu:Timestamp``; :class:`WireError` (``STRUCTURE``) when malformed."""
    parts = children(element)
    if [part.tag for part in parts] not in ([wsu("Created")], [wsu("Created"), wsu("Expires")]):
        raise _malformed()
    times = [parse_time(text(part).strip()) for part in parts]
    if times[0] is None or times[-1] is None:
        raise _malformed()
    return SecurityTimestamp(times[0], times[1] if len(times) > 1 else None)


def _malformed() -> WireError:
    return WireError(WireFault.STRUCTURE, "not a timestamp", "Timestamp")
