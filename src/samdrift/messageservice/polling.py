"""One loop per organisation that asks its access point for news, and hands them on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from samdrift.audit.operations import unexpected
from samdrift.contracts.clock import Clock
from samdrift.contracts.discovery import DiscoveryError
from samdrift.contracts.transfer import AccessPoint, InboxItem, TransferUnavailable
from samdrift.messageservice.inbox import Inbox
from samdrift.messageservice.settings import MessageServiceSettings
from samdrift.messageservice.transfers import Transfers
from samdrift.vault.errors import VaultUnavailable
from samdrift.wire.identifiers import ParticipantIdentifier

_PASSING = (DiscoveryError, TransferUnavailable, VaultUnavailable)
_PAUSE = timedelta(seconds=5)


@dataclass(slots=True)
class _State:
    """Where one organisation's polling stands."""

    place: int | None = None
    """Sequence of the last event that was applied."""
    taken: set[str] = field(default_factory=set)
    """Items that are durable here and wait to be acknowledged with the next poll."""
    deferred: dict[str, datetime] = field(default_factory=dict)
    """Items that could not be taken over, and when to try again."""

    def due(self, inbox: Sequence[InboxItem], now: datetime) -> list[InboxItem]:
        """The items to take over now; forgets deferred ones that wait no more."""
        waiting = {item.id for item in inbox}
        self.deferred = {item: when for item, when in self.deferred.items() if item in waiting and when > now}
        return [item for item in inbox if item.id not in self.deferred]


class Polling:
    """Long polls of interface C for every organisation."""

    def __init__(
        self,
        settings: MessageServiceSettings,
        access_points: Mapping[ParticipantIdentifier, AccessPoint],
        inbox: Inbox,
        transfers: Transfers,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._access_points = access_points
        self._inbox = inbox
        self._transfers = transfers
        self._clock = clock
        self._unexpected = unexpected("message-service-polling")

    async def run(self, organisation: ParticipantIdentifier) -> None:
        """Poll until cancelled; what cannot be done now is tried again after a pause."""
        state = _State()
        while True:
            try:
                if state.place is None:
                    state.place = await self._transfers.place(organisation)
                await self._round(organisation, state, state.place)
            except _PASSING:
                await asyncio.sleep(_PAUSE.total_seconds())
            except Exception as error:
                self._unexpected(error)
                await asyncio.sleep(_PAUSE.total_seconds())

    async def _round(self, organisation: ParticipantIdentifier, state: _State, place: int) -> None:
        wait = 0.0 if state.deferred else self._settings.poll_wait
        taken = tuple(state.taken)
        poll = await self._access_points[organisation].poll(place, wait, taken)
        state.taken.difference_update(taken)
        if poll.events:
            state.place = await self._transfers.apply(organisation, poll.events)
        items = state.due(poll.inbox, self._clock())
        slots = asyncio.Semaphore(self._settings.parallel)
        async with asyncio.TaskGroup() as tasks:
            for item in items:
                tasks.create_task(self._take(organisation, item, state, slots))
        if state.deferred and not items and not poll.events:
            await asyncio.sleep(1)

    async def _take(
        self,
        organisation: ParticipantIdentifier,
        item: InboxItem,
        state: _State,
        slots: asyncio.Semaphore,
    ) -> None:
        async with slots:
            try:
                await self._inbox.take(organisation, item)
                state.taken.add(item.id)
                return
            except _PASSING:
                pass
            except Exception as error:
                self._unexpected(error)
            state.deferred[item.id] = self._clock() + self._settings.retry_after
