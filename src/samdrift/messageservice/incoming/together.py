"""Combined processing of the ordinary results of one poll in a single opening of the vault.

If taken over one by one, each envelope and each event would cost an opening with its own round trips, and all
of them would lock the head of the same log. Anything unusual, or that cannot be judged now, is left to
:class:`~samdrift.messageservice.incoming.inbox.Inbox`, and does not delay the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from samdrift.audit.operations import unexpected
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import InboxItem, TransferEvent
from samdrift.messageservice.incoming.inbox import Answer, Inbox, Storing, item_ids, refuse, settle
from samdrift.messageservice.incoming.judging import (
    Judgement,
    NewMessage,
    NewReceipt,
    SenderLimited,
    Unanswerable,
)
from samdrift.messageservice.lifecycle.ledger import held
from samdrift.messageservice.lifecycle.transfers import Transfers
from samdrift.messageservice.offloading import digest
from samdrift.messageservice.outgoing.sender import Sender
from samdrift.messageservice.settings import WORKER
from samdrift.scheduling.pace import Pace
from samdrift.vault.gate import Gate
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import MessageRecord
from samdrift.wire.identifiers import ParticipantIdentifier

_MOST = 8
"""Maximum number of envelopes in one opening, because each waits until all of them are judged."""
_WITHIN = 1.0
"""Seconds allowed for judging them; an envelope that takes longer is judged again by itself."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The part of a poll that was taken over."""

    events: bool = False
    """True when the poll's events were applied."""
    items: frozenset[str] = frozenset()
    decrypted: frozenset[str] = frozenset()
    """Items taken over that were decrypted, which shows that their sender is not limited."""
    limited: frozenset[str] = frozenset()
    """Items that wait because their sender is limited, which is recorded in the organisation's log."""


_Judged = tuple[InboxItem, bytes, Judgement]


class Together:
    """A handler that takes over the ordinary part of a poll's results."""

    def __init__(
        self, gate: Gate, inbox: Inbox, transfers: Transfers, sender: Sender, clock: Clock, pace: Pace
    ) -> None:
        self._vaults = gate.worker(WORKER, Role.MESSAGE_SERVICE)
        self._inbox = inbox
        self._transfers = transfers
        self._sender = sender
        self._clock = clock
        self._pace = pace
        self._unexpected = unexpected("message-service-polling")

    async def take(
        self,
        organisation: ParticipantIdentifier,
        events: Sequence[TransferEvent],
        items: Sequence[InboxItem],
        unrecorded: Sequence[InboxItem] = (),
    ) -> Taken:
        """Apply events and take over envelopes, durably when this returns; the others are left untouched.

        ``unrecorded`` are items of limited senders that wait without being judged, which is recorded. A
        single item to be judged is left too, since it gains nothing here. If another supplier's access point
        sends several items with the same id, the first counts, as when each is taken over by itself.
        """
        small = list(_first_of_each(item for item in items if item.envelope is not None))[:_MOST]
        if len(small) + bool(events) < 2 and not unrecorded:
            return Taken()
        now = self._clock()
        answers: list[Answer] = []
        try:
            async with self._vaults.open(organisation, Purpose.RECEIVE) as vault:
                judged, limited = await self._judged(organisation, vault, small, now)
                limited += unrecorded
                for item in limited:
                    await held(vault, SenderLimited.text, **item_ids(item))
                waiting = frozenset(item.id for item in limited)
                storing = await self._prepared(vault, events, judged, answers, now)
                if not (storing and await vault.suppose(partial(_each, list(storing.values())))):
                    storing, answers = {}, []
        except Temporary:
            return Taken()  # Each item is retried by itself and reports this; a stored one is recognised.
        except Exception as error:
            self._unexpected(error)
            return Taken()
        for answer in answers:
            self._sender.start_receipt(organisation, *answer)
        items_taken = frozenset(each for each in storing if each is not None)
        decrypted = items_taken.intersection(item.id for item, _, judgement in judged if judgement.decrypted)
        return Taken(None in storing, items_taken, decrypted, waiting)

    async def _judged(
        self,
        organisation: ParticipantIdentifier,
        vault: MessageServiceVault,
        items: Sequence[InboxItem],
        now: datetime,
    ) -> tuple[list[_Judged], list[InboxItem]]:
        """Judge envelopes concurrently; return the judgements, and the envelopes of limited senders.

        Meaningless envelopes, and those that could not be judged in time, are left out.
        """

        async def judge(item: InboxItem) -> tuple[Judgement, bytes]:
            data = item.envelope or b""
            return await self._inbox.judge(organisation, data, item, vault, now), await digest(data)

        if not items:
            return [], []
        paced = (self._pace.of(organisation, partial(judge, item)) for item in items)
        judging = {asyncio.create_task(each): item for each, item in zip(paced, items, strict=True)}
        try:
            done, _ = await asyncio.wait(judging, timeout=_WITHIN)
        finally:
            for task in judging:
                task.cancel()
            await asyncio.gather(*judging, return_exceptions=True)
        found: list[_Judged] = []
        limited: list[InboxItem] = []
        for task, item in judging.items():
            if task in done and not task.cancelled() and isinstance(task.exception(), SenderLimited):
                limited.append(item)
            if task not in done or task.cancelled() or task.exception() is not None:
                continue
            judgement, envelope = task.result()
            if not judgement.meaningless:
                found.append((item, envelope, judgement))
        return found, limited

    async def _prepared(
        self,
        vault: MessageServiceVault,
        events: Sequence[TransferEvent],
        judged: Sequence[_Judged],
        answers: list[Answer],
        now: datetime,
    ) -> dict[str | None, Storing]:
        """Return functions that store the items, by item id, and one under ``None`` that applies the events.

        They keep the order, and everything that they need has been read.
        """
        named = [new.receipt.message_id for *_, new in judged if isinstance(new, NewReceipt)]
        if not (events or judged):
            return {}
        prepared: dict[str | None, Storing] = {}
        receipts, sent = await vault.concerned([event.envelope_id for event in events], named)
        if events:
            prepared[None] = partial(self._transfers.each, vault, events, receipts, now)
        for item, envelope, new in judged:
            if isinstance(new, NewMessage):
                answer, prepared[item.id] = await self._inbox.storing(vault, item, new, envelope, now)
                answers.append(answer)
            elif isinstance(new, Unanswerable):
                prepared[item.id] = partial(_refuse, vault, item, new, now)
            else:
                message = sent.get(new.receipt.message_id)
                prepared[item.id] = partial(_settle, vault, item, new, message, envelope, now)
        return prepared


def _first_of_each(items: Iterable[InboxItem]) -> Iterator[InboxItem]:
    """Yield the first item with each id."""
    seen = set[str]()
    for item in items:
        if item.id not in seen:
            seen.add(item.id)
            yield item


async def _refuse(vault: MessageServiceVault, item: InboxItem, new: Unanswerable, now: datetime) -> None:
    await vault.receive(None, None, None, None, item_id=item.id, now=now, lease=None)
    refuse(vault, item, new)


async def _settle(
    vault: MessageServiceVault,
    item: InboxItem,
    new: NewReceipt,
    message: MessageRecord | None,
    envelope: bytes,
    now: datetime,
) -> None:
    await vault.receive(None, None, None, None, item_id=item.id, now=now, lease=None)
    await settle(vault, new, message, now, envelope)


async def _each(storing: Sequence[Storing]) -> None:
    for store in storing:
        await store()
