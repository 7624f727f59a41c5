"""A message receipt as a frozen type (message-receipt 2.2), and its time with a zone (3.1 c)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.xml.schema.lexical import WHITESPACE


@dataclass(frozen=True, slots=True)
class MessageReceipt:
    """The receiver's answer to the sender of a message.

    ``sender`` is the organisation that acknowledges, ``receiver`` the one that sent
    the message; ``message_id`` is the identifier on that message's envelope.
    ``issued`` has a time zone. ``findings`` is empty exactly when accepted.
    """

    id: str
    issued: datetime
    sender: ParticipantIdentifier
    receiver: ParticipantIdentifier
    message_id: str
    status: ReceiptStatus
    findings: tuple[Finding, ...] = ()


_DATE_LENGTH = len("2021-03-24")
_MIDNIGHT_AFTER = "24:"


def instant(date: str, time: str) -> datetime | None:
    """The time in UTC, or None when it has no zone or lies outside the years 1 to 9999.

    A zone on the date, which XML Schema allows, says nothing that the time does
    not; it is passed over. ``24:00:00`` is the start of the next day.

    Clauses: message-receipt 3.1 c.
    """
    day, clock = date.strip(WHITESPACE)[:_DATE_LENGTH], time.strip(WHITESPACE)
    late = clock.startswith(_MIDNIGHT_AFTER)
    if late:
        clock = clock.replace(_MIDNIGHT_AFTER, "00:", 1)
    try:
        at = datetime.fromisoformat(f"{day}T{clock}")
        return None if at.tzinfo is None else (at + timedelta(days=late)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def date_and_time(at: datetime) -> tuple[str, str]:
    """``IssueDate`` and ``IssueTime`` in UTC, in whole seconds."""
    if at.tzinfo is None:
        raise ValueError("a receipt's time needs a time zone")
    whole = at.astimezone(UTC).replace(tzinfo=None)
    return whole.date().isoformat(), f"{whole.time().isoformat('seconds')}Z"
