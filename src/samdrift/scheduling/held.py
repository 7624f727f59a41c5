"""Counts of work that waits in this process, by the reason of its last failure, for metrics and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush

from samdrift.contracts.errors import Explained
from samdrift.contracts.hold import Hold
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason
from samdrift.wire.identifiers import ParticipantIdentifier

Reason = Hold | TransferReason
"""A reason in a message service or in an access point; both are closed lists."""
_MOST = 100_000
"""Maximum number of entries that are kept and counted."""
_SPARE = 1_000
"""Number of outdated heap entries that are tolerated before they are removed."""
_Key = tuple[Role, str, str]


def reason_of(error: BaseException) -> Hold:
    """Return the reason by which work that failed with ``error`` is counted."""
    return error.hold if isinstance(error, Explained) else Hold.OTHER


@dataclass(frozen=True, slots=True)
class HeldNumber:
    """The number of messages, receipts or transfers that wait for the same reason."""

    role: str
    reason: str
    number: int

    def document(self) -> dict[str, str | int]:
        """Return the number as JSON."""
        return {"role": self.role, "reason": self.reason, "number": self.number}

    @classmethod
    def read(cls, document: Mapping[str, str | int]) -> HeldNumber:
        """Return the number that :meth:`document` wrote."""
        return cls(str(document["role"]), str(document["reason"]), int(document["number"]))


class Held:
    """The work that this process has tried and will try again, until it is done or its time is over.

    An entry expires, since another process may do the work, and an operator may give it up. Counts are
    updated as entries come and go, so that reading them only costs as much as has expired since, however
    much is waiting.
    """

    def __init__(self) -> None:
        self._entries: dict[_Key, tuple[Reason, datetime]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._ends: list[tuple[datetime, _Key]] = []
        """A heap of the times at which entries expire, including outdated times of entries noted again."""

    def note(
        self, role: Role, organisation: ParticipantIdentifier, name: str, reason: Reason, until: datetime
    ) -> None:
        """Record that ``name`` waits, and by when it will have been tried again."""
        key = (role, organisation.value, name)
        if key not in self._entries and len(self._entries) >= _MOST:
            return
        self._forget(key)
        self._entries[key] = reason, until
        self._counts[role.value, reason.value] += 1
        heappush(self._ends, (until, key))
        if len(self._ends) > _SPARE + 2 * len(self._entries):
            self._ends = [(end, each) for each, (_, end) in self._entries.items()]
            heapify(self._ends)

    def release(self, role: Role, organisation: ParticipantIdentifier, name: str) -> None:
        """Remove work that no longer waits."""
        self._forget((role, organisation.value, name))

    def numbers(self, now: datetime) -> tuple[HeldNumber, ...]:
        """Return the numbers by role and reason, without expired entries."""
        while self._ends and self._ends[0][0] <= now:
            _, key = heappop(self._ends)
            if key in self._entries and self._entries[key][1] <= now:
                self._forget(key)
        return tuple(HeldNumber(*names, number) for names, number in sorted(self._counts.items()))

    def _forget(self, key: _Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            counted = key[0].value, entry[0].value
            self._counts[counted] -= 1
            if not self._counts[counted]:
                del self._counts[counted]
