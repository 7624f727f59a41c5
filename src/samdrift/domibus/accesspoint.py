"""A Domibus as an access point: an adapter from its plugin to interface C as the message service uses it.

Differences from our own access point, and how they are bridged:

- Domibus lets the backend choose the message id. It is derived from the envelope's id, so a call without an
  answer can be repeated: Domibus refuses a second message with the id, and the status shows that the first
  one was accepted.
- There are no events. The status of each transfer under way is queried (:class:`Transfers`), and changes are
  reported as interface C reports them.
- The list of waiting messages has only ids. A message is retrieved without being marked, once for its header
  (:class:`WaitingMessages`) and once to be stored, and it is marked as downloaded when the message service
  has stored it durably.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Sequence,
)
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.transfer import (
    OVER_A_NETWORK,
    InboxItem,
    Poll,
    Submission,
    TransferEvent,
    TransferReason,
    TransferRefused,
    TransferState,
    TransferUnavailable,
    UnderWay,
)
from samdrift.domibus.plugin import Plugin, PluginRefused, PluginUnclear, Retrieved
from samdrift.domibus.wire import ErrorEntry, MessageStatus, OutgoingMessage
from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

_PIECE = 64 << 10

GONE = "WS_PLUGIN:0009"
"""Fault code for a message that is not, or no longer, waiting."""

_PAGE = 20
"""Maximum number of messages that one poll reports."""
_SOON = timedelta(seconds=30)

_LATER = timedelta(minutes=10)
"""Times after which to retry a message that was incomplete, or one that could not be used."""
_LOGGER = logging.getLogger("samdrift")
_DELIVERED = frozenset({MessageStatus.ACKNOWLEDGED, MessageStatus.ACKNOWLEDGED_WITH_WARNING})
_WAITS = frozenset({MessageStatus.SEND_ATTEMPT_FAILED, MessageStatus.WAITING_FOR_RETRY})
_FAILED = frozenset({MessageStatus.SEND_FAILURE})

_LOST = frozenset({MessageStatus.NOT_FOUND, MessageStatus.DELETED})
"""Statuses of a message that Domibus has forgotten: the outcome of its transfer is no longer known."""

_BY_CODE = {
    "EBMS:0005": TransferReason.PEER_UNREACHABLE,
    "EBMS:0301": TransferReason.RECEIPT_INVALID,
    "EBMS:0302": TransferReason.RECEIPT_INVALID,
}
_NOT_SERVICED = "NOT_SERVICED"

Known = Callable[[], Awaitable[Sequence[UnderWay]]]
"""Function that returns the transfers whose outcome the message service does not know."""

_FRESH = timedelta(minutes=1)
"""Time for which a new submission is remembered here; by then it is in the vault."""

_ANEW = timedelta(minutes=10)
"""Interval between queries to the vault, since another process may have submitted something and died."""

_AT_ONCE = 50
"""Maximum number of transfers queried in one round, starting with those not queried for the longest time."""

_INVALID = frozenset({"EBMS:0007", "EBMS:0009", "WS_PLUGIN:0005"})
"""Fault codes that would recur with the same envelope; other faults are classified by their text."""


@dataclass(frozen=True, slots=True)
class DomibusSettings:
    """An organisation's settings for a Domibus."""

    organisation: ParticipantIdentifier
    party: str
    message_id_domain: str
    poll_seconds: float


