"""One loop per organisation that asks its access point for news, and hands them on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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
        place: int | None = None
        deferred: dict[str, datetime] = {}
        while True:
            try:
                if place is None:
                    place = await self._transfers.place(organisation)
                place = await self._round(organisation, place, deferred)
            except _PASSING:
                await asyncio.sleep(_PAUSE.total_seconds())
            except Exception as error:
                self._unexpected(error)
                await asyncio.sleep(_PAUSE.total_seconds())

    async def _round(
        self, organisation: ParticipantIdentifier, place: int, deferred: dict[str, datetime]
    ) -> int:
        wait = 0.0 if deferred else self._settings.poll_wait
        poll = await self._access_points[organisation].poll(place, wait)
        if poll.events:
            place = await self._transfers.apply(organisation, poll.events)
        now = self._clock()
        items = [item for item in poll.inbox if deferred.get(item.id, now) <= now]
        async with asyncio.TaskGroup() as tasks:
            slots = asyncio.Semaphore(self._settings.parallel)
            for item in items:
                tasks.create_task(self._take(organisation, item, deferred, slots))
        if deferred and not items and not poll.events:
            await asyncio.sleep(1)
        return place

    async def _take(
        self,
        organisation: ParticipantIdentifier,
        item: InboxItem,
        deferred: dict[str, datetime],
        slots: asyncio.Semaphore,
    ) -> None:
        async with slots:
            try:
                await self._inbox.take(organisation, item)
                deferred.pop(item.id, None)
            except _PASSING:
                deferred[item.id] = self._clock() + self._settings.retry_after
            except Exception as error:
                self._unexpected(error)
                deferred[item.id] = self._clock() + self._settings.retry_after
