"""News about transfers under way, as events of interface C."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.transfer import TransferEvent, TransferReason, TransferState, UnderWay
from samdrift.domibus.plugin import Plugin, PluginRefused, PluginUnclear
from samdrift.domibus.wire import ErrorEntry, MessageStatus

_DELIVERED = frozenset({MessageStatus.ACKNOWLEDGED, MessageStatus.ACKNOWLEDGED_WITH_WARNING})
_WAITS = frozenset({MessageStatus.SEND_ATTEMPT_FAILED, MessageStatus.WAITING_FOR_RETRY})
_FAILED = frozenset({MessageStatus.SEND_FAILURE})
_LOST = frozenset({MessageStatus.NOT_FOUND, MessageStatus.DELETED})
"""Domibus has forgotten the message, or its content: how its transfer ended cannot be told any more."""

_BY_CODE = {
    "EBMS:0005": TransferReason.PEER_UNREACHABLE,
    "EBMS:0301": TransferReason.RECEIPT_INVALID,
    "EBMS:0302": TransferReason.RECEIPT_INVALID,
}
_NOT_SERVICED = "NOT_SERVICED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """State of a transfer."""

    state: TransferState
    reason: TransferReason
    detail: str


def waits(status: MessageStatus) -> bool:
    """Return whether an attempt failed and another one follows."""
    return status in _WAITS


def needs_errors(status: MessageStatus) -> bool:
    """Return whether the errors tell more about a message with this status."""
    return status in _WAITS | _FAILED


def outcome(status: MessageStatus, errors: Sequence[ErrorEntry]) -> Outcome | None:
    """Return the outcome to report; ``None`` while the message is on its way."""
    if status in _DELIVERED:
        return Outcome(TransferState.DELIVERED, TransferReason.NONE, "")
    if status in _WAITS:
        return Outcome(TransferState.QUEUED, *_cause(errors))
    if status in _FAILED:
        return Outcome(TransferState.FAILED, *_cause(errors))
    if status in _LOST:
        detail = f"{status.value}: Domibus cannot tell any more how the transfer ended"
        return Outcome(TransferState.FAILED, TransferReason.GIVEN_UP, detail)
    return None


def _cause(errors: Sequence[ErrorEntry]) -> tuple[TransferReason, str]:
    """The other access point's last word; what Domibus itself met only when it said nothing."""
    signalled = [error for error in errors if error.by_peer]
    last = max(signalled or errors, key=lambda error: error.at, default=None)
    if last is None:
        return TransferReason.GIVEN_UP, "Domibus tells no error"
    detail = f"{last.code} {last.detail}".strip()
    if last.detail.strip() == _NOT_SERVICED:
        return TransferReason.NOT_SERVICED, detail
    if last.by_peer:
        return TransferReason.PEER_REFUSED, detail
    return _BY_CODE.get(last.code, TransferReason.GIVEN_UP), detail


Known = Callable[[], Awaitable[Sequence[UnderWay]]]
"""Gives the transfers whose end the message service does not know."""

_FRESH = timedelta(minutes=1)
"""Time that what was just submitted is remembered here: by then it is in the vault."""
_ANEW = timedelta(minutes=10)
"""Time between two questions to the vault: another process may have submitted something, and died."""


class Watch:
    """The transfers under way, as far as this process must know them: a Domibus reports no events.

    The vault of the message service knows them. It is asked at the start, so that a
    restart loses nothing, and then only when something may have changed: each
    opening of a vault leaves an entry in the organisation's log.
    """

    def __init__(self, known: Known, clock: Clock) -> None:
        self._ask = known
        self._clock = clock
        self._known: dict[str, UnderWay] = {}
        self._fresh: dict[str, datetime] = {}
        self._asked: datetime | None = None

    def submitted(self, envelope_id: str) -> None:
        """Domibus has that envelope now."""
        self._fresh[envelope_id] = self._clock()

    def told(self, events: Iterable[TransferEvent]) -> None:
        """The message service is told this, and keeps what it makes of it in its vault."""
        for event in events:
            self._asked = None
            if event.state is not TransferState.QUEUED:
                self._fresh.pop(event.envelope_id, None)

    async def under_way(self) -> list[UnderWay]:
        """All of them; those of the vault come first, the most urgent before the others.

        That a fresh one waits is told when the vault has it: what is told must change something there.
        """
        now = self._clock()
        aged = [each for each, since in self._fresh.items() if now >= since + _FRESH]
        if aged or self._asked is None or now >= self._asked + _ANEW:
            self._known = {each.envelope_id: each for each in await self._ask()}
            self._asked = now
        for each in aged:
            self._fresh.pop(each, None)
        fresh = [UnderWay(each, wait_told=True) for each in self._fresh if each not in self._known]
        return [*self._known.values(), *fresh]


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
        """Return what has happened to transfers, all at ``place``."""
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