class DomibusAccessPoint:
    """One organisation's access to a Domibus.

    Implements :class:`samdrift.contracts.transfer.AccessPoint`.
    """

    def __init__(self, settings: DomibusSettings, plugin: Plugin, known: Known, clock: Clock) -> None:
        self.longest_wait = OVER_A_NETWORK
        self._settings = settings
        self._plugin = plugin
        self._transfers = Transfers(plugin, Watch(known, clock), self._message_id, clock)
        self._waiting = WaitingMessages(plugin, settings.organisation, clock)

    async def submit(
        self, envelope_id: str, conversation_id: str, body: bytes | AsyncIterable[bytes]
    ) -> Submission:
        envelope = OutgoingEnvelope(body)
        header = await self._header(envelope_id, envelope)
        message = self._outgoing(header, conversation_id)
        created = True
        try:
            given = await self._plugin.submit(message, envelope.pieces(), envelope.size)
        except PluginRefused as refusal:
            if not await self._has(message.message_id):
                raise _refused(refusal) from None
            created = False
        except WireError as error:
            raise TransferRefused(TransferReason.ENVELOPE_INVALID, error.text) from None
        else:
            if given != message.message_id:
                # Domibus is already sending the message, so another attempt would send it twice.
                raise TransferRefused(TransferReason.GIVEN_UP, "Domibus took the message under another id")
        self._transfers.submitted(envelope_id)
        return Submission(envelope_id, message.message_id, created)

    async def poll(self, after: int, wait: float, taken: Collection[str] = (), past: str = "") -> Poll:
        """Poll as the protocol specifies; Domibus does not number events, so they repeat ``after``."""
        for item_id in taken:
            try:
                await self._plugin.mark_downloaded(item_id)
            except PluginRefused as refusal:
                self._waiting.not_marked(item_id, refusal)
        now = asyncio.get_running_loop().time
        end = now() + wait
        while True:
            found = Poll(await self._transfers.news(after), await self._inbox(past))
            left = end - now()
            if found.events or found.inbox or left <= 0:
                self._transfers.told(found.events)
                return found
            await asyncio.sleep(min(self._settings.poll_seconds, left))

    async def fetch(self, item_id: str) -> AsyncGenerator[bytes, None]:
        try:
            async with self._plugin.retrieve(item_id) as retrieved:
                self._waiting.check(item_id, retrieved)
                async for piece in retrieved.payload():
                    yield piece
        except PluginRefused as refusal:
            raise _unavailable(refusal, "retrieve") from None
        except NotForUs as refusal:
            raise TransferUnavailable(f"retrieve: {refusal}") from None
        except WireError as error:
            raise TransferUnavailable(f"retrieve: {error.text}") from None

    async def acknowledge(self, item_id: str) -> None:
        try:
            await self._plugin.mark_downloaded(item_id)
        except PluginRefused as refusal:
            if refusal.fault.code != GONE:
                raise _unavailable(refusal, "mark") from None

    async def _header(self, envelope_id: str, envelope: OutgoingEnvelope) -> EnvelopeHeader:
        """Read and check the envelope's header, which Domibus does not examine."""
        try:
            header = await envelope.header()
        except WireError as error:
            raise TransferRefused(TransferReason.ENVELOPE_INVALID, error.text) from None
        if (header.id, header.sender) != (envelope_id, self._settings.organisation):
            raise TransferRefused(TransferReason.ENVELOPE_INVALID, "the envelope is another one")
        return header

    def _outgoing(self, header: EnvelopeHeader, conversation_id: str) -> OutgoingMessage:
        return OutgoingMessage(
            message_id=self._message_id(header.id),
            conversation_id=conversation_id,
            party=self._settings.party,
            sender=header.sender,
            recipient=header.recipient,
            document=header.document,
            process=header.process,
        )

    def _message_id(self, envelope_id: str) -> str:
        """Return the same id in every call (RFC 5322 form); the domain is used for nothing else."""
        return f"{envelope_id}@{self._settings.message_id_domain}"

    async def _has(self, message_id: str) -> bool:
        """Return whether Domibus has a message that it refused, because it had accepted it before."""
        try:
            return await self._plugin.status(message_id) is not MessageStatus.NOT_FOUND
        except PluginRefused as refusal:
            raise _unavailable(refusal, "status") from None

    async def _inbox(self, past: str) -> tuple[InboxItem, ...]:
        try:
            return await self._waiting.after(past)
        except PluginRefused as refusal:
            raise _unavailable(refusal, "list") from None


def _refused(refusal: PluginRefused) -> TransferRefused | TransferUnavailable:
    if refusal.fault.code in _INVALID:
        text = f"{refusal.fault.code} {refusal.fault.text}".strip()
        return TransferRefused(TransferReason.ENVELOPE_INVALID, text)
    return _unavailable(refusal, "submit")


