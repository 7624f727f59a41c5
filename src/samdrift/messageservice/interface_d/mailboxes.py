"""Listing, reading and deleting messages in the mailboxes of a message client's addresses.

All other messages appear not to exist, and requests for them are recorded in the organisation's log
(invariants 1 to 3).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageservice.access import Access
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.interface_d.filters import Filters, Page
from samdrift.messageservice.interface_d.problems import Refused
from samdrift.vault.bodies import BodyReader
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.gate import Gate
from samdrift.vault.messagerows import Place
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import MessageRecord, StatusEvent
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import is_uuid

_AT_ONCE = 250
"""Number of messages read together for a list without pages."""

NOT_FINAL = Finding(
    Reason.RULE,
    Detail.NOT_SUPPORTED,
    "Only a message with a final status can be deleted: NEW, ACCEPTED or MESSAGE_EXCHANGE_ERROR",
    "/data/attributes/messageStatus",
)

Listed = tuple[MessageRecord, tuple[StatusEvent, ...]]
Listing = tuple[Sequence[Listed], bool]
"""Some messages of a list with their events, and whether the list continues after the page."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message that the client may see; ``body`` is ``None`` while its content may not be fetched."""

    record: MessageRecord
    events: tuple[StatusEvent, ...]
    body: BodyReader | None


class Mailboxes:
    """Operations of interface D on stored messages."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def page(self, access: Access, filters: Filters, size: int, after: Place | None) -> Listing:
        """Return the newest matching messages, fewer if they are large, and whether there are more.

        Clauses: api-mt-mk 3 sentence 6.
        """
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.READ
        ) as vault:
            own = await _own(vault, access)

            async def found(limit: int, before: Place | None) -> tuple[MessageRecord, ...]:
                return await vault.messages(
                    mailboxes=own,
                    statuses=filters.statuses,
                    sender_addresses=filters.sender_addresses,
                    recipient_addresses=filters.recipient_addresses,
                    start=filters.start,
                    stop=filters.stop,
                    limit=limit,
                    before=before,
                )

            records = await found(size + 1, after)
            listed, more = records[:size], len(records) > size
            if listed and not more:
                more = bool(await found(1, place(listed[-1])))
            events = await vault.events_of(listed)
        return tuple(zip(listed, events, strict=True)), more

    async def pages(self, access: Access, filters: Filters, asked: Page) -> AsyncIterator[Listing]:
        """Yield the requested page or, without a page size, all matching messages in batches."""
        if asked.size is not None:
            yield await self.page(access, filters, asked.size, asked.after)
            return
        after, more = asked.after, True
        while more:
            listed, more = await self.page(access, filters, _AT_ONCE, after)
            yield listed, False
            if more:
                after = place(listed[-1][0])

    async def find(self, access: Access, message_id: str, filters: Filters) -> Found | None:
        """Return a message with its content, or ``None`` if the client has none with that id.

        Both cases are logged.
        """
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.READ
        ) as vault:
            record = await _reached(vault, access, message_id, filters)
            if record is None:
                return None
            events = await vault.status_events(record.id, record.direction)
            body = await _body(vault, record)
            if body is not None:
                vault.record(MTEvent.MT_MESSAGE_READ, message=record.id)
        return Found(record, events, body)

    async def evidenced(
        self, access: Access, message_id: str, filters: Filters, *, original: bool
    ) -> Found | None:
        """Log that the client gets evidence about a message; ``None`` if it has none with that id.

        The content is included if the ``original`` is requested and may be fetched.
        """
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.READ
        ) as vault:
            record = await _reached(vault, access, message_id, filters)
            if record is None:
                return None
            body = await _body(vault, record) if original else None
            vault.record(MTEvent.MT_MESSAGE_EVIDENCED, message=record.id)
            if body is not None:
                vault.record(MTEvent.MT_MESSAGE_READ, message=record.id)
        return Found(record, (), body)

    async def delete(self, access: Access, message_id: str, filters: Filters) -> bool:
        """Delete a message and return true, or false if the client has none with that id.

        Raises :class:`Refused` while the exchange is not finished (api-mt-mk 3, deleteMessageById).

        Clauses: api-mt-mk 4.1 step 8, 4.2 step 7.
        """
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.DISPOSE
        ) as vault:
            record = await _reached(vault, access, message_id, filters)
            if record is None:
                return False
            if record.status.final:
                await vault.delete(record.id, record.direction)
                vault.record(MTEvent.MT_MESSAGE_DELETED, message=record.id)
        if not record.status.final:
            raise Refused([NOT_FINAL], record.id)
        return True


def place(record: MessageRecord) -> Place:
    """Return the sort key of a message in a list, from which a page can continue."""
    return record.created_at, record.id, record.direction


async def _own(vault: MessageServiceVault, access: Access) -> tuple[str, ...]:
    """Return the client's mailboxes; where patterns are used, only those that contain messages."""
    exact = [pattern.before for pattern in access.patterns if pattern.after is None]
    if len(exact) == len(access.patterns) and access.others is None:
        return tuple(dict.fromkeys(exact))
    return tuple(filter(access.covers, await vault.mailboxes()))


async def _reached(
    vault: MessageServiceVault, access: Access, message_id: str, filters: Filters
) -> MessageRecord | None:
    """Return the message with that id in one of the client's mailboxes; a sent one takes precedence.

    A message that is not found is logged as a denial, whether or not it is in another client's mailbox.
    """
    known = is_uuid(message_id)
    if known:
        for direction in (Direction.OUT, Direction.IN):
            record = await vault.message(message_id, direction)
            if record is not None and record.size and access.covers(record.mailbox) and filters.fit(record):
                return record
    ids = {"message": message_id} if known else {}
    vault.record(MTEvent.MT_CLIENT_DENIED, **ids, reason="no such message in the client's mailboxes")
    return None


async def _body(vault: MessageServiceVault, record: MessageRecord) -> BodyReader | None:
    """Return a message's content if it may be fetched, otherwise ``None``.

    That of an incoming message is available once its sender has been informed, or never will be
    (Meddelandestatus 11); that of an outgoing message unless it held malicious code.
    """
    if record.direction is Direction.IN and not record.status.final:
        return None
    try:
        return await vault.body(record.id, record.direction)
    except UnknownRecord:
        return None
