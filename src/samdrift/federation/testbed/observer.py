"""Observation of interface C for one participant: outcomes of transfers, and received envelopes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from samdrift.contracts.transfer import AccessPoint, InboxItem, TransferEvent, TransferState
from samdrift.federation.testbed.envelopes import payload_of
from samdrift.wire import receipt as receipts
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import RECEIPT_BASE, RECEIPT_EXTENDED, DocumentIdentifier

T = TypeVar("T")
_WAIT = 5.0
_KEPT = 1 << 20


@dataclass(frozen=True, slots=True)
class Arrived:
    """A fetched envelope: the access point's description of it, its digest, and its bytes if it is small."""

    item: InboxItem
    sha256: str
    data: bytes


class Observer:
    """Records events and envelopes as they become known; fetched envelopes are acknowledged."""

    def __init__(self, access_point: AccessPoint) -> None:
        self._access_point = access_point
        self._events: dict[str, TransferEvent] = {}
        self._items: dict[str, list[Arrived]] = {}
        self._receipts: dict[str, ReceiptStatus] = {}
        self._seen: set[str] = set()
        self._place = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Poll while the context lasts."""
        await self._catch_up()
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def outcome(self, envelope_id: str, within: float) -> TransferEvent | None:
        """Return the final event of a transfer, or ``None`` if there is none in time."""

        def final() -> TransferEvent | None:
            event = self._events.get(envelope_id)
            return event if event and event.state is not TransferState.QUEUED else None

        return await self._until(final, within)

    async def items(self, envelope_id: str, within: float) -> list[Arrived]:
        """Return the items with an envelope id once one has arrived; empty after ``within`` seconds."""
        return await self._until(lambda: self._items.get(envelope_id), within) or []

    async def receipt_for(self, message_id: str, within: float) -> ReceiptStatus | None:
        """Return the message receipt for a submitted message, or ``None`` if none came in time."""
        return await self._until(lambda: self._receipts.get(message_id), within)

    async def _until(self, found: Callable[[], T | None], within: float) -> T | None:
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait_for(lambda: found() is not None), within)
            return found()

    async def _catch_up(self) -> None:
        """Skip everything that earlier runs left."""
        while True:
            poll = await self._access_point.poll(self._place, 0)
            if not poll.events:
                self._seen = {item.id for item in poll.inbox}
                return
            self._place = poll.events[-1].sequence

    async def _watch(self) -> None:
        taken: list[str] = []
        while True:
            poll = await self._access_point.poll(self._place, _WAIT, taken)
            arrived = [await self._fetch(item) for item in poll.inbox if item.id not in self._seen]
            taken = [one.item.id for one in arrived]
            self._seen.update(taken)
            async with self._changed:
                for event in poll.events:
                    self._events[event.envelope_id] = event
                    self._place = event.sequence
                for one in arrived:
                    self._items.setdefault(one.item.envelope_id, []).append(one)
                    self._note_receipt(one)
                self._changed.notify_all()

    def _note_receipt(self, arrived: Arrived) -> None:
        if DocumentIdentifier(arrived.item.document) not in (RECEIPT_EXTENDED, RECEIPT_BASE):
            return
        with contextlib.suppress(WireError):
            receipt = receipts.parse(payload_of(arrived.data))
            self._receipts[receipt.message_id] = receipt.status

    async def _fetch(self, item: InboxItem) -> Arrived:
        digest, kept = hashlib.sha256(), bytearray()
        async for piece in self._access_point.fetch(item.id):
            digest.update(piece)
            if len(kept) + len(piece) <= _KEPT:
                kept += piece
        return Arrived(item, digest.hexdigest(), bytes(kept))
