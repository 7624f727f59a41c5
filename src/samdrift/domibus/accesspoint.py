"""Another supplier's access point: a Domibus as what the message service calls interface C.

What differs from our own access point, and how it is bridged:

- Domibus lets the backend choose the message id. It follows from the envelope's
  id, so a call that got no answer is made again: a second message with the id is
  refused by Domibus, and its status tells that the first one is there.
- There are no events. The status of each transfer under way is asked for
  (:mod:`samdrift.domibus.transfers`).
- Its list of what waits holds ids alone. A message is retrieved without being
  marked, once for its header and once to be taken over, and marked as downloaded
  when the message service has it durably.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Collection
from dataclasses import dataclass

from samdrift.contracts.clock import Clock
from samdrift.contracts.transfer import (
    InboxItem,
    Poll,
    Submission,
    TransferReason,
    TransferRefused,
    TransferUnavailable,
)
from samdrift.domibus.inbox import GONE, NotForUs, WaitingMessages, unavailable
from samdrift.domibus.plugin import Plugin, PluginRefused
from samdrift.domibus.transfers import Known, Transfers, Watch
from samdrift.domibus.wire import MessageStatus, OutgoingMessage
from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

_INVALID = frozenset({"EBMS:0007", "EBMS:0009", "WS_PLUGIN:0005"})
"""Faults that another attempt with the same envelope meets again; what others mean, their text tells."""


@dataclass(frozen=True, slots=True)
class DomibusSettings:
    """How one organisation stands at a Domibus."""

    organisation: ParticipantIdentifier
    party: str
    message_id_domain: str
    poll_seconds: float


class DomibusAccessPoint:
    """One organisation's access to a Domibus.

    Implements :class:`samdrift.contracts.transfer.AccessPoint`.
    """

    def __init__(self, settings: DomibusSettings, plugin: Plugin, known: Known, clock: Clock) -> None:
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
                # It is on its way: another attempt would send it a second time.
                raise TransferRefused(TransferReason.GIVEN_UP, "Domibus took the message under another id")
        self._transfers.submitted(envelope_id)
        return Submission(envelope_id, message.message_id, created)

    async def poll(self, after: int, wait: float, taken: Collection[str] = (), past: str = "") -> Poll:
        """As the protocol says; events have the asker's own place, since Domibus numbers none."""
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
            raise unavailable(refusal, "retrieve") from None
        except NotForUs as refusal:
            raise TransferUnavailable(f"retrieve: {refusal}") from None
        except WireError as error:
            raise TransferUnavailable(f"retrieve: {error.text}") from None

    async def acknowledge(self, item_id: str) -> None:
        try:
            await self._plugin.mark_downloaded(item_id)
        except PluginRefused as refusal:
            if refusal.fault.code != GONE:
                raise unavailable(refusal, "mark") from None

    async def _header(self, envelope_id: str, envelope: OutgoingEnvelope) -> EnvelopeHeader:
        """Read the envelope's header; Domibus does not examine it."""
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
        """The same in every call (RFC 5322 form); nobody else uses the domain."""
        return f"{envelope_id}@{self._settings.message_id_domain}"

    async def _has(self, message_id: str) -> bool:
        """Return whether Domibus has a message that it would not take: then it had taken it before."""
        try:
            return await self._plugin.status(message_id) is not MessageStatus.NOT_FOUND
        except PluginRefused as refusal:
            raise unavailable(refusal, "status") from None

    async def _inbox(self, past: str) -> tuple[InboxItem, ...]:
        try:
            return await self._waiting.after(past)
        except PluginRefused as refusal:
            raise unavailable(refusal, "list") from None


def _refused(refusal: PluginRefused) -> TransferRefused | TransferUnavailable:
    if refusal.fault.code in _INVALID:
        text = f"{refusal.fault.code} {refusal.fault.text}".strip()
        return TransferRefused(TransferReason.ENVELOPE_INVALID, text)
    return unavailable(refusal, "submit")


_PIECE = 64 << 10


class OutgoingEnvelope:
    """The bytes of one envelope, in memory or as they come; to be read once."""

    def __init__(self, body: bytes | AsyncIterable[bytes]) -> None:
        self.size = len(body) if isinstance(body, bytes) else None
        self._source = _in_pieces(body)
        self._begun: list[bytes] = []

    async def header(self) -> EnvelopeHeader:
        """Read the envelope's header; :class:`WireError` if it is not an envelope."""
        scanner = HeaderScanner()
        async for piece in self._source:
            self._begun.append(piece)
            scanner.feed(piece)
            if scanner.header is not None:
                return scanner.header
        return scanner.close()

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of the envelope."""
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
