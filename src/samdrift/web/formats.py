"""Formatting of times, numbers and sizes in a person's language and time zone.

A moment today is shown as a time of day, this year as a day and month, otherwise with the year; the exact
time with its zone is available as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal

from samdrift.web.texts import Language

SWEDEN = ZoneInfo("Europe/Stockholm")
_LOCALES = {Language.SWEDISH: Locale.parse("sv_SE"), Language.ENGLISH: Locale.parse("en_GB")}
_YESTERDAY = {Language.SWEDISH: "i går", Language.ENGLISH: "yesterday"}
_SIZES = (("MB", 1_000_000), ("kB", 1_000))


@dataclass(frozen=True, slots=True)
class Formats:
    """Formats of the values on one page, at one moment."""

    language: Language
    now: datetime
    zone: tzinfo = SWEDEN
    lasting: bool = False
    """True for a text that may be read on a later day: :meth:`longer` then always has the full date."""

    def short(self, moment: datetime) -> str:
        """Return ``10:42`` for today, ``i går``, ``26 nov`` for this year, otherwise ``26 nov 2025``."""
        local, today = moment.astimezone(self.zone), self.now.astimezone(self.zone)
        if local.date() == today.date():
            return self.clock(moment)
        if local.date() == today.date() - timedelta(days=1):
            return _YESTERDAY[self.language]
        return self._day(local, "d MMM" if local.year == today.year else "d MMM y")

    def longer(self, moment: datetime) -> str:
        """Return ``10:42`` for today, ``26 nov 10:42`` for this year, otherwise with the year."""
        if self.lasting:
            return f"{self._day(moment.astimezone(self.zone), 'd MMMM y')} {self.clock(moment)}"
        local, today = moment.astimezone(self.zone), self.now.astimezone(self.zone)
        if local.date() == today.date():
            return self.clock(moment)
        day = self._day(local, "d MMM" if local.year == today.year else "d MMM y")
        return f"{day} {self.clock(moment)}"

    def clock(self, moment: datetime) -> str:
        """Return a time of day, as in ``10:42``."""
        return f"{moment.astimezone(self.zone):%H:%M}"

    def exact(self, moment: datetime) -> str:
        """Return the exact time: ``torsdag 26 november 2026 10:42:07 (UTC+01:00)``."""
        local = moment.astimezone(self.zone)
        day = _dated(local.date(), "EEEE d MMMM y", self.language)
        return f"{day} {local:%H:%M:%S} (UTC{_offset(local)})"

    def day(self, moment: datetime) -> str:
        """Return a day, as in ``26 november``, with the year if it is not the current one."""
        local, today = moment.astimezone(self.zone), self.now.astimezone(self.zone)
        pattern = "d MMMM" if local.year == today.year else "d MMMM y"
        return _dated(local.date(), pattern, self.language)

    def month(self, moment: datetime) -> str:
        """Return a month, as in ``november 2026``."""
        return _dated(moment.astimezone(self.zone).date(), "MMMM y", self.language)

    def number(self, value: float) -> str:
        """Return a number, as in ``1 204`` and ``99,98``."""
        if isinstance(value, int) and 0 <= value < 1000:
            return str(value)
        return format_decimal(value, locale=self._locale)

    def size(self, count: int) -> str:
        """Return a size, as in ``212 kB`` or ``1,4 MB``."""
        for unit, factor in _SIZES:
            if count >= factor:
                value = count / factor
                return f"{self.number(round(value, 1 if value < 10 else 0))} {unit}"
        return f"{self.number(count)} B"

    def _day(self, local: datetime, pattern: str) -> str:
        return _dated(local.date(), pattern, self.language).replace(".", "")

    @property
    def _locale(self) -> Locale:
        return _LOCALES[self.language]


@lru_cache(4096)
def _dated(day: date, pattern: str, language: Language) -> str:
    """Return a date in words; cached, since a long page shows the same dates repeatedly."""
    return format_date(day, pattern, locale=_LOCALES[language])


def _offset(local: datetime) -> str:
    minutes = int((local.utcoffset() or timedelta()).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
