"""The operator's log as the console reads it: each entry once, keeping only those that pages need."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.console.opened import Open

_PAGE = 2000


class OperatorsLog:
    """Entries of certain events, each reading continuing after the one before."""

    def __init__(self, opened: Open, events: Collection[AuditEvent]) -> None:
        self._opened = opened
        self._events = frozenset(str(each) for each in events)
        self._entries: list[LogEntry] = []
        self._after = 0
        self._one_at_a_time = asyncio.Lock()

    async def entries(self) -> Sequence[LogEntry]:
        """Return all current entries of these events."""
        async with self._one_at_a_time:
            gate = (await self._opened()).gate
            while found := await gate.read_operator_log(self._after, _PAGE):
                self._entries += [each for each in found if str(each.event) in self._events]
                self._after = found[-1].sequence
            return tuple(self._entries)
