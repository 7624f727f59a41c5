"""Claims of a process on work in the vaults, and those that processes before it have left.

A claim ends with its lease (invariant 8), which is longer than any attempt. What a process had claimed
that has ended need not wait for that: each process has a name of its own for each start, its claims carry
it, and whoever starts later is given the names of those that have ended (:mod:`samdrift.installation.lives`).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.wire.identifiers import ParticipantIdentifier

Due = Callable[[datetime], Awaitable[Iterable[tuple[ParticipantIdentifier, datetime]]]]
"""Organisations in which something becomes due until then, and when."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """A process as claims name it; one that nobody was told of has its claims end with their leases."""

    name: str = field(default_factory=lambda: secrets.token_hex(16))
    """Random, of this start of the process."""
    ended: frozenset[str] = frozenset()
    """Processes of the installation that had ended when this one began."""


class Leftovers:
    """Has each vault in which an ended process may have left claims looked at once, soon after the start.

    That comes in the ordinary turns of the organisations, so that it is as fair as they are, and one vault
    that cannot be opened now keeps no other from it.
    """

    def __init__(self, claimant: Claimant, lease: timedelta, clock: Clock) -> None:
        """``lease`` is the longest that such a claim can last."""
        self._ended = claimant.ended
        self._lease = lease
        self._clock = clock
        self._asked = not self._ended
        self._done: set[ParticipantIdentifier] = set()

    async def asked(self, due: Due, until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
        """Ask ``due``; at first for all that is due before such a claim can have ended, as if it were now.

        A vault with a claim has something that becomes due when the claim ends, so that no other is opened.
        """
        if self._asked:
            return [*await due(until)]
        now = self._clock()
        found = [*await due(max(until, now + self._lease))]
        self._asked = True
        return [(organisation, now) for organisation, _ in found]

    def of(self, organisation: ParticipantIdentifier) -> list[str]:
        """Return the processes whose claims are to be taken up in an organisation's vault; none once done."""
        return [] if organisation in self._done else sorted(self._ended)

    def done(self, organisation: ParticipantIdentifier) -> None:
        """Note that it is committed that they were taken up."""
        if self._ended:
            self._done.add(organisation)
