"""Staffed hours of a mailbox, and the time at which mail has been unread for too long; pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Stockholm")
_LOOKED_AHEAD = 400
"""Number of days examined, after which a mailbox counts as never staffed."""
_MINUTES_OF_DAY = 24 * 60

MAX_HOURS, MAX_CLOSED, MAX_TEXT = 200, 400, 2_000
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)+")
_MAX_ADDRESS = 254

Hours = tuple[int, int] | None
"""Minutes of a day from and to which a mailbox is staffed; ``None`` for a day on which it is not."""
OFFICE: tuple[Hours, ...] = ((480, 1020),) * 5 + (None, None)
"""Default hours: eight to five from Monday to Friday."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """Messages in a mailbox that have been unopened for longer than is allowed there."""

    messages: int
    hours: int
    """Number of staffed hours for which a message may be unread."""
    oldest: str
    """Conversation of the earliest of these messages."""


@dataclass(frozen=True, slots=True)
class Manning:
    """Staffed hours of a mailbox, and the address to notify if mail is still unread."""

    hours: tuple[Hours, ...] = OFFICE
    """Hours of each day of the week, starting with Monday."""
    closed: frozenset[date] = frozenset()
    """Days on which the mailbox is not staffed."""
    holidays: bool = True
    """True if it is not staffed on public holidays or the eves of Midsummer, Christmas and New Year."""
    escalate_after: int = 0
    """Number of staffed hours for which a message may be unread; 0 for no limit."""
    escalate_to: str = ""
    """E-mail address to notify after that time."""
    acknowledge: str = ""
    """Text of the automatic reply to the first message of a conversation; empty for no reply."""

    def unfit(self) -> tuple[str, str] | None:
        """Return the name of an invalid setting and the reason; ``None`` if all are valid."""
        if len(self.closed) > MAX_CLOSED:
            return "closed", f"at most {MAX_CLOSED} days may be listed on which a mailbox is not staffed"
        if not 0 <= self.escalate_after <= MAX_HOURS:
            return "hours", f"the limit is 1 to {MAX_HOURS} staffed hours, or none"
        if self.escalate_to and not is_mail_address(self.escalate_to):
            return "to", "that is not a mail address such as namn@kommun.se"
        if self.escalate_to and not self.escalate_after:
            return "hours", "enter after how many hours to notify the address"
        if len(self.acknowledge) > MAX_TEXT:
            return "acknowledge", f"an automatic answer has at most {MAX_TEXT} characters"
        return None

    def overdue_at(self, since: datetime) -> datetime | None:
        """Return when a message that arrived at ``since`` has been unread too long; ``None`` for never."""
        if not self.escalate_after:
            return None
        left = timedelta(hours=self.escalate_after)
        for begin, end in self.manned(since):
            if end - begin >= left:
                return begin + left
            left -= end - begin
        return None

    def overdue_before(self, now: datetime) -> datetime | None:
        """Return the arrival time before which unread mail has waited too long; ``None`` if none has."""
        if not self.escalate_after:
            return None
        left = timedelta(hours=self.escalate_after)
        for number in range(_LOOKED_AHEAD):
            for begin, end in self._on(now.astimezone(ZONE).date() - timedelta(days=number)):
                manned = min(end, now) - begin
                if manned >= left:
                    return begin + manned - left
                left -= max(manned, timedelta())
        return None

    def manned(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the staffed periods from a given time on."""
        first = since.astimezone(ZONE).date()
        for number in range(_LOOKED_AHEAD):
            for begin, end in self._on(first + timedelta(days=number)):
                if end > since:
                    yield max(begin, since), end

    def _on(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """Yield the staffed period of a day, if there is one."""
        hours = self.hours[day.weekday()]
        if hours is not None and day not in self.closed and not (self.holidays and is_holiday(day)):
            yield _moment(day, hours[0]), _moment(day, hours[1])

    def content(self) -> dict[str, Any]:
        """Return the settings in the form that the vault stores."""
        return {
            "hours": self.hours,
            "closed": sorted(day.isoformat() for day in self.closed),
            "holidays": self.holidays,
            "escalate_after": self.escalate_after,
            "escalate_to": self.escalate_to,
            "acknowledge": self.acknowledge,
        }

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Manning:
        """Return the settings from the result of :meth:`content`."""
        return cls(
            tuple(None if each is None else (each[0], each[1]) for each in content["hours"]),
            frozenset(map(date.fromisoformat, content["closed"])),
            content["holidays"],
            content["escalate_after"],
            content["escalate_to"],
            content["acknowledge"],
        )


def is_mail_address(text: str) -> bool:
    """Return whether a text is an e-mail address to which notices can be sent."""
    return len(text) <= _MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None


def _moment(day: date, minutes: int) -> datetime:
    """Return a Swedish time of day as a time in UTC; 24:00 is the end of the day."""
    if minutes >= _MINUTES_OF_DAY:
        return datetime.combine(day + timedelta(days=1), time(), ZONE).astimezone(UTC)
    return datetime.combine(day, time(minutes // 60, minutes % 60), ZONE).astimezone(UTC)


def is_holiday(day: date) -> bool:
    """Return whether a day is a public holiday in Sweden, or an eve on which offices are closed."""
    fixed = {(1, 1), (1, 6), (5, 1), (6, 6), (12, 24), (12, 25), (12, 26), (12, 31)}
    from_easter = (day - easter(day.year)).days
    midsummer = day.month == 6 and 19 <= day.day <= 25 and day.weekday() == 4
    midsummer_day = day.month == 6 and 20 <= day.day <= 26 and day.weekday() == 5
    all_saints = day.weekday() == 5 and (date(day.year, 10, 31) <= day <= date(day.year, 11, 6))
    moving = from_easter in (-2, 0, 1, 39, 49)
    return (day.month, day.day) in fixed or moving or midsummer or midsummer_day or all_saints


def easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (Meeus, Jones and Butcher)."""
    golden = year % 19
    century, rest = divmod(year, 100)
    skipped, quarter = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - skipped - correction + 15) % 30
    fours, ones = divmod(rest, 4)
    weekday = (32 + 2 * quarter + 2 * fours - epact - ones) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def next_at(hour: int, after: datetime) -> datetime:
    """Return the next time after ``after`` at which it is the given hour in Sweden."""
    day = after.astimezone(ZONE).date()
    found: Sequence[datetime] = [_moment(day + timedelta(days=number), hour * 60) for number in range(3)]
    return next(moment for moment in found if moment > after)
