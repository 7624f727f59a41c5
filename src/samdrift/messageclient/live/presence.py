"""Presence: the people who currently have a conversation open, and which of them are writing in it.

It is kept in the memory of the processes that serve an organisation's pages, ends with the page, and is never
recorded: presence is not reading, and reading is already logged. If there are several processes, each is
informed by the others (:mod:`samdrift.installation.presence`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from samdrift.contracts.clock import Clock
from samdrift.messageclient.live.openpages import Present
from samdrift.messageclient.mail import Person
from samdrift.scheduling.signals import Signals
from samdrift.wire.identifiers import ParticipantIdentifier

POLLED_FOR = timedelta(seconds=45)
"""Time for which a page without a stream counts as open after it has polled."""
_MAX_STAYS = 5_000
"""Maximum number of an organisation's open pages that are tracked; further ones are not noticed."""
_MAX_TOLD = 100
"""Maximum number of an organisation's open pages that are reported to other processes."""
_MAX_LINE = 59_000
"""Maximum size of such a report in bytes of JSON text; a line of more than 64 KiB would be lost."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A page on which a person has a conversation open."""

    person: Person
    mailbox: str
    conversation: str
    writing: bool


@dataclass(frozen=True, slots=True)
class _Heard:
    """Pages that are open at another process, as last reported."""

    stays: frozenset[Stay]
    until: datetime
    """Time at which the report expires."""


class Presence:
    """People present, by organisation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stays: defaultdict[ParticipantIdentifier, dict[Stay, int]] = defaultdict(dict)
        self._polled: defaultdict[ParticipantIdentifier, dict[Stay, datetime]] = defaultdict(dict)
        self.changes = Signals()
        """Signals for each organisation, sent when a person comes or goes."""
        self._elsewhere: defaultdict[ParticipantIdentifier, dict[int, _Heard]] = defaultdict(dict)
        self._untold: set[ParticipantIdentifier] = set()
        self._something = asyncio.Event()

    @contextlib.contextmanager
    def during(self, organisation: ParticipantIdentifier, stay: Stay) -> Iterator[None]:
        """Count a person as present while the context lasts."""
        stays = self._stays[organisation]
        if len(stays) >= _MAX_STAYS and stay not in stays:
            yield
            return
        stays[stay] = stays.get(stay, 0) + 1
        self._notify(organisation)
        try:
            yield
        finally:
            stays[stay] -= 1
            if not stays[stay]:
                del stays[stay]
            if not stays:
                self._stays.pop(organisation, None)
            self._notify(organisation)

    def polled(self, organisation: ParticipantIdentifier, stay: Stay) -> None:
        """Count a person as present for a while after their page has polled."""
        now, polled = self._clock(), self._polled[organisation]
        for gone in [each for each, until in polled.items() if until <= now]:
            del polled[gone]
        if stay in polled or len(polled) < _MAX_STAYS:  # Bounds memory in any case.
            new = stay not in polled
            polled[stay] = now + POLLED_FOR
            if new:
                self._notify(organisation)

    def _notify(self, organisation: ParticipantIdentifier) -> None:
        self._untold.add(organisation)
        self._something.set()
        self.changes.notify(organisation)

    async def changed(self, within: float) -> Collection[ParticipantIdentifier]:
        """Return organisations with changes, or after ``within`` seconds all with people present here."""
        try:
            async with asyncio.timeout(within):
                await self._something.wait()
        except TimeoutError:
            self._untold.update(self._stays, self._polled)
            now = self._clock()
            for each in [one for one, polled in self._polled.items() if max(polled.values()) <= now]:
                del self._polled[each]
        self._something.clear()
        untold, self._untold = self._untold, set()
        return untold

    def own(self, organisation: ParticipantIdentifier) -> list[list[Any]]:
        """Return the people present in this process, in the form reported to other processes."""
        told, room = list[list[Any]](), _MAX_LINE
        for each in dict.fromkeys(self._here(organisation)):
            page = [each.person.id, each.person.name, each.mailbox, each.conversation, each.writing]
            room -= len(json.dumps(json.dumps(page)))
            if room < 0 or len(told) == _MAX_TOLD:
                break
            told.append(page)
        return told

    def hear(self, process: int, organisation: ParticipantIdentifier, told: Sequence[Sequence[Any]]) -> None:
        """Store who is present at another process, until its next report or expiry."""
        stays = frozenset(
            Stay(Person(str(person), str(name)), str(mailbox), str(conversation), bool(writing))
            for person, name, mailbox, conversation, writing in told
        )
        elsewhere, now = self._elsewhere[organisation], self._clock()
        before = elsewhere.pop(process, None)
        if stays:
            elsewhere[process] = _Heard(stays, now + POLLED_FOR)
        if not elsewhere:
            self._elsewhere.pop(organisation, None)
        if stays != (frozenset() if before is None else before.stays):
            self.changes.notify(organisation)

    def _here(self, organisation: ParticipantIdentifier) -> Iterator[Stay]:
        now = self._clock()
        yield from self._stays.get(organisation, ())
        yield from (stay for stay, until in self._polled.get(organisation, {}).items() if until > now)

    def others(
        self, organisation: ParticipantIdentifier, person: str, mailboxes: Collection[str]
    ) -> Mapping[str, tuple[Present, ...]]:
        """Return who else has conversations in the given mailboxes open, by conversation; writers first."""
        now = self._clock()
        elsewhere = self._elsewhere.get(organisation, {}).values()
        stays = [
            *self._here(organisation),
            *(stay for heard in elsewhere if heard.until > now for stay in heard.stays),
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
