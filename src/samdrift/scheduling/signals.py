"""Notifications to waiters in this process that something may be new for an organisation."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from samdrift.wire.identifiers import ParticipantIdentifier


class Signals:
    """Counters per organisation that grow when something waited for may have changed.

    A caller that found nothing at a count need not open the vault again before the count grows: waiting costs
    no database work and no log entries.
    """

    def __init__(self) -> None:
        self._count: defaultdict[ParticipantIdentifier, int] = defaultdict(int)
        self._changed: defaultdict[ParticipantIdentifier, asyncio.Event] = defaultdict(asyncio.Event)

    def notify(self, organisation: ParticipantIdentifier) -> None:
        """Notify waiters that something may be new for an organisation."""
        self._count[organisation] += 1
        self._changed.pop(organisation, asyncio.Event()).set()

    def count(self, organisation: ParticipantIdentifier) -> int:
        return self._count[organisation]

    async def beyond(self, organisation: ParticipantIdentifier, count: int, within: float) -> bool:
        """Wait until the count is above ``count``; false if that takes more than ``within`` seconds."""
        try:
            async with asyncio.timeout(within):
                while self._count[organisation] <= count:
                    await self._changed[organisation].wait()
        except TimeoutError:
            return False
        return True
