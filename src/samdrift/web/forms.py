"""Forms as filled in by a person: their fields and the errors in them.

A form that is not accepted is shown again with everything that was typed and, at the top, a summary of
the errors with a link to each field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from types import MappingProxyType

from samdrift.web.texts import Phrase
from samdrift.wire.xml.writer import representable

_FIRST_YEAR, _LAST_YEAR = 2001, 9998


class Form:
    """Fields of a form as they were typed, and errors by field in the order in which they were found."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)
        self._errors: dict[str, Phrase] = {}

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Return all fields as they were posted."""
        return self._fields

    def __getitem__(self, name: str) -> str:
        r"""Return a field as typed, with line breaks as ``\n``; empty if it is missing.

        A character that no message can have, because XML cannot represent it, is a space.
        """
        return next((_text(value) for key, value in self._fields if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return all fields of that name, of which check boxes have several."""
        return tuple(_text(value) for key, value in self._fields if key == name)

    def refuse(self, field: str, why: Phrase) -> None:
        """Record an error in a field; only the first of each field is kept."""
        self._errors.setdefault(field, why)

    def required(self, field: str, why: Phrase) -> str:
        """Return a field without surrounding whitespace; record an error if it is empty."""
        value = self[field].strip()
        if not value:
            self.refuse(field, why)
        return value

    def day(self, field: str, why: Phrase) -> date | None:
        """Return a date; record an error if the field is not one, or its year is out of range."""
        try:
            found = date.fromisoformat(self[field])
        except ValueError:
            found = date.min
        if _FIRST_YEAR <= found.year <= _LAST_YEAR:
            return found
        self.refuse(field, why)
        return None

    def moment(self, field: str, zone: tzinfo, why: Phrase) -> datetime | None:
        """Return a posted date and time of day in UTC; refuse bad values as :meth:`day` does.

        ``zone`` is the time zone in which the person has entered them.
        """
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
        """Return the errors by field; empty if the form is accepted."""
        return MappingProxyType(self._errors)


def _text(value: str) -> str:
    r"""Return ``value`` with ``\n`` as line breaks, since browsers post CRLF, and characters of XML alone."""
    return representable(value).replace("\r\n", "\n").replace("\r", "\n")