class OutgoingEnvelope:
    """The bytes of one envelope, in memory or as they arrive; can be read only once."""

    def __init__(self, body: bytes | AsyncIterable[bytes]) -> None:
        self.size = len(body) if isinstance(body, bytes) else None
        self._source = _in_pieces(body)
        self._begun: list[bytes] = []

    async def header(self) -> EnvelopeHeader:
        """Read the envelope's header; raise :class:`WireError` if it is not an envelope."""
        scanner = HeaderScanner()
        async for piece in self._source:
            self._begun.append(piece)
            scanner.feed(piece)
            if scanner.header is not None:
                return scanner.header
        return scanner.close()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the whole envelope."""
        for piece in self._begun:
            yield piece
        async for piece in self._source:
            yield piece


async def _in_pieces(body: bytes | AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    if isinstance(body, bytes):
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]
    else:
        async for piece in body:
            yield piece


class NotForUs(Exception):
    """A message must not be passed to the organisation."""


class WaitingMessages:
    """Headers of waiting messages, remembered so that each message is opened only once to report it.

    A message that names another recipient, or is not an envelope of the federation, is never passed on: it
    stays in Domibus, and a warning in the program's log gives the reason.
    """

    def __init__(self, plugin: Plugin, organisation: ParticipantIdentifier, clock: Clock) -> None:
        self._plugin = plugin
        self._organisation = organisation
        self._clock = clock
        self._known: dict[str, InboxItem] = {}
        self._passed_over: dict[str, datetime] = {}

    async def after(self, past: str) -> tuple[InboxItem, ...]:
        """Return the first waiting messages, starting after ``past`` if that is still among them."""
        ids = list(dict.fromkeys(await self._plugin.pending(self._organisation.value)))
        self._forget_all_but(ids)
        start = ids.index(past) + 1 if past in ids else 0
        found: list[InboxItem] = []
        for message_id in ids[start:]:
            if message_id in self._passed_over:
                continue
            item = self._known.get(message_id) or await self._look_at(message_id)
            if item is not None:
                found.append(item)
            if len(found) == _PAGE:
                break
        return tuple(found)

    def check(self, message_id: str, retrieved: Retrieved) -> None:
        """Raise :class:`NotForUs` unless this is the requested message, and for this organisation."""
        if retrieved.message.message_id != message_id:
            raise NotForUs("not the requested message")
        if retrieved.message.recipient != self._organisation:
            raise NotForUs("names another recipient")

    def not_marked(self, message_id: str, refusal: PluginRefused) -> None:
        """Skip a stored message that Domibus refused to mark, so that it does not delay others.

        It is reported again later, and marked again when it is recognised.
        """
        if refusal.fault.code != GONE:
            self._pass_over(message_id, f"not marked, fault {refusal.fault.code}".strip(), _LATER)

    def _forget_all_but(self, ids: Sequence[str]) -> None:
        now, waiting = self._clock(), set(ids)
        self._known = {each: item for each, item in self._known.items() if each in waiting}
        self._passed_over = {
            each: until
            for each, until in self._passed_over.items()
            if each in waiting and now < until <= now + _LATER
        }

    async def _look_at(self, message_id: str) -> InboxItem | None:
        """Return a message by its header; ``None`` if it cannot be passed on now."""
        try:
            async with self._plugin.retrieve(message_id) as retrieved:
                self.check(message_id, retrieved)
                item = self._item(retrieved)
                await retrieved.pass_over()
        except NotForUs as refusal:
            self._pass_over(message_id, str(refusal), _LATER)
        except WireError as error:
            self._pass_over(message_id, error.text, _LATER)
        except PluginRefused as refusal:
            self._pass_over(message_id, f"fault {refusal.fault.code}", _LATER)
        except TransferUnavailable as failure:
            self._pass_over(message_id, failure.text, _SOON)
        else:
            self._known[message_id] = item
            return item
        return None

    def _pass_over(self, message_id: str, why: str, so_long: timedelta) -> None:
        self._passed_over[message_id] = self._clock() + so_long
        organisation = self._organisation.value
        _LOGGER.warning("Domibus of %s: message %a skipped: %a", organisation, message_id, why)

    def _item(self, retrieved: Retrieved) -> InboxItem:
        """Return the inbox item; Domibus gives no time of arrival, so it is the time when first seen here."""
        message = retrieved.message
        return InboxItem(
            id=message.message_id,
            envelope_id="",
            sender=message.sender.value,
            recipient=message.recipient.value,
            document=message.document.value,
            conversation_id=message.conversation_id,
            as4_message_id=message.message_id,
            peer=message.peer,
            received_at=self._clock(),
            size=0,
        )


def _unavailable(refusal: PluginRefused, what: str) -> TransferUnavailable:
    """Return a fault as a temporary error."""
    text = f"{refusal.fault.code} {refusal.fault.text}".strip()
    return TransferUnavailable(f"{what}: Domibus answers {text}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state of a transfer, with the reason for it."""

    state: TransferState
    reason: TransferReason
    detail: str


