"""Filters and pages of a list of messages, read from the query (api-mt-mk 3).

The names of attributes are case-insensitive: the text writes ``messagestatus`` and the OpenAPI file
``messageStatus``. Unknown filters are refused, so that an unfiltered list is never mistaken for a filtered
one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.interface_d.problems import Refused, broken
from samdrift.vault.messagerows import Place
from samdrift.vault.records import MessageRecord
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import is_uuid

LARGEST_PAGE = 1000
ORIGINAL = "original"
"""Name of the parameter that requests the message itself along with evidence about it."""
_FILTER = re.compile(r"filter\[([^\[\]]*)\](?:\[\])?", re.IGNORECASE)
"""Name of a filter; an array is written ``filter[a]=x&filter[a]=y``, or with ``filter[a][]``."""
_MAX_VALUES = 100
"""Maximum number of values of one filter."""
_TO_END_OF_DAY = timedelta(days=1) - timedelta(microseconds=1)
"""Time from the first to the last moment of a day; the last day of the calendar has no day after it."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BASIC_DATE = re.compile(r"[0-9]{8}")
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,6})?)?(Z|[+-]00(:00)?)"
_BASIC_TIME = r"[0-9]{4}([0-9]{2}([.,][0-9]{1,6})?)?(Z|[+-]00(00)?)"
_INSTANT = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_TIME}|[0-9]{{8}}T{_BASIC_TIME}")
"""A time in UTC, in the extended or basic format of ISO 8601."""
_QUOTES = re.compile(r"[\"”“](.*)[\"”“]", re.DOTALL)
_RECIPIENT = "recipientattention.suborganization.extension"
_SENDER = "senderattention.suborganization.extension"
_OTHER_NAMES = {"status": "messagestatus", "handlingserviceid": _RECIPIENT}
"""Alternative names of filters in the OpenAPI file's descriptions of operations, in lower case."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of a list: a message must match every filter, by any of the filter's values.

    Clauses: api-mt-mk 3 sentence 2.
    """

    statuses: tuple[MessageStatus, ...] = ()
    recipient_addresses: tuple[str, ...] = ()
    sender_addresses: tuple[str, ...] = ()
    start: datetime | None = None
    stop: datetime | None = None

    def fit(self, record: MessageRecord) -> bool:
        """Return whether a message matches the filters.

        Clauses: api-mt-mk 3 sentence 5.
        """
        return (
            (not self.statuses or record.status in self.statuses)
            and (not self.recipient_addresses or record.recipient_address in self.recipient_addresses)
            and (not self.sender_addresses or record.sender_address in self.sender_addresses)
            and (self.start is None or self.start <= record.dated_at)
            and (self.stop is None or record.dated_at <= self.stop)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """The requested part of a list; without a size, the whole list."""

    size: int | None = None
    after: Place | None = None


Query = Iterable[tuple[str, str]]


def read(query: Query) -> tuple[Filters, Page]:
    """Return the filters and page of a list; raise :class:`Refused` if a parameter is not understood."""
    reading = _Reading()
    for name, value in query:
        reading.take(name, value)
    return reading.finish()


def read_filters(query: Query) -> Filters:
    """Return the filters of a request for one message, for which pages are refused.

    Clauses: api-mt-mk 3 sentence 1.
    """
    filters, page = read(query)
    if page != Page():
        raise Refused([broken("One message has no pages", "page")])
    return filters


def read_original(query: Query) -> tuple[bool, Filters]:
    """Return whether the original is requested along with evidence, and the filters for its message."""
    items = list(query)
    asked = [value for name, value in items if name == ORIGINAL]
    if len(asked) > 1 or {*asked} - {"true", "false"}:
        raise Refused([broken("It must be true or false, and given once", ORIGINAL)])
    return asked == ["true"], read_filters([item for item in items if item[0] != ORIGINAL])


def after(record: MessageRecord) -> str:
    """Return the value of ``page[after]`` that continues after this message."""
    place = f"{record.created_at.isoformat()} {record.id} {record.direction.value}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


@dataclass(slots=True)
class _Reading:
    statuses: list[MessageStatus] = field(default_factory=list)
    addresses: dict[str, list[str]] = field(default_factory=lambda: {_RECIPIENT: [], _SENDER: []})
    given: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def take(self, name: str, value: str) -> None:
        """Read one parameter; statuses and addresses may be arrays.

        Clauses: api-mt-mk 3 sentence 2.
        """
        match = _FILTER.fullmatch(name)
        attribute = _canonical(match[1]) if match else ""
        key = f"filter[{attribute}]" if match else name.lower()
        if key == "filter[messagestatus]":
            for each in _unquoted(value).split(","):
                self._status(_unquoted(each))
        elif attribute in self.addresses:
            self.addresses[attribute].append(_unquoted(value))
            if len(self.addresses[attribute]) == _MAX_VALUES + 1:
                self._report(f"has more than {_MAX_VALUES} values", KNOWN[key])
        elif key not in KNOWN:
            self._report("is not understood", "filter" if match or key == "filter" else "query")
        elif key in self.given:
            self._report("is given twice", KNOWN[key])
        else:
            self.given[key] = _unquoted(value)

    def finish(self) -> tuple[Filters, Page]:
        at = self._instant("filter[creationdatetime]", last=False)
        filters = Filters(
            tuple(self.statuses),
            tuple(dict.fromkeys(self.addresses[_RECIPIENT])),
            tuple(dict.fromkeys(self.addresses[_SENDER])),
            at or self._instant("filter[creationdatetimestart]", last=False),
            at or self._instant("filter[creationdatetimestop]", last=True),
        )
        page = Page(self._size(), self._after())
        if self.findings:
            raise Refused(self.findings)
        return filters, page

    def _status(self, value: str) -> None:
        """Add a status to the filter.

        Clauses: api-mt-mk 3 sentence 7.
        """
        try:
            status = MessageStatus(value)
            if status not in self.statuses:
                self.statuses.append(status)
        except ValueError:
            self._report("is not a status of a message", "filter[messagestatus]")

    def _instant(self, key: str, *, last: bool) -> datetime | None:
        value = self.given.get(key)
        if value is None:
            return None
        try:
            return _instant(value, last=last)
        except (ValueError, OverflowError):
            self._report("is not a date, or a date and time in UTC with Z, as in ISO 8601", KNOWN[key])
            return None

    def _size(self) -> int | None:
        value = self.given.get("page[size]")
        if value is None:
            return None
        if not re.fullmatch("[0-9]{1,4}", value) or not 1 <= int(value) <= LARGEST_PAGE:
            self._report(f"is not a number from 1 to {LARGEST_PAGE}", "page[size]")
            return None
        return int(value)

    def _after(self) -> Place | None:
        value = self.given.get("page[after]")
        if value is None:
            return None
        try:
            at, message_id, direction = base64.b64decode(f"{value}==", b"-_").decode().split(" ")
            if not is_uuid(message_id):
                raise ValueError
            return datetime.fromisoformat(at).astimezone(UTC), message_id, Direction(direction)
        except (binascii.Error, ValueError, OverflowError):
            self._report("is not a place in this list", "page[after]")
            return None

    def _report(self, text: str, where: str) -> None:
        self.findings.append(broken(f"{where} {text}", where))


def _canonical(attribute: str) -> str:
    name = attribute.lower()
    return _OTHER_NAMES.get(name, name)


def _unquoted(value: str) -> str:
    """Remove the quotation marks that an example in the text puts around a value."""
    quoted = _QUOTES.fullmatch(value)
    return quoted[1] if quoted else value


def _instant(value: str, *, last: bool) -> datetime:
    """Return a date and time, or the first or last moment of a date.

    Clauses: api-mt-mk 3 sentence 3, sentence 4.
    """
    if _DATE.fullmatch(value) or _BASIC_DATE.fullmatch(value):
        day = date.fromisoformat(value)
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return midnight + _TO_END_OF_DAY if last else midnight
    if not _INSTANT.fullmatch(value):
        raise ValueError
    return datetime.fromisoformat(value).astimezone(UTC)


KNOWN = {
    name.lower(): name
    for name in (
        "filter[recipientAttention.subOrganization.extension]",
        "filter[senderAttention.subOrganization.extension]",
        "filter[creationDateTime]",
        "filter[creationDateTimeStart]",
        "filter[creationDateTimeStop]",
        "page[size]",
        "page[after]",
    )
}
