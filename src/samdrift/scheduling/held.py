"""Counts of what waits in this process, by the reason of its last attempt, for metrics, health and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from samdrift.contracts.errors import Explained
from samdrift.contracts.hold import Hold
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason
from samdrift.wire.identifiers import ParticipantIdentifier

Reason = Hold | TransferReason
"""A message service's reasons and an access point's, both closed lists."""
_MOST = 100_000
"""Entries that are kept: more than that is counted as that many."""
_Key = tuple[Role, str, str]


def reason_of(error: BaseException) -> Hold:
    """Return the reason under which what waits for the end of ``error`` is counted."""
    return error.hold if isinstance(error, Explained) else Hold.OTHER


@dataclass(frozen=True, slots=True)
class HeldNumber:
    """The number of messages, receipts or transfers that wait for one reason."""

    role: str
    reason: str
    number: int

    def document(self) -> dict[str, str | int]:
        """The number as JSON."""
        return {"role": self.role, "reason": self.reason, "number": self.number}

    @classmethod
    def read(cls, document: Mapping[str, str | int]) -> HeldNumber:
        """The inverse of :meth:`document`."""
        return cls(str(document["role"]), str(document["reason"]), int(document["number"]))


class Held:
    """Everything that this process has tried and will try again, until it is done or its time is over.

    An entry ends by itself, since another process may do what waits, and an operator may give it up.
    """

    def __init__(self) -> None:
        self._entries: dict[_Key, tuple[Reason, datetime]] = {}

    def note(
        self, role: Role, organisation: ParticipantIdentifier, name: str, reason: Reason, until: datetime
    ) -> None:
        """Note that ``name`` waits, and when it will have been tried again."""
        key = (role, organisation.value, name)
        if key in self._entries or len(self._entries) < _MOST:
            self._entries[key] = reason, until

    def release(self, role: Role, organisation: ParticipantIdentifier, name: str) -> None:
        """Forget what waits no more."""
        self._entries.pop((role, organisation.value, name), None)

    def numbers(self, now: datetime) -> tuple[HeldNumber, ...]:
        """Return the numbers by role and reason; those whose time is over are forgotten."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry[1] > now}
        counted = Counter((key[0].value, reason.value) for key, (reason, _) in self._entries.items())
        return tuple(HeldNumber(*names, number) for names, number in sorted(counted.items()))
