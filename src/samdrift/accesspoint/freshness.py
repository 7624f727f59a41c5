"""Whether the security timestamp of a message still holds: a pure comparison with the time here."""

from __future__ import annotations

from datetime import datetime, timedelta

from samdrift.wire.as4 import As4Fault, SignedHeader
from samdrift.wire.ebms import EbmsErrorCode


def require_fresh(header: SignedHeader, now: datetime, tolerance: timedelta) -> None:
    """Return when ``wsu:Timestamp`` is neither expired nor of the future (WSS 1.1, 10).

    DIGG has announced a test of it (accesspoint-test-cases 7.1). ``tolerance``
    is how far the clocks of two access points may be apart. A message without a
    timestamp, or without an end to it, says nothing that could be too old: some
    peers send none, and what was received before is known by its MessageId.
    """
    created, expires = header.security_timestamp, header.security_expires
    if created is not None and created > now + tolerance:
        raise _stale(header, "the security timestamp lies in the future")
    if expires is not None and expires < now - tolerance:
        raise _stale(header, "the security timestamp has expired")


def _stale(header: SignedHeader, text: str) -> As4Fault:
    return As4Fault(
        EbmsErrorCode.POLICY_NONCOMPLIANCE, text, ref_to_message_id=header.user_message.message_id
    )
