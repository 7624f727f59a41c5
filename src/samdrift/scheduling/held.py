"""Counts of what waits in this process, by the reason of its last attempt, for metrics, health and status."""

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
"""A message service's reasons and an access point's, both closed lists."""
_MOST = 100_000
"""Entries that are kept: more than that is counted as that many."""
_SPARE = 1_000
"""Ends of former entries that are kept before they are thrown out."""
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

    An entry ends by itself, since another process may do what waits, and an operator may give it up. Counts
    are kept as entries come and go, so that to ask for them costs what has ended since, however much waits.
    """

    def __init__(self) -> None:
        self._entries: dict[_Key, tuple[Reason, datetime]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._ends: list[tuple[datetime, _Key]] = []
        """The ends of entries as a heap, with those of entries that were noted again since."""

    def note(
        self, role: Role, organisation: ParticipantIdentifier, name: str, reason: Reason, until: datetime
    ) -> None:
        """Note that ``name`` waits, and when it will have been tried again."""
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
        """Forget what no longer waits."""
        self._forget((role, organisation.value, name))

    def numbers(self, now: datetime) -> tuple[HeldNumber, ...]:
        """Return the numbers by role and reason; those whose time is over are forgotten."""
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
