"""WSS 1.1, 10: a message is refused when its security timestamp has expired or is in the future."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from samdrift.accesspoint.agreement import require_fresh
from samdrift.wire.as4 import As4Fault
from samdrift.wire.ebms import EbmsErrorCode

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TOLERANCE = timedelta(minutes=10)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Message:
    message_id: str = "m@peer"


@dataclass(frozen=True)
class Header:
    """The parts of a verified header that are examined."""

    security_timestamp: datetime | None = NOW
    security_expires: datetime | None = NOW + timedelta(minutes=5)
    user_message: Message = Message()


def judged(created: datetime | None, expires: datetime | None, tolerance: timedelta = TOLERANCE) -> None:
    header: Any = replace(Header(), security_timestamp=created, security_expires=expires)
    require_fresh(header, NOW, tolerance)


@pytest.mark.parametrize(
    ("created", "expires"),
    [
        (None, None),
        (NOW, None),
        (NOW - timedelta(days=400), None),
        (NOW + TOLERANCE, NOW + 2 * TOLERANCE),
        (NOW - timedelta(hours=1), NOW - TOLERANCE),
    ],
)
def test_what_holds_within_the_tolerance_is_taken(created: datetime | None, expires: datetime | None) -> None:
    judged(created, expires)


@pytest.mark.parametrize(
    ("created", "expires", "text"),
    [
        (NOW + TOLERANCE + SECOND, None, "future"),
        (NOW + TOLERANCE + SECOND, NOW + timedelta(days=1), "future"),
        (NOW - timedelta(hours=1), NOW - TOLERANCE - SECOND, "expired"),
    ],
)
def test_what_does_not_hold_is_refused_by_name(
    created: datetime, expires: datetime | None, text: str
) -> None:
    with pytest.raises(As4Fault, match=text) as caught:
        judged(created, expires)
    assert caught.value.error is EbmsErrorCode.POLICY_NONCOMPLIANCE
    assert caught.value.ref_to_message_id == "m@peer"


def test_without_tolerance_a_second_is_too_much() -> None:
    with pytest.raises(As4Fault):
        judged(NOW + SECOND, None, timedelta(0))
