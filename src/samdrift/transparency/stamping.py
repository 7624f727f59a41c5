"""Requests to a time-stamping authority for a time stamp (RFC 3161).

A response that is not a time stamp, is over something else or is not signed by a trusted authority counts as
no response: the authority is asked again later.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response

from samdrift.audit.reading import Malformed, Unverified
from samdrift.contracts.errors import Temporary
from samdrift.net.client import FetchLimits, NoAnswer
from samdrift.transparency.asking import Caller
from samdrift.transparency.timestamps import MAX_STAMP, Stamp, Trusted

LIMITS = FetchLimits(max_bytes=MAX_STAMP, seconds=20)
_AHEAD = timedelta(minutes=5)
"""Maximum difference between an authority's clock and ours."""
_HEADERS = {"content-type": "application/timestamp-query", "accept": "application/timestamp-reply"}


class StampUnavailable(Temporary):
    """A failure to get a usable time stamp from the authority."""

    service = "time-stamping authority"

    def __init__(self, text: str) -> None:
        super().__init__(f"the time-stamping authority did not issue a time stamp: {text}")
        self.text = text


async def ask(caller: Caller, address: str, trusted: Trusted, message: bytes, now: datetime) -> Stamp:
    """Request a time stamp on ``message``; :class:`StampUnavailable` unless a valid one is returned."""
    request = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        answer = await caller.fetch(address, LIMITS, content=request.as_bytes(), headers=_HEADERS)
    except NoAnswer as failure:
        raise StampUnavailable(failure.words) from None
    if answer.status not in (200, 201):
        raise StampUnavailable(f"status {answer.status}")
    try:
        stamp = trusted.verify(answer.body, message)
        if decode_timestamp_response(answer.body).tst_info.nonce != request.nonce:
            raise Unverified("it answers another request")
    except (Malformed, Unverified) as fault:
        raise StampUnavailable(str(fault)) from None
    if not now - _AHEAD <= stamp.at <= now + _AHEAD:
        raise StampUnavailable("its time is not now; compare the clocks")
    return stamp


def host_of(address: str) -> str:
    """Return the authority's host, for health and doctor to name it."""
    return urlsplit(address).hostname or ""
