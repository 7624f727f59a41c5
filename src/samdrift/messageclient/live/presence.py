"""Presence: the persons who have a conversation open now, and those of them who write in it.

It is kept in the memory of the process that serves an organisation's pages, ends with the page, and is never
recorded: that somebody is here is no reading, and the reading is in the log already.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.messageclient.live.openpages import Present
from samdrift.messageclient.mail import Person
from samdrift.scheduling.signals import Signals
from samdrift.wire.identifiers import ParticipantIdentifier

POLLED_FOR = timedelta(seconds=45)
"""Time for which a page that asks now and then counts as open after it has asked."""
_MAX_STAYS = 5_000
"""Pages of one organisation that are kept in mind; further ones are open unseen."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A page on which a person has a conversation open."""

    person: Person
    mailbox: str
    conversation: str
    writing: bool


class Presence:
    """Everyone who is here, by organisation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stays: defaultdict[ParticipantIdentifier, dict[Stay, int]] = defaultdict(dict)
        self._polled: defaultdict[ParticipantIdentifier, dict[Stay, datetime]] = defaultdict(dict)
        self.changes = Signals()
        """Raised for an organisation when somebody comes or goes."""

    @contextlib.contextmanager
    def during(self, organisation: ParticipantIdentifier, stay: Stay) -> Iterator[None]:
        """Count a person as present while the context lasts."""
        stays = self._stays[organisation]
        if len(stays) >= _MAX_STAYS and stay not in stays:
            yield
            return
        stays[stay] = stays.get(stay, 0) + 1
        self.changes.notify(organisation)
        try:
            yield
        finally:
            stays[stay] -= 1
            if not stays[stay]:
                del stays[stay]
            if not stays:
                self._stays.pop(organisation, None)
            self.changes.notify(organisation)

    def polled(self, organisation: ParticipantIdentifier, stay: Stay) -> None:
        """Count a person as present for a while."""
        now, polled = self._clock(), self._polled[organisation]
        for gone in [each for each, until in polled.items() if until <= now]:
            del polled[gone]
        if stay in polled or len(polled) < _MAX_STAYS:
            new = stay not in polled
            polled[stay] = now + POLLED_FOR
            if new:
                self.changes.notify(organisation)

    def others(
        self, organisation: ParticipantIdentifier, person: str, mailboxes: Collection[str]
    ) -> Mapping[str, tuple[Present, ...]]:
        """Return who else has conversations in some mailboxes open, by conversation; writers first."""
        now = self._clock()
        stays = [
            *self._stays.get(organisation, ()),
            *(stay for stay, until in self._polled.get(organisation, {}).items() if until > now),
        ]
        found: defaultdict[str, dict[str, Present]] = defaultdict(dict)
        for stay in sorted(stays, key=lambda each: each.writing):
            if stay.mailbox in mailboxes and stay.person.id != person:
                found[stay.conversation][stay.person.id] = Present(stay.person, writing=stay.writing)
        return {
            conversation: tuple(
                sorted(there.values(), key=lambda one: (not one.writing, one.person.name.casefold()))
            )
            for conversation, there in found.items()
        }
