"""Forms as a person filled them in, accepted or not: fields, and what is wrong with them.

A form that is not accepted is shown again with everything that was typed and, on top, a summary of what is
wrong with a link to each field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from types import MappingProxyType

from samdrift.web.texts import Phrase

_FIRST_YEAR, _LAST_YEAR = 2001, 9998


class Form:
    """Fields of a form as they were typed, and errors by field, in the order in which they were found."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)
        self._errors: dict[str, Phrase] = {}

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """All fields as they came."""
        return self._fields

    def __getitem__(self, name: str) -> str:
        """The field as it was typed, with line breaks as ``\\n``; empty when it is not there."""
        return next((_lines(value) for key, value in self._fields if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Every field of that name, as check boxes have several."""
        return tuple(_lines(value) for key, value in self._fields if key == name)

    def refuse(self, field: str, why: Phrase) -> None:
        """Note what is wrong with a field; the first fault of each is shown."""
        self._errors.setdefault(field, why)

    def required(self, field: str, why: Phrase) -> str:
        """Return a field without white space around it, and refuse it when nothing is left."""
        value = self[field].strip()
        if not value:
            self.refuse(field, why)
        return value

    def day(self, field: str, why: Phrase) -> date | None:
        """Return a day, and refuse the field when it is none, or so far away that clocks do not go there."""
        try:
            found = date.fromisoformat(self[field])
        except ValueError:
            found = date.min
        if _FIRST_YEAR <= found.year <= _LAST_YEAR:
            return found
        self.refuse(field, why)
        return None

    def moment(self, field: str, zone: tzinfo, why: Phrase) -> datetime | None:
        """Return a day and time of day in a zone, as a browser posts it; refuse the field as :meth:`day`."""
        try:
            local = datetime.strptime(self[field], "%Y-%m-%dT%H:%M").replace(tzinfo=zone)
        except ValueError:
            local = None
        if local is not None and _FIRST_YEAR <= local.year <= _LAST_YEAR:
            return local.astimezone(UTC)
        self.refuse(field, why)
        return None

    @property
    def errors(self) -> Mapping[str, Phrase]:
        """Faults by field; empty when the form is accepted."""
        return MappingProxyType(self._errors)


def _lines(text: str) -> str:
    """Browsers post line breaks as CRLF, whatever was typed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
