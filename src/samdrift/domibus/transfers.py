"""What is new of the transfers under way, as events that a message service knows from interface C."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from samdrift.contracts.clock import Clock
from samdrift.contracts.transfer import TransferEvent, UnderWay
from samdrift.domibus.outcome import Outcome, needs_errors, outcome, waits
from samdrift.domibus.plugin import Plugin, PluginRefused, PluginUnclear
from samdrift.domibus.underway import Watch
from samdrift.domibus.wire import ErrorEntry

_AT_ONCE = 50
"""Transfers that are asked about in one round, those first that were not asked about for longest."""


class Transfers:
    """Asks Domibus about one transfer after the other, and forgets none (invariant 8)."""

    def __init__(self, plugin: Plugin, watch: Watch, message_id: Callable[[str], str], clock: Clock) -> None:
        """``message_id`` gives the id in Domibus of an envelope."""
        self._plugin = plugin
        self._watch = watch
        self._message_id = message_id
        self._clock = clock
        self._asked_in: dict[str, int] = {}
        self._round = 0

    def submitted(self, envelope_id: str) -> None:
        """Domibus has that envelope."""
        self._watch.submitted(envelope_id)

    def told(self, events: Iterable[TransferEvent]) -> None:
        """The message service gets these events."""
        self._watch.told(events)

    async def news(self, place: int) -> tuple[TransferEvent, ...]:
        """What has happened to transfers, all at ``place``."""
        under_way = await self._watch.under_way()
        self._round += 1
        asked_in = {each.envelope_id: self._asked_in.get(each.envelope_id, 0) for each in under_way}
        now = sorted(under_way, key=lambda each: asked_in[each.envelope_id])[:_AT_ONCE]
        self._asked_in = asked_in | {each.envelope_id: self._round for each in now}
        events = [await self._event(each, place) for each in now]
        return tuple(event for event in events if event is not None)

    async def _event(self, transfer: UnderWay, place: int) -> TransferEvent | None:
        message_id = self._message_id(transfer.envelope_id)
        found = await self._outcome(transfer, message_id)
        if found is None:
            return None
        return TransferEvent(
            sequence=place,
            at=self._clock(),
            envelope_id=transfer.envelope_id,
            transfer_id=message_id,
            as4_message_id=message_id,
            state=found.state,
            reason=found.reason,
            detail=found.detail,
        )

    async def _outcome(self, transfer: UnderWay, message_id: str) -> Outcome | None:
        """One that Domibus will not speak of clearly holds up no other; it ends with its deadline."""
        try:
            status = await self._plugin.status(message_id)
        except (PluginRefused, PluginUnclear):
            return None
        if waits(status) and transfer.wait_told:
            return None
        return outcome(status, await self._errors(message_id) if needs_errors(status) else ())

    async def _errors(self, message_id: str) -> tuple[ErrorEntry, ...]:
        try:
            return await self._plugin.errors(message_id)
        except (PluginRefused, PluginUnclear):
            return ()
