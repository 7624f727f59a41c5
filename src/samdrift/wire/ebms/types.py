"""The ebMS 3.0 header as frozen values: user message, receipt, error (ebms3-core 5.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from samdrift.wire.ebms.errors import EbmsError
from samdrift.wire.xml import Element


@dataclass(frozen=True, slots=True)
class Property:
    """A message or part property: name, value and, where given, ``type``."""

    name: str
    value: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class PartInfo:
    """One payload of a user message; ``href`` is ``cid:`` and the part's Content-ID."""

    href: str
    properties: tuple[Property, ...]

    def property(self, name: str) -> str | None:
        """The value of the part property ``name``."""
        return _value(self.properties, name)


@dataclass(frozen=True, slots=True)
class UserMessage:
    """The ``eb:UserMessage`` of a one-way push (ebms3-core 5.2.2, transport-profile-as4 2.3.1 a-d, j-q).

    Times are aware and in UTC; ``mpc`` absent means the default channel.
    """

    message_id: str
    timestamp: datetime
    from_party: str
    from_party_type: str | None
    from_role: str
    to_party: str
    to_party_type: str | None
    to_role: str
    service: str
    service_type: str | None
    action: str
    conversation_id: str
    properties: tuple[Property, ...]
    parts: tuple[PartInfo, ...]
    mpc: str | None = None
    ref_to_message_id: str | None = None

    def property(self, name: str) -> str | None:
        """The value of the message property ``name`` (``originalSender``, ``finalRecipient``)."""
        return _value(self.properties, name)


@dataclass(frozen=True, slots=True)
class SignalInfo:
    """``eb:MessageInfo`` of a signal: its own id and the message that it answers."""

    message_id: str
    timestamp: datetime
    ref_to_message_id: str | None


@dataclass(frozen=True, slots=True)
class ReceiptSignalMessage:
    """An ``eb:SignalMessage`` with a receipt, and the ``ds:Reference`` elements that it repeats."""

    info: SignalInfo
    proof: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class ErrorSignalMessage:
    """An ``eb:SignalMessage`` with errors (ebms3-core 6.2)."""

    info: SignalInfo
    errors: tuple[EbmsError, ...]


def _value(properties: tuple[Property, ...], name: str) -> str | None:
    return next((entry.value for entry in properties if entry.name == name), None)


_XSD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


def format_time(at: datetime) -> str:
    """Return ``2024-05-01T12:00:00.000Z``; ``at`` must be aware.

    UTC, three fraction digits and ``Z``: Domibus refuses any other number of digits.
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(spelling: str) -> datetime | None:
    """The aware time in UTC, or None when ``spelling`` is no xsd:dateTime; without a zone it is UTC."""
    if not _XSD.fullmatch(spelling):
        return None
    try:
        parsed = datetime.fromisoformat(spelling)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