def waits(status: MessageStatus) -> bool:
    """Return whether an attempt failed and another one follows."""
    return status in _WAITS


def _needs_errors(status: MessageStatus) -> bool:
    """Return whether error entries say more about a message with this status."""
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
        detail = f"{status.value}: Domibus no longer knows how the transfer ended"
        return Outcome(TransferState.FAILED, TransferReason.GIVEN_UP, detail)
    return None


def _cause(errors: Sequence[ErrorEntry]) -> tuple[TransferReason, str]:
    """Return the last error from the other access point or, if it sent none, from Domibus itself."""
    signalled = [error for error in errors if error.by_peer]
    last = max(signalled or errors, key=lambda error: error.at, default=None)
    if last is None:
        return TransferReason.GIVEN_UP, "Domibus reports no error"
    detail = f"{last.code} {last.detail}".strip()
    if last.detail.strip() == _NOT_SERVICED:
        return TransferReason.NOT_SERVICED, detail
    if last.by_peer:
        return TransferReason.PEER_REFUSED, detail
    return _BY_CODE.get(last.code, TransferReason.GIVEN_UP), detail


class Watch:
    """The transfers under way that this process must know, since Domibus reports no events.

    The message service's vault knows them. It is queried at the start, so that a restart loses nothing, and
    then only when something may have changed, because each opening of a vault leaves an entry in the
    organisation's log.
    """

    def __init__(self, known: Known, clock: Clock) -> None:
        self._ask = known
        self._clock = clock
        self._known: dict[str, UnderWay] = {}
        self._fresh: dict[str, datetime] = {}
        self._asked: datetime | None = None

    def submitted(self, envelope_id: str) -> None:
        """Note that Domibus now has the envelope."""
        self._fresh[envelope_id] = self._clock()

    def told(self, events: Iterable[TransferEvent]) -> None:
        """Note that the message service gets these events, and updates its vault accordingly."""
        for event in events:
            self._asked = None
            if event.state is not TransferState.QUEUED:
                self._fresh.pop(event.envelope_id, None)

    async def under_way(self) -> list[UnderWay]:
        """Return all transfers under way: those in the vault first, the most urgent at the front.

        A new transfer's waiting is reported only once the vault has it, since each event must change
        something there.
        """
        now = self._clock()
        aged = [each for each, since in self._fresh.items() if now >= since + _FRESH]
        if aged or self._asked is None or abs(now - self._asked) >= _ANEW:
            self._known = {each.envelope_id: each for each in await self._ask()}
            self._asked = now
        for each in aged:
            self._fresh.pop(each, None)
        fresh = [UnderWay(each, wait_reported=True) for each in self._fresh if each not in self._known]
        return [*self._known.values(), *fresh]


class Transfers:
    """The transfers under way, whose status is queried in turn so that none is forgotten (invariant 8)."""

    def __init__(self, plugin: Plugin, watch: Watch, message_id: Callable[[str], str], clock: Clock) -> None:
        """Use ``message_id`` to derive the id in Domibus from an envelope's id."""
        self._plugin = plugin
        self._watch = watch
        self._message_id = message_id
        self._clock = clock
        self._asked_in: dict[str, int] = {}
        self._round = 0

    def submitted(self, envelope_id: str) -> None:
        """Note that Domibus has the envelope."""
        self._watch.submitted(envelope_id)

    def told(self, events: Iterable[TransferEvent]) -> None:
        """Note that the message service gets these events."""
        self._watch.told(events)

    async def news(self, place: int) -> tuple[TransferEvent, ...]:
        """Return new events of transfers, all with the sequence number ``place``."""
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
        """Return the outcome of a transfer; ``None`` if it is unchanged, or Domibus gives no clear answer.

        An unclear answer does not delay other transfers; such a transfer ends with its deadline.
        """
        try:
            status = await self._plugin.status(message_id)
        except (PluginRefused, PluginUnclear):
            return None
        if waits(status) and transfer.wait_reported:
            return None
        return outcome(status, await self._errors(message_id) if _needs_errors(status) else ())

    async def _errors(self, message_id: str) -> tuple[ErrorEntry, ...]:
        try:
            return await self._plugin.errors(message_id)
        except (PluginRefused, PluginUnclear):
            return ()
