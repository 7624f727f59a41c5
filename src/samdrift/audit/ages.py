"""Age of a log as its readers see it: how long ago its newest cosigned checkpoint was seen by its witnesses.

A log that is shown in an old state is consistent, and each of its signatures is valid (the freeze attack of
The Update Framework, 1.5.2). Only the time in the witnesses' cosignatures shows it: a log is cosigned once
per cadence, also when nothing happens in it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TOLERANCE = 120
"""Number of seconds by which an entry may be outside its witnessed times.

Clocks differ, and a transaction takes time to commit.
"""
CADENCE = 300
"""Seconds between two checkpoints of a log, unless its operator states another time."""
MAX_AGE = 3 * CADENCE
"""Default maximum age of the newest cosigned checkpoint, in seconds: three cadences."""
_TAIL = 2 / 3
"""Age of an entry that no checkpoint proves, as a part of the maximum age: two cadences."""


def fault_of_age(witnessed_at: int | None, now: datetime, max_age: int) -> str:
    """Return why the newest cosigned checkpoint is not from the last ``max_age`` seconds; empty if it is.

    With 0, age is not judged: for a log that was closed, or has no witnesses.
    """
    if not max_age:
        return ""
    if witnessed_at is None:
        return "its age is not known, as the policy requires no witness (--max-age 0: not judged)"
    age = int(now.timestamp()) - witnessed_at
    if age < -TOLERANCE:
        return f"its witnesses name a time that has not come yet: {spelled(witnessed_at)}"
    if age <= max_age:
        return ""
    return (
        f"it stands still: its newest cosigned checkpoint is of {spelled(witnessed_at)},"
        f" older than {max_age} s (--max-age)"
    )


def fault_of_tail(oldest: datetime | None, now: datetime, max_age: int) -> str:
    """Return why the oldest entry that no accepted checkpoint proves is too old; empty if it is not."""
    if not max_age or oldest is None or now - oldest <= timedelta(seconds=max_age * _TAIL):
        return ""
    return f"an entry of {oldest:%F %T}Z is in no accepted checkpoint yet: later ones may never be"


def moment_of(time: str) -> datetime | None:
    """Return a time in the form that entries have; ``None`` if it is in another form."""
    try:
        return datetime.fromisoformat(time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def spelled(seconds: int) -> str:
    """Return a POSIX time for people, in UTC."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=min(max(seconds, 0), 253_402_300_799))
    return f"{moment:%F %T}Z"
